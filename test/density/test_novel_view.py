"""Views from where no camera was: what the following camera looks at, and rays that end early."""

from __future__ import annotations

import numpy as np
import pytest

from kdbts_ros.density.geometry.camera import inverse, transform
from kdbts_ros.density.novel_view import LOOKS_AHEAD, FollowingCamera
from kdbts_ros.density.views.frusta import frusta
from test.density.networks import base_pose, camera, forward_pose, tiny_scene, view


@pytest.mark.parametrize("place", [(4.0, 3.0), (0.0, 1.0)])
def test_the_following_camera_looks_at_the_ground_ahead_of_the_robot(
    place: tuple[float, float],
) -> None:
    following, T_fixed_base = FollowingCamera(*place), base_pose(7.0, -2.0, yaw=1.1)
    T_fixed_cam = following.pose(T_fixed_base)
    behind, above = place
    ahead = transform(T_fixed_base, [[LOOKS_AHEAD, 0, 0], [LOOKS_AHEAD, 0, 1], [-behind, 0, above]])
    (middle, higher), z = following.camera.project(transform(inverse(T_fixed_cam), ahead[:2]))
    np.testing.assert_allclose(middle, [following.camera.cx, following.camera.cy], atol=1e-9)
    assert higher[0] == pytest.approx(middle[0]) and higher[1] < middle[1], "up is up"
    assert (z > 0).all()
    np.testing.assert_allclose(T_fixed_cam[:3, 3], ahead[2], atol=1e-12)


@pytest.mark.parametrize("head", ["bts", "mvbts"])
def test_rays_that_end_early_change_no_picture(head: str) -> None:
    scene = tiny_scene(head)
    scene.set_views([view(0), view(1, x=0.5)])
    pose = forward_pose(x=-1.0, y=0.3, yaw=0.1)
    whole, all_light = scene.render(camera(48, 24), pose)
    ended, light = scene.render(camera(48, 24), pose, stop=0.02)
    assert all_light.max() > 0.9
    np.testing.assert_allclose(light, all_light, atol=0.04)
    seen = all_light > 0.5
    assert np.abs(whole[seen].astype(int) - ended[seen]).max() <= 0.05 * 255


def test_where_no_view_has_been_there_is_no_light() -> None:
    scene = tiny_scene()
    scene.set_views([view()])
    rgb, light = scene.render(camera(16, 8), forward_pose(yaw=np.pi))
    assert (light == 0).all() and (rgb == 0).all()


def test_a_frustum_runs_through_the_corners_of_its_image() -> None:
    lens, T_world_cam = camera(), forward_pose(3.0, 1.0, 0.4)
    newest, other = frusta([(lens, T_world_cam), (lens, forward_pose())], 2.0)
    assert (newest.newest, other.newest) == (True, False)
    local = transform(inverse(T_world_cam), newest.edges).reshape(8, 2, 3)
    np.testing.assert_allclose(local[:4, 0], 0, atol=1e-12)
    uv, z = lens.project(local[:4, 1])
    assert z == pytest.approx(2.0)
    w, h = lens.width, lens.height
    np.testing.assert_allclose(uv, [[0, 0], [w, 0], [w, h], [0, h]], atol=1e-9)
    # Four lines from corner to corner, closed.
    np.testing.assert_allclose(local[4:, 0], local[:4, 1], atol=1e-12)
    np.testing.assert_allclose(local[4:, 1], np.roll(local[:4, 1], -1, axis=0), atol=1e-12)
