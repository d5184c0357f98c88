"""Choosing a camera of a bag, and the speed to play it at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make venv`, or source a ROS setup")
pytest.importorskip("tf2_msgs", reason="needs tf2_msgs: run `make venv`")

from kdbts_ros.datasets.bags.writer import write_bag
from kdbts_ros.datasets.sample import PosedFrame
from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.demo.moments import poses
from kdbts_ros.demo.recording import (
    CAMERA_INFO,
    COMPRESSED,
    IMAGE,
    Recording,
    choose_camera,
    inspect,
)
from kdbts_ros.demo.session import NodeSettings, node_arguments, player_arguments
from kdbts_ros.density.geometry.camera import Camera, View
from kdbts_ros.errors import UserError

HERE = Path("bag")


def tape(seconds: float = 9.9, frames: int = 100, images: str = "/cam/image") -> Recording:
    return Recording(HERE, images, "/cam/camera_info", True, ("/tf",), frames, seconds)


def test_the_left_colour_camera_is_preferred() -> None:
    types = {}
    for name in ("right", "left"):
        types[f"/camera/{name}/camera_info"] = CAMERA_INFO
        types[f"/camera/{name}/image_rect_color/compressed"] = COMPRESSED
        types[f"/camera/{name}/image_rect_color"] = IMAGE
        types[f"/camera/{name}/depth"] = IMAGE
    assert choose_camera(types, HERE) == (
        "/camera/left/image_rect_color",
        "/camera/left/camera_info",
    )


def test_a_lone_camera_info_serves_images_elsewhere() -> None:
    types = {"/video": IMAGE, "/calibration/camera_info": CAMERA_INFO}
    assert choose_camera(types, HERE) == ("/video", "/calibration/camera_info")


def test_without_calibrated_images_the_topics_are_named() -> None:
    with pytest.raises(UserError, match=r"no images.*/video"):
        choose_camera({"/video": IMAGE}, HERE)


def posed(index: int) -> PosedFrame:
    """Frame of a robot that drives along x with two small cameras."""
    T_world_base = np.eye(4)
    T_world_base[0, 3] = index
    image = np.full((8, 12, 3), 40 * index, np.uint8)
    camera = Camera(12, 8, 10.0, 10.0, 6.0, 4.0)
    view = View(image, camera, T_world_base @ mount((0.0, 0.0, 1.6)))
    return PosedFrame((index + 1) * 100_000_000, {"left": view, "right": view}, T_world_base)


def test_a_recording_is_inspected_and_its_poses_read(tmp_path: Path) -> None:
    write_bag((posed(i) for i in range(3)), tmp_path / "bag")
    found = inspect(tmp_path / "bag")
    assert found.images == "/camera/left/image_rect_color"
    assert (found.frames, found.reliable, found.compressed) == (3, True, False)
    assert set(found.topics) == {
        "/camera/left/image_rect_color",
        "/camera/left/camera_info",
        "/tf",
        "/tf_static",
    }
    T_odom_base = poses(found).lookup("odom", "base_link", posed(2).stamp_ns)
    assert T_odom_base == pytest.approx(posed(2).T_world_base)


def test_a_bag_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        inspect(tmp_path / "none")


def test_compressed_images_reach_the_node_as_such() -> None:
    settings = NodeSettings("bts", "cpu", "odom", "base_link")
    arguments = node_arguments(tape(images="/cam/image/compressed"), settings)
    assert "image:=/cam/image" in arguments
    assert "image_transport:=compressed" in arguments
    played = player_arguments(tape(images="/cam/image/compressed"), 0.5)
    assert "/cam/image/compressed,/cam/camera_info,/tf" in played
    assert played[played.index("--rate") + 1] == "0.5" and "--after-map" not in played


def test_without_a_rate_each_image_waits_for_a_map() -> None:
    played = player_arguments(tape(), None)
    assert played[played.index("--after-map") + 1] == "/kdbts/occupancy" and "--rate" not in played
