"""Presets of places: files that the node takes, of a size that a processor bears."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kdbts_ros.errors import UserError
from kdbts_ros.node.launching import PRESETS, preset_files
from kdbts_ros.node.parameters.table import DEFAULTS
from kdbts_ros.node.parameters.values import Parameters

CONFIG = Path(__file__).resolve().parents[2] / "config"


def cells(values: dict[str, float]) -> float:
    return (2 * values["range_m"] / values["resolution"]) ** 2


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_an_overlay_that_the_node_takes(name: str) -> None:
    (path,) = preset_files(name, CONFIG)
    values = yaml.safe_load(Path(path).read_text())["/**"]["ros__parameters"]
    for key in ("range_m", "resolution", "height_min", "height_max", "occupied_threshold"):
        assert key in values
    chosen = Parameters(**{**DEFAULTS, **values})
    assert chosen.range_m < DEFAULTS["range_m"] and chosen.resolution < DEFAULTS["resolution"]
    assert cells(values) <= 1.5 * cells(DEFAULTS)
    # Whole cells, which Nav2's static layer lays over its own.
    assert (2 * chosen.range_m / chosen.resolution) % 1 == pytest.approx(0, abs=1e-9)


def test_rooms_are_smaller_than_yards() -> None:
    indoor, yard = (
        yaml.safe_load((CONFIG / f"{name}.yaml").read_text())["/**"]["ros__parameters"]
        for name in ("indoor", "yard")
    )
    for key in ("range_m", "resolution", "height_min", "max_baseline", "max_speed"):
        assert indoor[key] < yard[key]


def test_no_preset_is_no_file_and_an_unknown_one_is_refused() -> None:
    assert preset_files("", CONFIG) == preset_files(" ", CONFIG) == []
    with pytest.raises(UserError, match=r"preset:=indor is unknown; use indoor or yard, did you "):
        preset_files("indor", CONFIG)
