"""Clouds: which cells become points, where, and what a depth image becomes."""

from __future__ import annotations

import numpy as np
import pytest

from kdbts_ros.density.clouds import (
    CELL_POINT,
    SOLID_FROM,
    SURFACE_POINT,
    cell_points,
    one_per_cube,
    solid_cells,
    surface_points,
)
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import Camera, inverse, transform
from test.density.networks import base_pose, forward_pose

NAN = float("nan")
GRID = AffineGrid(np.array([100.1, -7.9, 0.4]), np.diag([0.2, 0.2, 0.5]), (3, 2, 4))


def xyz(points: np.ndarray) -> np.ndarray:
    return np.stack([points["x"], points["y"], points["z"]], -1).astype(np.float64)


def test_points_lie_on_whole_words() -> None:
    assert CELL_POINT.itemsize == 20 and SURFACE_POINT.itemsize == 16
    offsets = {name: CELL_POINT.fields[name][1] for name in CELL_POINT.names}
    assert offsets == {"x": 0, "y": 4, "z": 8, "probability": 12, "observed": 16}


def test_an_occupied_column_is_told_by_its_solid_cells_or_else_by_its_likeliest() -> None:
    columns = {
        "solid": [SOLID_FROM, 0.9, 0.1],
        "faint": [0.02, 0.05, 0.04],
        "free": [0.9, 0.9, 0.9],
        "half seen": [NAN, 0.3, NAN],
        "out of view": [NAN, NAN, NAN],
        "empty": [0.0, 0.0, 0.0],
    }
    probability = np.array(list(columns.values()), np.float32).T[:, None]
    occupied = np.array([[name != "free" for name in columns]])
    found = solid_cells(probability, occupied)[:, 0].T.tolist()
    assert dict(zip(columns, found, strict=True)) == {
        "solid": [True, True, False],
        "faint": [False, True, False],
        "free": [False, False, False],
        "half seen": [False, True, False],
        "out of view": [False, False, False],
        "empty": [False, False, False],
    }


def test_points_are_centres_of_their_cells_in_the_frame_asked_for() -> None:
    cells, observed = np.zeros(GRID.shape, bool), np.zeros(GRID.shape, bool)
    cells[0, 1, 2] = cells[2, 0, 3] = observed[2, 0, 3] = True
    probability = np.arange(24, dtype=np.float32).reshape(GRID.shape) / 24
    T_fixed_base = base_pose(99.0, -8.0, yaw=0.5)
    points = cell_points(GRID, cells, probability, observed, inverse(T_fixed_base))
    expected = [[100.5, -7.7, 0.4], [100.7, -7.9, 1.4]]
    np.testing.assert_allclose(transform(T_fixed_base, xyz(points)), expected, atol=1e-5)
    assert points["probability"].tolist() == [probability[0, 1, 2], probability[2, 0, 3]]
    assert points["observed"].tolist() == [0, 1]


def test_kilometres_of_odometry_cost_no_centimetres() -> None:
    far = AffineGrid(GRID.origin + np.array([3e6, -2e6, 0]), GRID.steps, GRID.shape)
    T_base_fixed = inverse(base_pose(3e6, -2e6))
    everything = np.ones(GRID.shape, bool)
    points = cell_points(
        far, everything, np.zeros(GRID.shape, np.float32), everything, T_base_fixed
    )
    np.testing.assert_allclose(xyz(points), GRID.points(), atol=1e-4)


def test_no_cells_are_an_empty_cloud_with_its_fields() -> None:
    nothing = np.zeros(GRID.shape, bool)
    points = cell_points(GRID, nothing, np.ones(GRID.shape, np.float32), nothing, np.eye(4))
    assert points.shape == (0,) and points.dtype == CELL_POINT
    dark = np.full((4, 8), NAN, np.float32)
    image, lens = np.zeros((4, 8, 3), np.uint8), Camera(8, 4, 5, 5, 4, 2)
    surface = surface_points(dark, image, lens, np.eye(4), 0.2, np.eye(4))
    assert surface.shape == (0,) and surface.dtype == SURFACE_POINT


def test_each_point_of_a_surface_lies_on_the_ray_of_its_pixel_at_its_depth() -> None:
    lens, rng = Camera(16, 8, 10, 10, 8, 4), np.random.default_rng(0)
    depth = rng.uniform(4, 30, (8, 16)).astype(np.float32)
    depth[2, 3] = NAN
    image = rng.integers(0, 256, (16, 32, 3), dtype=np.uint8)
    T_fixed_cam = forward_pose(5.0, 2.0, 0.3)
    points = surface_points(depth, image, lens, T_fixed_cam, 1e-3, inverse(T_fixed_cam))
    # Cubes of a millimetre hold one pixel each.
    assert len(points) == depth.size - 1
    uv, z = lens.project(xyz(points))
    column, row = np.floor(uv).astype(int).T
    np.testing.assert_allclose(z, depth[row, column], rtol=1e-5)
    np.testing.assert_allclose(uv - np.floor(uv), 0.5, atol=1e-3)
    assert (2, 3) not in set(zip(row.tolist(), column.tolist(), strict=True))
    bits = points["rgb"].view(np.uint32)
    colours = np.stack([bits >> 16, bits >> 8 & 255, bits & 255], -1)
    np.testing.assert_array_equal(colours, image[2 * row, 2 * column])


@pytest.mark.parametrize("edge", [0.1, 0.5])
def test_a_wall_has_one_point_in_a_cube(edge: float) -> None:
    lens = Camera(160, 80, 100, 100, 80, 40)
    depth = np.full((80, 160), 5.03, np.float32)
    T_fixed_cam = forward_pose()
    image = np.zeros((80, 160, 3), np.uint8)
    points = surface_points(depth, image, lens, T_fixed_cam, edge, np.eye(4))
    cubes = np.floor(xyz(points) / edge).astype(int)
    assert len(np.unique(cubes, axis=0)) == len(points)
    everywhere = transform(T_fixed_cam, lens.rays().reshape(-1, 3) * 5.03)
    assert len(points) == len(np.unique(np.floor(everywhere / edge).astype(int), axis=0))
    assert len(points) < depth.size / 2


def test_of_points_in_a_cube_the_first_stays() -> None:
    points = np.array([[0.9, 0.1, 0.1], [-0.1, 0, 0], [0.1, 0.1, 0.1], [0.9, 0.2, 0.1]])
    assert one_per_cube(points, 1.0).tolist() == [0, 1]
    assert one_per_cube(points, 0.5).tolist() == [0, 1, 2]
