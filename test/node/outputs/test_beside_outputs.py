"""How often the costly picture is drawn: never at the price of every map."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make venv`")
pytest.importorskip("kdbts_ros.msg", reason="needs the built messages: run `make venv`")

from kdbts_ros.node.inference.handover import Epochs
from kdbts_ros.node.outputs.beside import BesideOutputs
from kdbts_ros.node.outputs.messages import to_ns
from kdbts_ros.node.parameters.values import Parameters


class Publisher:
    """Somebody listens to it, if it is the novel view."""

    def __init__(self, topic: str) -> None:
        self.topic_name = topic
        self.sent: list[Any] = []

    def get_subscription_count(self) -> int:
        return int(self.topic_name == "~/novel_view")

    def publish(self, message: Any) -> None:
        self.sent.append(message)


class Clock:
    """Stands still but for what drawing takes."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_after_a_novel_view_maps_come_without_one_for_as_long_as_it_took() -> None:
    clock, publishers = Clock(), dict[str, Publisher]()

    def publisher(kind: type, topic: str) -> Publisher:
        return publishers.setdefault(topic, Publisher(topic))

    def drawn(behind: float, above: float) -> np.ndarray:
        clock.now += 2.0
        return np.zeros((2, 4, 3), np.uint8)

    outputs = BesideOutputs(publisher, Parameters, Epochs(), clock)
    beside = SimpleNamespace(novel_view=drawn)
    stamps = []
    for stamp in range(1, 11):
        frame = SimpleNamespace(stamp_ns=stamp, frame_id="camera")
        assert outputs.send(SimpleNamespace(frame=frame, epoch=0), beside) == ""  # type: ignore[arg-type]
        clock.now += 0.5
        stamps = [to_ns(m.header.stamp) for m in publishers["~/novel_view"].sent]
    # Drawn from 100 s to 102 s, and again from the first image at or after 104 s on.
    assert stamps == [1, 5, 9]
    assert len(publishers) == 5 and all(
        p.sent == [] for topic, p in publishers.items() if topic != "~/novel_view"
    )
