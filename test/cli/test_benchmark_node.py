"""What `kdbts benchmark --node` makes of its arguments and of the node's reports."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kdbts_ros.cli.benchmark_node import split_rates
from kdbts_ros.errors import UserError


def test_rates_are_positive_numbers() -> None:
    assert split_rates("10, 30,60.5") == [10.0, 30.0, 60.5]
    for text in ("", "ten", "0", "10,,30", "-5", "nan", "1e9"):
        with pytest.raises(UserError, match="--rates must be numbers of Hz"):
            split_rates(text)


def report(age: float, ros: float) -> Any:
    stages = ("decode", "publish", "wait", "network", "query")
    return SimpleNamespace(age_ms=age, ros_ms=ros, **{f"{stage}_ms": 1.0 for stage in stages})


def test_figures_count_what_had_no_map_and_what_never_arrived() -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2")
    pytest.importorskip("kdbts_ros.msg", reason="needs the built messages: run `make venv`")
    from kdbts_ros.replay.load_test import RateFigures

    figures = RateFigures.of(30.0, 10, 9, [report(50.0, 1.0), report(70.0, 3.0)])
    assert (figures.sent, figures.maps, figures.dropped, figures.lost) == (10, 2, 8, 1)
    assert (figures.p50_ms, figures.ros_p50_ms) == (60.0, 2.0)
    nothing = RateFigures.of(30.0, 10, 0, [])
    assert nothing.p50_ms is None and nothing.dropped == 10
