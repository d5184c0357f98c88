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


def test_the_nav2_fragment_avoids_the_traps_of_the_static_layer() -> None:
    text = (ROOT / "config" / "nav2_static_layer.yaml").read_text()
    costmap = yaml.safe_load(text)["local_costmap"]["local_costmap"]["ros__parameters"]
    layer = costmap["kdbts_layer"]
    assert layer["plugin"] == "nav2_costmap_2d::StaticLayer"
    assert layer["map_topic"] == "/kdbts/occupancy"
    assert layer["map_subscribe_transient_local"] is True
    assert layer["use_maximum"] is False
    assert costmap["rolling_window"] is True
    assert costmap["track_unknown_space"] is False
    assert costmap["plugins"][0] == "kdbts_layer"
    assert costmap["global_frame"] == "odom"


def test_rviz_asks_for_the_latched_map() -> None:
    view = yaml.safe_load((ROOT / "config" / "kdbts.rviz").read_text())["Visualization Manager"]
    assert view["Global Options"]["Fixed Frame"] == "odom"
    topics = {d["Topic"]["Value"]: d["Topic"] for d in view["Displays"] if "Topic" in d}
    assert topics["/kdbts/occupancy"]["Durability Policy"] == "Transient Local"


def test_the_profile_makes_room_for_an_image() -> None:
    tree = ElementTree.parse(ROOT / "config" / "fastdds_large_messages.xml")
    name = "{http://www.eprosima.com}segment_size"
    (size,) = [int(e.text or 0) for e in tree.iter(name)]
    assert size >= 8 * 1242 * 375 * 3
