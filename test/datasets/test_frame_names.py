"""The fixed frame of a recording: what moves is never taken for it in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.errors import UserError
from test.datasets.bags import SECOND, T_BASE_CAM, Bag, grey


def recorded(path: Path, *above: tuple[str, str, np.ndarray], static: bool = False) -> Path:
    """Three images of a mounted camera, and the transforms `above` its base at each of them."""
    with Bag(path) as bag:
        bag.tf("base_link", "eye", T_BASE_CAM, SECOND, static=True)
        for i in range(3):
            stamp = SECOND + i * SECOND // 10
            for parent, child, T in above:
                bag.tf(parent, child, T, stamp, static=static)
            bag.tf("base_link", "wheel", np.eye(4), stamp)
            bag.info(stamp)
            bag.image(stamp, grey(i))
    return path


@pytest.mark.parametrize(
    ("far", "words"),
    [(1e9, r"1e\+09 m long"), (float("nan"), "NaN or infinity"), (float("inf"), "NaN or infinity")],
)
@pytest.mark.parametrize("names", [("odom", "base_link"), ("camera_init", "base_link")])
def test_where_every_pose_is_refused_the_base_does_not_stand_still(
    tmp_path: Path, names: tuple[str, str], far: float, words: str
) -> None:
    with pytest.raises(UserError, match=rf"no pose of 'base_link': .*{words}"):
        BagDrive(recorded(tmp_path / "bag", (*names, rigid(np.eye(3), (far, 0, 0)))))


def test_a_moving_part_below_the_refused_one_does_not_hide_it(tmp_path: Path) -> None:
    above = ("odom", "base_footprint", rigid(np.eye(3), (1e9, 0, 0)))
    spring = ("base_footprint", "base_link", rigid(np.eye(3), (0, 0, 0.1)))
    with pytest.raises(UserError, match="no pose of 'base_footprint': transform odom"):
        BagDrive(recorded(tmp_path / "bag", above, spring))


def test_transforms_of_something_else_are_no_pose(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no moving transform above 'eye', only eye <- base_link"):
        BagDrive(recorded(tmp_path / "bag"))


def test_a_frame_that_is_asked_for_is_told_with_the_reason(tmp_path: Path) -> None:
    path = recorded(tmp_path / "bag", ("odom", "base_link", rigid(np.eye(3), (1e9, 0, 0))))
    with pytest.raises(UserError, match=r"'odom' is not above the camera .*1e\+09 m long"):
        BagDrive(path, world="odom")


def test_a_robot_may_stand_still(tmp_path: Path) -> None:
    by_name = recorded(tmp_path / "named", ("map", "base_link", np.eye(4)), static=True)
    assert BagDrive(by_name).names.world == "map"
    asked = BagDrive(recorded(tmp_path / "asked"), world="base_link")
    assert asked.names.world == "base_link" and len(asked) == 3
