"""Worlds are reproducible, and pictures, depth, occupancy and visibility agree."""

import hashlib

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic.ground import KERB, PARAMETERS
from kdbts_ros.datasets.synthetic.primitives import BOX, PLAIN, PrimitiveTable
from kdbts_ros.datasets.synthetic.raycast import render
from kdbts_ros.datasets.synthetic.rig import mount, training_camera
from kdbts_ros.datasets.synthetic.training import training_frame, training_pair
from kdbts_ros.datasets.synthetic.truth import column_truth, occupied, visible
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.geometry.camera import inverse, transform
from kdbts_ros.errors import UserError

SEEDS = (1, 2, 3)


def digest(*arrays):
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


@pytest.fixture(scope="module", params=SEEDS)
def frame(request):
    return training_frame(request.param, 320, 96)


def surface_points(frame, stride=3, far=40.0):
    """World points on the visible surface, and unit rays to them."""
    v, u = np.mgrid[0 : frame.camera.height : stride, 0 : frame.camera.width : stride]
    z = frame.depth[v, u].astype(np.float64)
    near = z < far
    rays = frame.camera.rays()[v, u][near].astype(np.float64)
    points = transform(frame.T_world_cam, rays * z[near][:, None])
    away = points - frame.T_world_cam[:3, 3]
    return points, away / np.linalg.norm(away, axis=1, keepdims=True)


def bare_world(*boxes):
    """A flat empty plain with boxes of (centre, half extents)."""
    table = PrimitiveTable()
    for centre, half in boxes:
        table.add(BOX, centre, half, 0.0, PLAIN, (0.5, 0.4, 0.3))
    ground = np.zeros(PARAMETERS)
    light = StreetWorld.generate(0).light
    return StreetWorld(0, table.array(), ground, np.zeros((0, 6)), light, 100.0, 0.0)


def test_equal_seeds_give_equal_bytes(frame):
    again = training_frame(frame.world.seed, 320, 96, threads=2)
    assert again.world.digest() == frame.world.digest()
    assert digest(again.view.image, again.depth) == digest(frame.view.image, frame.depth)


def test_other_seeds_give_other_worlds():
    assert len({StreetWorld.generate(s).digest() for s in range(5)}) == 5


def test_depth_of_the_ground_is_that_of_a_plane():
    camera = training_camera(320, 96)
    pose = mount((0.0, 0.0, 1.6), pitch=0.02)
    depth = render(bare_world(), camera, pose).depth
    down = (camera.rays().astype(np.float64) @ pose[:3, :3].T)[..., 2]
    expected = np.where(down < -1e-6, -1.6 / np.minimum(down, -1e-6), np.inf)
    near = expected < 200
    assert np.allclose(depth[near], expected[near], rtol=1e-4)
    assert np.isinf(depth[down >= 0]).all()


def test_depth_of_a_wall_is_its_distance():
    world = bare_world(((20.5, 0.0, 5.0), (0.5, 30.0, 5.0)))
    camera = training_camera(320, 96)
    depth = render(world, camera, mount((0.0, 0.0, 1.6))).depth
    assert depth[40, 160] == pytest.approx(20.0, rel=1e-6)
    assert (depth[:40] == 20.0).mean() > 0.95


def test_behind_a_surface_is_solid_before_it_free(frame):
    points, away = surface_points(frame)
    before = points - 0.02 * away
    ahead = occupied(frame.world, before)
    assert ahead.mean() < 0.01
    # Grazing rays leave a ragged leaf or a thin edge again at once, so this need not be all.
    assert occupied(frame.world, points + 0.01 * away).mean() > 0.9


def test_what_the_camera_shows_is_visible_and_what_hides_is_not(frame):
    points, away = surface_points(frame)
    seen = visible(frame.world, frame.camera, frame.T_world_cam, points - 0.02 * away)
    assert seen.mean() > 0.995
    hidden = visible(frame.world, frame.camera, frame.T_world_cam, points + 0.3 * away)
    assert not hidden.any()


def test_points_outside_the_image_are_not_visible(frame):
    behind = transform(frame.T_world_cam, [[0.0, 0.0, -2.0], [100.0, 0.0, 5.0], [0, 0, 0]])
    assert not visible(frame.world, frame.camera, frame.T_world_cam, behind).any()


def test_the_right_image_is_the_left_one_warped():
    views = training_pair(4, 320, 96)
    left, right = views["left0"], views["right0"]
    points, _ = surface_points(left, 1, 40.0)
    z = left.depth
    colours = left.view.image[z < 40.0].astype(float)
    assert len(colours) == len(points)
    both = visible(right.world, right.camera, right.T_world_cam, points)
    uv, _ = right.camera.project(transform(inverse(right.T_world_cam), points[both]))
    there = right.view.image[uv[:, 1].astype(int), uv[:, 0].astype(int)].astype(float)
    difference = np.abs(there - colours[both]).mean(1)
    shuffled = np.abs(there[::-1] - colours[both]).mean(1)
    assert np.median(difference) < 10
    assert np.median(difference) < 0.25 * np.median(shuffled)


def test_a_pair_moves_forward_with_one_light():
    views = training_pair(5, 160, 48)
    assert set(views) == {"left0", "left1", "right0", "right1"}
    T = inverse(views["left0"].T_world_cam) @ views["left1"].T_world_cam
    assert 0.75 < T[2, 3] < 1.25
    stereo = inverse(views["left0"].T_world_cam) @ views["right0"].T_world_cam
    assert stereo[:3, 3] == pytest.approx([0.54, 0, 0], abs=1e-9)
    assert len({id(v.world) for v in views.values()}) == 1


def test_column_truth_marks_what_stands_in_the_band():
    world = bare_world(((10.0, 2.0, 1.0), (1.0, 0.5, 1.0)), ((20.0, 0.0, 5.0), (1.0, 1.0, 0.5)))
    x, y = np.arange(0.25, 30, 0.5), np.arange(-4.75, 5, 0.5)
    grid = column_truth(world, x, y, 0.2, 2.0)
    assert grid.shape == (len(y), len(x))
    X, Y = np.meshgrid(x, y)
    assert (grid == ((np.abs(X - 10) < 1) & (np.abs(Y - 2) < 0.5))).all()
    above = column_truth(world, x, y, 4.6, 5.4)
    assert (above == ((np.abs(X - 20) < 1) & (np.abs(Y) < 1))).all()
    shifted = np.eye(4)
    shifted[0, 3] = 5.0
    moved = column_truth(world, x, y, 0.2, 2.0, T_world_grid=shifted)
    assert (moved == ((np.abs(X - 5) < 1) & (np.abs(Y - 2) < 0.5))).all()


def test_the_robot_stands_in_the_free(frame):
    x = np.arange(0.0, 7.0, 0.25)
    lane = np.stack([x, np.full_like(x, frame.T_world_cam[1, 3]), np.full_like(x, 1.0)], 1)
    assert not occupied(frame.world, lane[:4]).any()
    assert frame.world.ground[KERB] >= 0


def test_bad_input_is_refused_in_a_sentence():
    with pytest.raises(UserError, match="seed"):
        StreetWorld.generate(-1)
    with pytest.raises(UserError, match="street"):
        StreetWorld.generate(0, 3.0)
    world = bare_world()
    with pytest.raises(UserError, match="rigid"):
        render(world, training_camera(64, 32), 2 * np.eye(4))
    with pytest.raises(UserError, match="band"):
        column_truth(world, [0.0], [0.0], 2.0, 1.0)
