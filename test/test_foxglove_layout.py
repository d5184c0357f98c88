"""config/foxglove_layout.json shows topics that are there, and every panel that it describes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYOUT = json.loads((ROOT / "config/foxglove_layout.json").read_text())
PANELS: dict[str, dict[str, Any]] = LAYOUT["configById"]
NODE = "/kdbts"
# Of others: the camera of the launch file, Nav2, and what ROS calls alike everywhere.
OTHERS = {
    "/camera/image_raw",
    "/camera/camera_info",
    "/diagnostics",
    "/local_costmap/costmap",
}


def published() -> set[str]:
    """Topics that the node publishes, by the names in its source."""
    sources = (ROOT / "kdbts_ros/node/outputs").glob("*.py")
    names = {name for f in sources for name in re.findall(r'"~(/[a-z_/]+)"', f.read_text())}
    assert "/occupancy" in names
    return {f"{NODE}{name}" for name in names}


def shown() -> Iterator[tuple[str, str]]:
    """Panel and topic of everything that a panel shows."""
    for panel, config in PANELS.items():
        for topic in config.get("topics", {}):
            yield panel, topic
        image = config.get("imageMode", {})
        for key in ("imageTopic", "calibrationTopic"):
            if key in image:
                yield panel, image[key]
        for path in config.get("paths", []):
            yield panel, path["value"].split(".")[0]
        if "topicToRender" in config:
            yield panel, config["topicToRender"]


@pytest.mark.parametrize(("panel", "topic"), shown())
def test_each_topic_is_there(panel: str, topic: str) -> None:
    assert topic in published() | OTHERS


def test_the_map_is_shown_where_the_robot_is() -> None:
    space = PANELS["3D!kdbts"]
    assert space["topics"][f"{NODE}/occupancy"]["visible"]
    assert space["followTf"] == "base_link"


def test_curves_are_fields_of_the_report() -> None:
    fields = (ROOT / "msg/InferenceReport.msg").read_text()
    values = [path["value"] for path in PANELS["Plot!report"]["paths"]]
    for value in values:
        topic, _, field = value.partition(".")
        assert topic == f"{NODE}/report"
        assert re.search(rf"^(float32|uint32) {field}\b", fields, re.MULTILINE)
    assert values


def leaves(layout: Any) -> list[str]:
    if isinstance(layout, str):
        return [layout]
    assert layout["direction"] in ("row", "column")
    return leaves(layout["first"]) + leaves(layout["second"])


def test_each_panel_has_one_place() -> None:
    assert sorted(leaves(LAYOUT["layout"])) == sorted(PANELS)
