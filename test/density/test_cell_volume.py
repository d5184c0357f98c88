"""The box of cells over the ground: where it stands, what is unknown, who has the last word."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kdbts_ros.density.birds_eye_map import within_range
from kdbts_ros.density.cell_volume import (
    COMPLETED,
    OBSERVED,
    UNKNOWN,
    box_over,
    cells_of,
    volume_around,
)
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import transform
from kdbts_ros.density.maps.grid import GridWindow, HeightBand, MapArea, band_columns
from kdbts_ros.density.scene import OPACITY_LENGTH, SceneCompleter
from test.density.networks import base_pose, tiny_scene, view

BAND = HeightBand(0.25, 1.75, 0.25)


def area(T_fixed_base: np.ndarray) -> MapArea:
    window = GridWindow.around(T_fixed_base[0, 3], T_fixed_base[1, 3], 16.0, 0.5)
    return MapArea(T_fixed_base, window, BAND)


def seeing(*views: object) -> SceneCompleter:
    scene = tiny_scene("mvbts")
    scene.set_views(list(views))  # type: ignore[arg-type]
    return scene


def leaning(pitch: float, roll: float = 0.0, yaw: float = 0.6) -> np.ndarray:
    T = base_pose(3.0, -2.0)
    T[:3, :3] = Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix()
    T[2, 3] = 5.0
    return T


def test_on_level_ground_the_box_holds_the_cells_of_the_map() -> None:
    columns, thickness = band_columns(*area(base_pose(3.2, -1.1, yaw=0.7)))
    lattice, T = box_over(columns)
    np.testing.assert_array_equal(T[:3, :3], np.eye(3))
    assert (lattice.resolution, lattice.height_step) == (0.5, pytest.approx(thickness))
    points = AffineGrid.of_lattice(lattice, T).points()
    np.testing.assert_allclose(points, columns.points(), atol=1e-12)


@pytest.mark.parametrize(("pitch", "roll"), [(0.1, 0.0), (0.0, -0.2), (0.15, 0.1)])
def test_on_a_slope_the_box_leans_with_the_ground_and_does_not_turn(
    pitch: float, roll: float
) -> None:
    pose = leaning(pitch, roll)
    _, T = box_over(band_columns(*area(pose))[0])
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(T[:3, 2], pose[:3, 2], atol=1e-12)
    turn = Rotation.from_matrix(T[:3, :3]).as_rotvec()
    assert turn[2] == pytest.approx(0, abs=1e-12), "about a level axis"
    # Heights over the ground plane, which is z = 0 of the base.
    bottom = transform(T, [[0.0, 0, 0], [10.0, 0, 0], [0, 10.0, 0]])
    heights = (bottom - pose[:3, 3]) @ pose[:3, 2]
    np.testing.assert_allclose(heights, BAND.low * pose[2, 2], atol=1e-9)


def test_a_cell_is_unknown_exactly_where_it_has_no_probability() -> None:
    found = volume_around(seeing(view()), area(base_pose()))
    assert found.probability.shape == found.state.shape == found.lattice.shape == (6, 32, 32)
    assert set(np.unique(found.state)) == {UNKNOWN, OBSERVED, COMPLETED}
    np.testing.assert_array_equal(found.state == UNKNOWN, np.isnan(found.probability))
    known = found.probability[np.isfinite(found.probability)]
    assert known.min() >= 0 and known.max() <= 1 and known.std() > 0.01
    x = found.T_fixed_lattice[0, 3] + (np.arange(32) + 0.5) * 0.5
    assert (found.state[:, :, x < 0] == UNKNOWN).all(), "the camera looks ahead"


def test_what_is_nearer_than_depths_were_learnt_is_unknown() -> None:
    scene = seeing(view())
    found = volume_around(scene, area(base_pose()))
    x = found.T_fixed_lattice[0, 3] + (np.arange(32) + 0.5) * 0.5
    assert scene.spec.depth_near == 3.0
    assert (found.state[:, :, x < 3.0] == UNKNOWN).all()
    assert (found.state[:, :, x > 3.5] != UNKNOWN).any()


def test_cells_say_what_the_scene_says_of_them() -> None:
    scene = seeing(view())
    found = volume_around(scene, area(base_pose()))
    plain = scene.occupancy(found.lattice, found.T_fixed_lattice)
    known = found.state != UNKNOWN
    np.testing.assert_array_equal(found.probability[known], plain.probability[known])
    np.testing.assert_array_equal((found.state == OBSERVED)[known], plain.observed[known])


def test_what_the_newest_image_observes_is_no_less_occupied_beside_others() -> None:
    both = seeing(view(0), view(1, x=-2.0))
    columns, _ = band_columns(*area(base_pose()))
    newest = both.alone
    alone, heard = newest.queries.grid_occupancy(columns, newest.visibility, OPACITY_LENGTH)
    heard &= within_range(newest.views, both.spec.depth_near, columns) & np.isfinite(alone)
    together, observed = cells_of(both, columns)
    assert (observed | ~heard).all()
    assert (together[heard] >= alone[heard]).all()
    voted = both.occupancy(*box_over(columns)).probability
    others = ~heard & np.isfinite(together)
    assert heard.any() and others.any()
    np.testing.assert_array_equal(together[others], voted[others])
    assert (together[heard] > voted[heard]).any(), "the vote alone would have erased something"
