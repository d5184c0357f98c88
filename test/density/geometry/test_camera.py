"""Cameras, projections and transforms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdbts_ros.density.geometry.camera import Camera, View, check_rigid, inverse, transform
from kdbts_ros.errors import UserError
from test.density.networks import camera, forward_pose

metres = st.floats(-50, 50)
angles = st.floats(-np.pi, np.pi)


def test_opencv_and_half_integer_centres_agree_on_where_a_point_falls():
    K = np.array([[500.0, 0, 319.5], [0, 400.0, 119.5], [0, 0, 1]])
    ours = Camera.from_integer_centres(K, 640, 240)
    uv, _ = ours.project([[0.0, 0.0, 5.0]])
    # OpenCV's principal point 319.5 is the middle of a 640 pixel row, which is 320 for us.
    np.testing.assert_allclose(uv, [[320.0, 120.0]])


def test_ndc_round_trip():
    original = Camera(1242, 375, 721.5, 700.0, 610.0, 173.0)
    again = Camera.from_ndc(original.ndc, 1242, 375)
    np.testing.assert_allclose(again.matrix, original.matrix)


@given(st.integers(16, 2000), st.integers(16, 2000))
def test_resizing_keeps_the_image_in_ndc(width, height):
    original = Camera(1242, 375, 721.5, 700.0, 610.0, 173.0)
    np.testing.assert_allclose(original.resized(width, height).ndc, original.ndc, atol=1e-12)


def test_rays_pass_through_pixel_centres():
    found = camera().rays()
    uv, z = camera().project(found.reshape(-1, 3) * 7.0)
    expected = np.stack(np.meshgrid(np.arange(128) + 0.5, np.arange(64) + 0.5), -1).reshape(-1, 2)
    np.testing.assert_allclose(uv, expected, atol=1e-4)
    np.testing.assert_allclose(z, 7.0)


def test_points_behind_the_camera_have_no_pixel():
    uv, z = camera().project([[0.0, 0.0, -1.0]])
    assert np.isnan(uv).all()
    assert z[0] == -1


@given(metres, metres, angles)
def test_inverse_undoes_a_transform(x, y, yaw):
    T = forward_pose(x, y, yaw)
    points = np.array([[1.0, 2.0, 3.0], [-4.0, 0.5, 9.0]])
    np.testing.assert_allclose(transform(inverse(T), transform(T, points)), points, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((640, 480, 0.0, 500.0, 320, 240), "focal"),
        ((640, 480, np.nan, 500.0, 320, 240), "NaN"),
        ((0, 480, 500.0, 500.0, 320, 240), "size"),
    ],
)
def test_bad_intrinsics_are_named(arguments, word):
    with pytest.raises(UserError, match=word):
        Camera(*arguments)


def test_views_refuse_wrong_images_and_poses():
    image = np.zeros((64, 128, 3), np.uint8)
    with pytest.raises(UserError, match="uint8 RGB"):
        View(image[..., 0], camera(), np.eye(4))
    with pytest.raises(UserError, match="rigid"):
        View(image, camera(), np.diag([2.0, 1, 1, 1]))
    with pytest.raises(UserError, match="finite"):
        check_rigid(np.full((4, 4), np.nan), "T")
