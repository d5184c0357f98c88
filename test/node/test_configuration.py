"""The shipped launch and configuration files say what the node understands."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LAUNCHED = re.compile(r"ros2 launch kdbts_ros (\w+\.launch\.py)([^`\n#]*)")
ARGUMENT = re.compile(r"(\w+):=")


def declared(file: str) -> set[str]:
    """Arguments of a launch file, which cannot be imported where launch is absent."""
    found: set[str] = set()
    for part in ast.walk(ast.parse((ROOT / "launch" / file).read_text())):
        names: list[ast.expr | None] = []
        if isinstance(part, ast.Assign) and ast.unparse(part.targets[0]).endswith("ARGUMENTS"):
            assert isinstance(part.value, ast.Dict)
            names = part.value.keys
        elif isinstance(part, ast.Call) and ast.unparse(part.func) == "DeclareLaunchArgument":
            names = [*part.args[:1]]
        found |= {name.value for name in names if isinstance(name, ast.Constant)}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_on_a_page_give_arguments_that_the_launch_file_declares(page: Path) -> None:
    for file, rest in LAUNCHED.findall(page.read_text().replace("\\\n", " ")):
        assert set(ARGUMENT.findall(rest)) <= declared(file), f"ros2 launch kdbts_ros {file}{rest}"


def test_the_pages_do_launch_the_files() -> None:
    launched = {file for page in PAGES for file, _ in LAUNCHED.findall(page.read_text())}
    assert {"kdbts.launch.py", "kitti_replay.launch.py", "nav2_costmap.launch.py"} <= launched
    assert {"image_topic", "namespaced_tf", "preset", "rviz"} <= declared("kdbts.launch.py")


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
