"""`kdbts bag` from the command line's side."""

from pathlib import Path

import numpy as np
import pytest
import typer
from rosbags.rosbag2 import Reader
from typer.testing import CliRunner

from kdbts_ros.cli.bag import bag
from kdbts_ros.datasets.bags.messages import TYPESTORE
from kdbts_ros.datasets.bags.writer import image_topic, info_topic
from kdbts_ros.demo.sources import synthetic_drive
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
        (["kitti-raw", ".", "out", "--seed", "9"], "--seed belongs to synthetic drives"),
        (["synthetic", "offise", "out"], "there is no place 'offise'"),
        (["synthetic", "office", "out", "--cameras", "right"], "no camera 'right' in the office"),
        (["synthetic", "office", "out", "--drive", "9"], "belong to KITTI"),
        (["synthetic", "office", "out", "--velodyne"], "belong to KITTI"),
        (["synthetic", "office", "out", "--frames", "80:"], "holds no frame of 80"),
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


@pytest.mark.parametrize(
    ("place", "cameras", "size"), [("street", "left,right", (192, 640)), ("path", None, (480, 640))]
)
def test_a_synthetic_drive_becomes_a_recording(
    place: str, cameras: str | None, size: tuple[int, int], tmp_path: Path
) -> None:
    """What the bag reader gives back is the drive that was rendered."""
    out = tmp_path / "bag"
    arguments = ["synthetic", place, str(out), "--frames", "1:3", "--seed", "2000000000"]
    result = RUNNER.invoke(APP, [*arguments, *(["--cameras", cameras] if cameras else [])])
    assert result.exit_code == 0, result.output
    assert f"2 frames of synthetic {place} 2000000000" in result.output
    names = (cameras or "left").split(",")
    drive = synthetic_drive(3, 2_000_000_000, place, names)
    with Reader(out) as reader:
        topics = {image_topic(name) for name in names} | {info_topic(name) for name in names}
        assert set(reader.topics) == {"/tf", "/tf_static", *topics}
        (wanted,) = (c for c in reader.connections if c.topic == image_topic("left"))
        told = [
            TYPESTORE.deserialize_cdr(raw, c.msgtype) for c, _, raw in reader.messages([wanted])
        ]
    assert [(m.header.stamp.sec, m.header.stamp.nanosec) for m in told] == [
        divmod(drive.stamp_ns(i), 10**9) for i in (1, 2)
    ]
    assert (told[0].height, told[0].width) == size
    expected = drive.frame(1).views["left"].image
    np.testing.assert_array_equal(np.asarray(told[0].data).reshape(expected.shape), expected)
