"""A drive: poses, stamps and views fit together and repeat exactly."""

import itertools

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.datasets.synthetic.rig import surround, training_camera
from kdbts_ros.datasets.synthetic.truth import occupied
from kdbts_ros.density.geometry.camera import check_rigid, inverse
from kdbts_ros.errors import UserError


@pytest.fixture(scope="module")
def drive():
    return StreetDrive(7, frames=30, rig=surround(training_camera(160, 48)), speed=8.0)


def test_frames_hold_every_camera_of_the_rig(drive):
    frame = drive.frame(3)
    assert list(frame.views) == ["left", "right", "side_left", "side_right"]
    assert frame.stamp_ns == 1_300_000_000
    for name, view in frame.views.items():
        assert view.T_world_cam == pytest.approx(frame.T_world_base @ drive.rig[name][1])
    assert (frame.views["left"].image == drive.frame(3).views["left"].image).all()


def test_the_path_is_smooth_and_free(drive):
    poses = [drive.T_world_base(i) for i in range(len(drive))]
    for before, after in itertools.pairwise(poses):
        check_rigid(after, "T_world_base")
        step = (inverse(before) @ after)[:3, 3]
        assert 0.75 < step[0] < 0.9
        assert abs(step[1]) < 0.1
    for height in (0.4, 1.0, 1.65):
        points = np.array([T[:3, 3] + [0, 0, height] for T in poses])
        assert not occupied(drive.world, points).any()


def test_depth_is_that_of_the_picture(drive):
    depth = drive.depth(0, "side_left")
    assert depth.shape == (48, 160)
    assert (depth > 0).all()


def test_side_cameras_look_sideways(drive):
    T_base_left = drive.rig["side_left"][1]
    assert T_base_left[:3, 2] == pytest.approx([0, 1, 0], abs=1e-9)
    assert T_base_left[:3, 1] == pytest.approx([0, 0, -1], abs=1e-9)


def test_bad_requests_are_refused(drive):
    with pytest.raises(UserError, match="30 frames"):
        drive.frame(30)
    with pytest.raises(UserError, match="side_left"):
        drive.depth(0, "roof")
    with pytest.raises(UserError, match="speed"):
        StreetDrive(0, speed=-1.0)
