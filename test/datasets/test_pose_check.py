"""Poses that fit the images, and the usual mistakes told apart."""

from __future__ import annotations

import numpy as np
import pytest

from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.datasets.pose_check import check_poses, pose_steps, refuse_nonsense
from kdbts_ros.datasets.tracks import follow, motion_length, relative
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL, Array, View, inverse
from kdbts_ros.errors import UserError
from test.datasets.box_room import CAMERA, room_depth, room_view

STEP = 0.4


def optical(x: float, yaw: float = 0.0) -> Array:
    """A camera at x m along the corridor, turned left by yaw rad."""
    c, s = np.cos(yaw), np.sin(yaw)
    R = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    return rigid(R @ R_BODY_OPTICAL, (x, 0.2, 1.2))


def pairs(reading=lambda T: T) -> list[tuple[View, View]]:
    """Rooms seen from two places, under poses read in some way."""
    found = []
    for i in range(3):
        views = [room_view(optical(STEP * (i + k), 0.02 * k)) for k in range(2)]
        found.append(tuple(View(v.image, v.camera, reading(v.T_world_cam)) for v in views))
    return found


def body_axes(T: Array) -> Array:
    back = np.eye(4)
    back[:3, :3] = R_BODY_OPTICAL.T
    return T @ back


def test_right_poses_fit() -> None:
    verdict = refuse_nonsense(pairs(), "room")
    assert verdict.fits
    assert verdict.explained > 0.9
    assert verdict.rotation < 0.5
    assert verdict.direction < 15
    assert verdict.moving < 0.1


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (body_axes, "x forward, but must be optical"),
        (inverse, "the poses are inverted"),
        (lambda T: rigid(T[:3, :3], -T[:3, 3]), "check the clock"),
    ],
    ids=["body axes", "inverted", "backwards"],
)
def test_usual_mistakes_are_named(reading, words: str) -> None:
    with pytest.raises(UserError, match=f"room: the poses do not fit the images: .*{words}"):
        refuse_nonsense(pairs(reading), "room")


def test_images_without_anything_to_follow() -> None:
    flat = np.full((CAMERA.height, CAMERA.width, 3), 128, np.uint8)
    view = View(flat, CAMERA, np.eye(4))
    verdict = check_poses([(view, view)])
    assert not verdict.fits
    assert "too dark, blurred, without texture" in verdict.sentence


def test_scale_is_measured_where_depth_is_known() -> None:
    a, b = room_view(optical(0.0)), room_view(optical(STEP))
    length = motion_length(follow(a, b), room_depth(a.T_world_cam))
    assert length == pytest.approx(STEP, rel=0.1)
    assert np.linalg.norm(relative(a, b)[:3, 3]) == pytest.approx(STEP)


def test_steps_between_poses() -> None:
    moved, turned = pose_steps([optical(0), optical(1), optical(1, np.radians(30))])
    np.testing.assert_allclose(moved, [1, 0], atol=1e-9)
    np.testing.assert_allclose(turned, [0, 30], atol=1e-6)
