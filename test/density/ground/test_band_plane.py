"""The plane of the band: found by hand-made depths, filtered where it lies, bounded."""

from __future__ import annotations

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic.hill import Hill
from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.ground.band_plane import (
    AS_TOLD,
    MOST_AHEAD,
    GroundPlane,
    PlaneRules,
    PlaneTrack,
    fit_band_plane,
)
from kdbts_ros.density.maps.grid import GridWindow, HeightBand, band_columns
from kdbts_ros.errors import UserError

HEIGHT = TrainingCamera().height
CAMERA = TrainingCamera().camera(640, 192)
BASE_CAM = mount((0.0, 0.0, HEIGHT))
SECOND = 1_000_000_000
SHAPE = (32, 160)


def depth_of(height_at, T_base_cam: np.ndarray = BASE_CAM) -> np.ndarray:  # type: ignore[no-untyped-def]
    """(32,160) z-depth at which rays first lie under a ground of height_at(x, y), 80 m at most."""
    rays = CAMERA.resized(160, 32).rays().astype(np.float64) @ T_base_cam[:3, :3].T
    depth = np.full(SHAPE, 80.0)
    for t in np.geomspace(1.0, 80.0, 1500)[::-1]:
        points = T_base_cam[:3, 3] + rays * t
        depth[points[..., 2] <= height_at(points[..., 0], points[..., 1])] = t
    return depth.astype(np.float32)


def error(plane: GroundPlane, height_at, places: list[tuple[float, float]]) -> float:  # type: ignore[no-untyped-def]
    """Largest distance in height, m, at places (x, y)."""
    xy = np.array(places, float)
    return float(np.abs(plane.at(xy) - height_at(xy[:, 0], xy[:, 1])).max())


AHEAD = [(x, y) for x in (5.0, 10.0, 15.0, 20.0) for y in (-2.0, 0.0, 2.0)]


def test_level_ground_is_that_of_transforms() -> None:
    assert fit_band_plane(depth_of(lambda x, y: 0 * x), CAMERA, BASE_CAM) == AS_TOLD


def test_what_networks_bend_a_level_ground_by_counts_for_nothing() -> None:
    bent = depth_of(lambda x, y: 0 * x) * np.float32(1.05)
    assert fit_band_plane(bent, CAMERA, BASE_CAM) == AS_TOLD


@pytest.mark.parametrize("slope", [0.04, 0.1, -0.1])
def test_a_slope_from_the_wheels_on(slope: float) -> None:
    """As of a base that transforms take for level on a ramp."""

    def ramp(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.clip(slope * (x - 4.0), -2.5, 2.5)

    plane = fit_band_plane(depth_of(ramp), CAMERA, BASE_CAM)
    assert plane is not None
    assert error(plane, ramp, AHEAD) < 0.06
    assert plane.slope_x == pytest.approx(slope, abs=0.01)


@pytest.mark.parametrize("begin", [6.0, 9.0, 12.0])
def test_a_rise_that_begins_ahead_leaves_less_than_the_band_s_foot(begin: float) -> None:
    """One plane for a ground that breaks: within 0.3 m of it all along the strip."""
    hill = Hill(begin, 60.0, 0.1)
    plane = fit_band_plane(depth_of(lambda x, y: hill.rise(x)), CAMERA, BASE_CAM)
    assert plane is not None
    assert error(plane, lambda x, y: hill.rise(x), AHEAD) < 0.3
    assert hill.rise(20.0) > 0.75


def test_cars_beside_and_ahead_do_not_lift_it() -> None:
    def street(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        car = ((x > 12) & (x < 16) & (np.abs(y) < 0.9)) | ((y > 1.5) & (x > 6))
        return np.where(car, 1.4, np.where(y < -2.2, 0.12, 0.0))

    plane = fit_band_plane(depth_of(street), CAMERA, BASE_CAM)
    assert plane is not None and error(plane, lambda x, y: 0 * x, AHEAD) < 0.1


@pytest.mark.parametrize("roll", [-2.5, 2.5])
def test_a_base_that_rolls_while_transforms_say_level(roll: float) -> None:
    tilt = np.tan(np.radians(roll))

    def rolled(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return tilt * y + 0.05 * (x - 4)

    plane = fit_band_plane(depth_of(rolled), CAMERA, BASE_CAM)
    assert plane is not None
    assert plane.slope_y == pytest.approx(tilt, abs=0.016)
    assert error(plane, rolled, AHEAD) < 0.1


def test_a_camera_that_looks_aside_finds_the_slope_of_where_it_looks() -> None:
    left = mount((0.0, 0.0, HEIGHT), np.pi / 2)

    def ramp(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 0.08 * np.maximum(y - 4.0, 0)

    plane = fit_band_plane(depth_of(ramp, left), CAMERA, left)
    assert plane is not None
    assert error(plane, ramp, [(0.0, 6.0), (1.0, 12.0), (-1.0, 18.0)]) < 0.06


def test_a_low_camera_looks_nearer() -> None:
    """Half as high and shown twice as large: the same picture, a world of half the size."""
    full = depth_of(lambda x, y: 0.08 * np.maximum(x - 4, 0))
    low = mount((0.0, 0.0, HEIGHT / 2))
    plane = fit_band_plane(full / np.float32(2), CAMERA, low, scale=2.0)
    expected = fit_band_plane(full, CAMERA, BASE_CAM)
    assert plane is not None and expected is not None
    assert plane.slope_x == pytest.approx(expected.slope_x, abs=0.015)


def test_walls_noise_and_blind_views_are_no_ground() -> None:
    wall = np.minimum(depth_of(lambda x, y: 0 * x), np.float32(3.5))
    assert fit_band_plane(wall, CAMERA, BASE_CAM) is None
    rng = np.random.default_rng(0)
    spread = depth_of(lambda x, y: 0 * x) * np.exp(rng.uniform(-1.5, 1.5, SHAPE))
    assert fit_band_plane(spread.astype(np.float32), CAMERA, BASE_CAM) is None
    blind = np.zeros(SHAPE, np.bool_)
    level = depth_of(lambda x, y: 0 * x)
    assert fit_band_plane(level, CAMERA, BASE_CAM, valid=blind) is None


def test_steeper_ground_than_any_street_is_cut() -> None:
    plane = fit_band_plane(depth_of(lambda x, y: 0.16 * np.maximum(x - 4, 0)), CAMERA, BASE_CAM)
    assert plane is None or plane.slope_x <= MOST_AHEAD + 1e-9


def moved(x: float, pitch_deg: float = 0.0) -> np.ndarray:
    """T_fixed_base."""
    c, s = np.cos(np.radians(pitch_deg)), np.sin(np.radians(pitch_deg))
    T = np.eye(4)
    T[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    T[0, 3] = x
    return T


def test_a_plane_is_one_in_every_frame() -> None:
    plane = GroundPlane(-0.3, 0.08, 0.02)
    there = plane.seen_from(np.linalg.inv(moved(7.0, 3.0)))
    points = np.random.default_rng(3).uniform(-10, 10, (20, 2))
    on_it = np.column_stack([points, there.at(points), np.ones(20)]) @ moved(7.0, 3.0).T
    np.testing.assert_allclose(plane.at(on_it), on_it[:, 2], atol=1e-9)
    np.testing.assert_allclose(plane.seen_from(np.eye(4)), plane, atol=1e-12)


def test_the_first_counts_at_once_and_stands_where_it_was_while_the_robot_comes_nearer() -> None:
    track = PlaneTrack()
    assert track.at(moved(0.0)) == AS_TOLD and not track.known
    track.add(GroundPlane(-0.4, 0.1, 0.0), moved(0.0), 0)
    np.testing.assert_allclose(track.at(moved(0.0)), [-0.4, 0.1, 0], atol=1e-9)
    np.testing.assert_allclose(track.at(moved(2.0)), [-0.2, 0.1, 0], atol=1e-9)


def test_a_base_that_has_come_onto_the_slope_stands_on_it() -> None:
    track = PlaneTrack()
    track.add(GroundPlane(0.0, 0.1, 0.0), moved(0.0), 0)
    tilted = moved(0.0, -np.degrees(np.arctan(0.1)))
    np.testing.assert_allclose(track.at(tilted), AS_TOLD, atol=1e-9)


def test_one_wrong_frame_moves_it_little_and_without_ground_it_returns() -> None:
    track, tenth = PlaneTrack(), SECOND // 10
    track.add(AS_TOLD, moved(0.0), 0)
    for k in range(1, 10):
        track.add(AS_TOLD, moved(0.0), k * tenth)
    track.add(GroundPlane(-0.4, 0.1, 0.0), moved(0.0), 10 * tenth)
    assert 0 < track.at(moved(0.0)).slope_x < 0.035
    for k in range(11, 40):
        track.add(GroundPlane(-0.4, 0.1, 0.0), moved(0.0), k * tenth)
    held = track.at(moved(0.0))
    assert held.slope_x == pytest.approx(0.1, abs=0.002)
    for k in range(40, 48):
        track.add(None, moved(0.0), k * tenth)
    assert track.at(moved(0.0)) == pytest.approx(held)
    for k in range(48, 120):
        track.add(None, moved(0.0), k * tenth)
    assert abs(track.at(moved(0.0)).slope_x) < 0.005


def test_what_was_seen_long_ago_is_bounded_here() -> None:
    """A ramp 40 m back is no ground 4 m above the wheels."""
    track = PlaneTrack()
    track.add(GroundPlane(0.0, 0.12, 0.0), moved(0.0), 0)
    here = track.at(moved(40.0))
    assert here.height < 0.8 and here.slope_x <= MOST_AHEAD


def test_columns_stand_on_the_plane() -> None:
    """A grid on a followed plane is as affine as any: no engine needs to know."""
    plane, window = GroundPlane(-0.4, 0.1, 0.03), GridWindow(0.5, 20, 16, -3.0, -4.0)
    grid, thickness = band_columns(moved(1.0) @ plane.pose, window, HeightBand(0.3, 2.0, 0.5))
    lowest = grid.points().reshape(*grid.shape, 3)[0].reshape(-1, 3)
    expected = plane.at(lowest[:, :2] - [1.0, 0.0]) + 0.3 + thickness / 2
    np.testing.assert_allclose(lowest[:, 2], expected, atol=1e-7)


def test_times_that_mean_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="times above 0"):
        PlaneRules(settle=0.0)
