"""The reference's LiDAR protocol: equal to its evaluator, quirk by quirk, and on a spun scan."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.datasets.synthetic.truth import occupied
from kdbts_ros.density.geometry.camera import transform
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.lidar import spun_scan
from kdbts_ros.evaluation.lidar_protocol import (
    ALL_QUIRKS,
    BINS,
    PosedScan,
    ReferenceGrid,
    before_own_depth,
    lidar_occupancy,
    nearest_returns,
    reference_measures,
)
from test.shared_data import PARITY, needs_parity

GRIDS = {"code_old": ReferenceGrid(), "code_new": ReferenceGrid(y=(1 / 3, 1.0), layers=3)}
# Scanner axes (x forward, y left, z up) in the levelled camera frame.
T_LEVEL_VELO = np.array([[0, -1.0, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def fixture():
    with np.load(PARITY / "occ_eval.npz") as arrays:
        return dict(arrays)


def posed(fixture):
    pairs = zip(fixture["scans"], fixture["velo_to_world"], strict=True)
    return [PosedScan(s[:, :3].astype(np.float64), T.astype(np.float64)) for s, T in pairs]


@needs_parity
@pytest.mark.parametrize("case", GRIDS)
def test_parity_with_the_reference_evaluator(fixture, case):
    grid, scans = GRIDS[case], posed(fixture)
    assert grid.points().shape[:3] == tuple(fixture[f"{case}_shape_yzx"])
    solid, visible = lidar_occupancy(grid, scans)
    assert np.array_equal(solid, fixture[f"{case}_occ_lidar"])
    assert np.array_equal(visible, fixture[f"{case}_vis_lidar"])
    for scan, expected in zip(scans, fixture[f"{case}_slices0"], strict=True):
        directions, ranges = nearest_returns(grid.levels()[0], scan, grid.reach)
        np.testing.assert_allclose(directions, expected[:, 0], atol=1e-5)
        np.testing.assert_allclose(ranges, expected[:, 1], atol=1e-4)
    ndc = fixture[f"{case}_cam_xy"].astype(np.float64)
    own = before_own_depth(fixture[f"{case}_depth"], ndc, fixture[f"{case}_cam_z"])
    assert np.array_equal(own, fixture[f"{case}_vis_pred"])
    found = reference_measures(fixture[f"{case}_density"] > 0.5, solid, visible | own)
    np.testing.assert_allclose(list(found.values()), fixture[f"{case}_metrics"][:6], atol=1e-6)


def wall(distance: float, count: int = 3600) -> np.ndarray:
    """Returns of a round wall at a planar distance, at the height of the first layer."""
    azimuth = np.linspace(-np.pi, np.pi, count, endpoint=False)
    return np.stack(
        [distance * np.cos(azimuth), distance * np.sin(azimuth), np.full(count, -0.375)], -1
    )


@settings(max_examples=15)
@given(st.floats(5.0, 18.0))
def test_behind_a_wall_all_is_occupied_and_before_it_nothing(distance):
    grid = ReferenceGrid(per_metre=2.0)
    scans = [PosedScan(wall(distance), T_LEVEL_VELO)] * 4
    solid, visible = lidar_occupancy(grid, scans, frozenset())
    planar = np.hypot(*grid.points().reshape(-1, 3)[:, [0, 2]].T)
    assert np.array_equal(solid, planar > distance)
    assert np.array_equal(visible, ~solid)


def test_each_quirk_changes_what_it_says():
    grid = ReferenceGrid(z=(1.0, 20.0), per_metre=2.0)
    near = PosedScan(wall(10.0), T_LEVEL_VELO)
    open_ = PosedScan(wall(30.0), T_LEVEL_VELO)
    points = grid.points().reshape(-1, 3)
    planar = np.hypot(points[:, 0], points[:, 2])

    def solid(scans, *quirks):
        return lidar_occupancy(grid, scans, frozenset(quirks))[0]

    dissent = [near, near, open_, open_]
    assert not solid(dissent).any()
    assert np.array_equal(solid(dissent, "two_dissenters"), planar > 10)
    assert np.array_equal(solid([near], "near_is_behind"), (planar > 10) | (planar < 3))
    shifted = np.sqrt((points**2).sum(1) + 1) > 10
    assert np.array_equal(solid([near], "homogeneous_norm"), shifted)
    half = PosedScan(near.xyz[near.xyz[:, 1] > 0], T_LEVEL_VELO)
    assert not solid([half])[points[:, 0] > 0.5].any()
    assert solid([half], "repeated_bins")[(points[:, 0] > 0.5) & (planar > 10)].any()


def test_returns_beyond_the_box_open_their_direction_at_any_height():
    grid = ReferenceGrid()
    high = wall(40.0)
    high[:, 2] = 12.0
    directions, ranges = nearest_returns(
        grid.levels()[0], PosedScan(high, T_LEVEL_VELO), grid.reach
    )
    assert directions.shape == ranges.shape == (BINS + 2,)
    np.testing.assert_allclose(ranges, 40.0, rtol=1e-9)


def test_measures_by_hand():
    p, o = np.array([1, 0, 1, 0], bool), np.array([1, 1, 0, 0], bool)
    hidden = reference_measures(p, o, np.zeros(4, bool))
    assert hidden["O_acc"] == hidden["IE_acc"] == hidden["IE_rec"] == 0.5
    seen = reference_measures(p, o, np.ones(4, bool))
    assert seen["O_prec"] == 0 and np.isnan(seen["IE_rec"])


def test_a_spun_scan_lies_on_the_surfaces_of_its_world():
    drive = StreetDrive(2_000_000_001, frames=3)
    scan = spun_scan(drive.world, drive.T_world_base(2))
    points = transform(scan.T_world_velo, scan.xyz)
    rays = points - scan.T_world_velo[:3, 3]
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    assert len(points) > 20_000
    assert occupied(drive.world, points + 0.02 * rays).mean() > 0.99
    assert occupied(drive.world, points - 0.02 * rays).mean() < 0.01
    azimuth = np.degrees(np.arctan2(scan.xyz[:, 1], scan.xyz[:, 0]))
    assert len(np.unique(np.floor(azimuth))) == 360


def test_an_empty_box_is_refused():
    with pytest.raises(UserError, match="holds no points"):
        ReferenceGrid(x=(1.0, 1.0))
    with pytest.raises(UserError, match="at least one scan"):
        lidar_occupancy(ReferenceGrid(), [], ALL_QUIRKS)
