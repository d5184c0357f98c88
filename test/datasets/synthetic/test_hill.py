"""Hills: depth, occupancy and visibility agree on them, and a level street is as it always was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.datasets.synthetic.ground import PARAMETERS
from kdbts_ros.datasets.synthetic.hill import EVERYWHERE, LEVEL, Hill, hill_of
from kdbts_ros.datasets.synthetic.primitives import BOX, PLAIN, PrimitiveTable
from kdbts_ros.datasets.synthetic.raycast import exact_depth, render
from kdbts_ros.datasets.synthetic.rig import mount, training_camera
from kdbts_ros.datasets.synthetic.training import training_views
from kdbts_ros.datasets.synthetic.truth import column_truth, occupied, visible
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.geometry.camera import transform
from kdbts_ros.errors import UserError
from kdbts_ros.learning.frames.sources import LabelledWorlds

CAMERA = training_camera(320, 96)
HILLS = (
    Hill(8.0, 30.0, 0.1),
    Hill(8.0, 30.0, -0.1),
    Hill(6.0, 9.0, 0.06),
    Hill(*EVERYWHERE, 0.1),
    Hill(*EVERYWHERE, -0.08),
)
SEED = 2


def plain(hill: Hill, *boxes: tuple[tuple[float, float, float], tuple[float, float, float]]):  # type: ignore[no-untyped-def]
    """An empty plain on a hill, with boxes of (centre, half extents) of the level one."""
    table = PrimitiveTable()
    for centre, half in boxes:
        table.add(BOX, centre, half, 0.0, PLAIN, (0.5, 0.4, 0.3))
    light = StreetWorld.generate(0).light
    ground = np.zeros(PARAMETERS)
    return StreetWorld(
        0, table.array(), ground, np.zeros((0, 6)), light, 100.0, 0.0, hill=hill.checked()
    )


def pose_on(hill: Hill, x: float, yaw: float = 0.0) -> np.ndarray:
    """T_world_cam of a level mount 1.65 m over a base that stands on the hill at x."""
    base = np.eye(4)
    base[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    base[0, 3] = x
    return hill.on_it(base) @ mount((0.0, 0.0, 1.65))


@pytest.mark.parametrize("hill", HILLS, ids=str)
@pytest.mark.parametrize(("x", "yaw"), [(0.0, 0.0), (20.0, np.pi), (12.0, 0.7)])
def test_the_ground_s_depth_is_that_of_its_height(hill: Hill, x: float, yaw: float) -> None:
    """Points at the depths of a bare plain lie on the hill's surface, and rays before it do not."""
    pose = pose_on(hill, x, yaw)
    depth = exact_depth(plain(hill), CAMERA, pose).astype(np.float64)
    near = depth < 60
    assert near.mean() > 0.2
    rays = CAMERA.rays().astype(np.float64)[near]
    points = transform(pose, rays * depth[near][:, None])
    np.testing.assert_allclose(points[:, 2], hill.rise(points[:, 0]), atol=2e-5)
    for share in (0.3, 0.6, 0.9):
        before = transform(pose, rays * (share * depth[near])[:, None])
        assert (before[:, 2] > hill.rise(before[:, 0])).all()


def test_a_crest_hides_what_lies_behind_it() -> None:
    """Up by 10 % for 10 m, then level: from 1.65 m the plain behind is seen at a grazing angle."""
    hill = Hill(8.0, 18.0, 0.2)
    depth = exact_depth(plain(hill), CAMERA, pose_on(hill, 0.0))
    assert np.isinf(depth[:40]).all()
    beyond = depth[:, 160][np.isfinite(depth[:, 160])]
    assert not (beyond > 18.5).any(), "the crest at 2 m stands above the camera"


@pytest.mark.parametrize("hill", HILLS, ids=str)
def test_behind_a_surface_is_solid_before_it_free_and_visible(hill: Hill) -> None:
    world = StreetWorld.generate(SEED, hill=hill)
    base = np.eye(4)
    base[1, 3] = world.lane_d
    pose = hill.on_it(base) @ mount((0.0, 0.0, 1.65))
    depth = exact_depth(world, CAMERA, pose)[::3, ::3].astype(np.float64)
    near = depth < 40
    points = transform(pose, CAMERA.rays()[::3, ::3][near] * depth[near][:, None])
    away = points - pose[:3, 3]
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    assert occupied(world, points - 0.02 * away).mean() < 0.01
    assert occupied(world, points + 0.01 * away).mean() > 0.9
    assert visible(world, CAMERA, pose, points - 0.02 * away).mean() > 0.995
    assert not visible(world, CAMERA, pose, points + 0.3 * away).any()
    for part in np.linspace(0.05, 0.97, 12):
        on_the_way = pose[:3, 3] + part * (points - 0.05 * away - pose[:3, 3])
        assert occupied(world, on_the_way).mean() < 0.01, "nothing is passed through"


def test_a_wall_across_the_break_is_met_where_its_shifted_faces_are() -> None:
    """Along the road from 5 to 11 m, to the left of it, its foot on the street all along."""
    hill = Hill(8.0, 30.0, 0.1)
    world = plain(hill, ((8.0, 2.0, 0.5), (3.0, 0.25, 0.5)))
    pose = pose_on(hill, 0.0)
    depth = exact_depth(world, CAMERA, pose).astype(np.float64)
    bare = exact_depth(plain(hill), CAMERA, pose)
    wall = depth < bare - 1e-6
    assert wall.sum() > 300
    points = transform(pose, CAMERA.rays()[wall] * depth[wall][:, None])
    height = points[:, 2] - hill.rise(points[:, 0])
    assert (height > -1e-6).all() and (height < 1 + 1e-6).all()
    on_side = np.abs(points[:, 1] - 1.75) < 1e-6
    on_front = np.abs(points[:, 0] - 5.0) < 1e-6
    on_top = np.abs(height - 1.0) < 1e-5
    assert (on_side | on_front | on_top).all()
    assert (points[on_side, 0] > 8.5).any() and (points[on_side, 0] < 7.5).any()


def test_columns_stand_on_the_hill() -> None:
    hill = Hill(8.0, 30.0, 0.1)
    world = plain(hill, ((20.0, 1.0, 0.5), (1.0, 1.0, 0.5)))
    x, y = np.arange(2.0, 30.0), np.arange(-3.0, 4.0)
    found = column_truth(world, x, y, 0.3, 2.0)
    np.testing.assert_array_equal(
        np.argwhere(found), np.argwhere((np.abs(x - 20) < 1) & (np.abs(y - 1) < 1)[:, None])
    )


def test_a_base_stands_on_the_street() -> None:
    hill = Hill(8.0, 30.0, 0.1)
    drive = StreetDrive(SEED, frames=40, hill=hill)
    for i in (0, 20, 39):
        T = drive.T_world_base(i)
        assert T[2, 3] == pytest.approx(float(hill.rise(T[0, 3])))
        np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
    ahead = drive.T_world_base(20)[:3, 0]
    assert ahead[2] / ahead[0] == pytest.approx(0.1)
    assert drive.T_world_base(0)[2, 2] == 1.0


def test_movers_on_a_hill_are_those_of_the_level_street() -> None:
    level, hilly = (
        StreetDrive(SEED, frames=5, moving=True, hill=h) for h in (LEVEL, Hill(8, 40, 0.1))
    )
    assert [(m.x, m.d, m.speed) for m in level.movers] == [
        (m.x, m.d, m.speed) for m in hilly.movers
    ]


def test_a_hill_without_a_slope_is_the_level_street() -> None:
    world = StreetWorld.generate(SEED)
    assert world.hill == LEVEL
    assert world.digest() != StreetWorld.generate(SEED, hill=HILLS[0]).digest()
    same = StreetWorld.generate(SEED, hill=Hill(8.0, 30.0, 0.0))
    assert same.digest() == world.digest()
    pose = pose_on(LEVEL, 0.0)
    np.testing.assert_array_equal(
        render(same, CAMERA, pose).image, render(world, CAMERA, pose).image
    )


def test_seeds_without_a_hill_are_drawn_as_where_there_are_none() -> None:
    seed = next(s for s in range(50) if hill_of(s, 0.5) == LEVEL)
    (usual, _), (spared, _) = (training_views(seed, 1, 64, 64, hills=share) for share in (0.0, 0.5))
    assert digest(usual.view.image, usual.depth) == digest(spared.view.image, spared.depth)


def digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


def drawn(share: float) -> Iterator[Hill]:
    return (hill_of(seed, share) for seed in range(300))


def test_shares_of_hills() -> None:
    assert all(hill == LEVEL for hill in drawn(0.0))
    hills = [hill for hill in drawn(0.5) if hill != LEVEL]
    assert 110 < len(hills) < 190
    assert 0.2 < np.mean([hill.everywhere for hill in hills]) < 0.45
    slopes = np.array([hill.slope for hill in hills])
    assert (np.abs(slopes) <= 0.14).all() and (np.abs(slopes) >= 0.02).all()
    assert np.abs(slopes).max() > 0.12
    assert 0.2 < (slopes > 0).mean() < 0.45
    assert all(hill == hill.checked() for hill in hills)


def test_training_frames_stand_on_hills() -> None:
    seed = next(s for s in range(50) if hill_of(s, 1.0).everywhere)
    frame, others = training_views(seed, 2, 64, 64, hills=1.0)
    assert frame.world.hill == hill_of(seed, 1.0)
    assert 1.4 < frame.height < 1.9
    assert frame.T_world_cam[2, 2] == pytest.approx(frame.world.hill.slope, abs=0.06)
    assert len(others) == 2
    labelled = LabelledWorlds(64, 64, 200, 40, 0, hills=1.0)(seed)
    assert np.isfinite(labelled.points).all()


@pytest.mark.parametrize("bad", [Hill(9.0, 8.0, 0.1), Hill(0.0, 10.0, 0.3)])
def test_hills_no_street_has_are_refused(bad: Hill) -> None:
    with pytest.raises(UserError, match="a hill needs"):
        StreetWorld.generate(1, hill=bad)
