"""The shipped launch and configuration files say what the node understands."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_the_launch_file_declares_every_argument() -> None:
    pytest.importorskip("launch", reason="launch is not installed")
    pytest.importorskip("launch_ros", reason="launch_ros is not installed")
    path = ROOT / "launch" / "kdbts.launch.py"
    spec = importlib.util.spec_from_file_location("kdbts_launch", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    declared = {a.name for a in module.generate_launch_description().get_launch_arguments()}
    assert declared == {
        "params_file",
        "checkpoint",
        "device",
        "image_topic",
        "camera_info_topic",
        "namespace",
        "use_sim_time",
        "autostart",
        "rviz",
        "log_level",
    }


def test_rviz_asks_for_the_latched_map_of_its_own_namespace() -> None:
    view = yaml.safe_load((ROOT / "config" / "kdbts.rviz").read_text())["Visualization Manager"]
    assert view["Global Options"]["Fixed Frame"] == "odom"
    topics = {d["Topic"]["Value"]: d["Topic"] for d in view["Displays"] if "Topic" in d}
    assert topics["kdbts/occupancy"]["Durability Policy"] == "Transient Local"
    assert [topic for topic in topics if topic.startswith("/")] == [], "hides a node in a namespace"


def test_the_profile_makes_room_for_an_image() -> None:
    tree = ElementTree.parse(ROOT / "config" / "fastdds_large_messages.xml")
    name = "{http://www.eprosima.com}segment_size"
    (size,) = [int(e.text or 0) for e in tree.iter(name)]
    assert size >= 8 * 1242 * 375 * 3
