"""`kdbts bag` from the command line's side."""

from pathlib import Path

import pytest
import typer
from rosbags.rosbag2 import Reader
from typer.testing import CliRunner

from kdbts_ros.cli.bag import bag
from kdbts_ros.errors import UserError
from test.shared_data import SHARED

APP = typer.Typer()
APP.command()(bag)
RUNNER = CliRunner()


def test_help_has_an_example() -> None:
    result = RUNNER.invoke(APP, ["--help"])
    assert result.exit_code == 0
    assert "kdbts bag kitti-raw" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["kitti-raw", "nowhere", "out"], "nowhere is not a folder"),
        (["kitti-raw", ".", "out", "--frames", "5"], "--frames '5'"),
        (["kitti-raw", ".", "out", "--sequence", "04"], "belongs to kitti-odometry"),
        (["kitti-odometry", ".", "out"], "needs --sequence"),
        (["kitti-odometry", ".", "out", "--drive", "9"], "belongs to kitti-raw"),
    ],
)
def test_mistakes_are_user_errors(arguments: list[str], words: str) -> None:
    result = RUNNER.invoke(APP, arguments)
    assert isinstance(result.exception, UserError)
    assert words in str(result.exception)


def test_real_drive_from_the_command_line(tmp_path: Path) -> None:
    root = SHARED / "data" / "kitti_raw"
    if not root.is_dir():
        pytest.skip(f"KITTI raw data not found at {root}; set KDBTS_SHARED")
    out = tmp_path / "bag"
    arguments = ["kitti-raw", str(root), str(out), "--drive", "0013", "--frames", "59:62"]
    result = RUNNER.invoke(APP, [*arguments, "--velodyne", "--compressed", "--cameras", "left"])
    assert result.exit_code == 0, result.output
    with Reader(out) as reader:
        counts = {name: topic.msgcount for name, topic in reader.topics.items()}
    assert counts["/camera/left/image_rect_color/compressed"] == 3
    assert counts["/velodyne_points"] == 2
