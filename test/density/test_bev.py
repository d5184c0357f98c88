"""The published map: where cells lie, what they say, and what stays unknown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdbts_ros.density.birds_eye_map import map_around
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.density.maps.grid import GridWindow, HeightBand, OccupancyMap
from kdbts_ros.errors import UserError
from test.density.networks import base_pose, camera, forward_pose, tiny_scene, view

BAND = HeightBand(0.2, 2.0, 0.3)


@given(
    st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.sampled_from([0.05, 0.1, 0.2, 0.25, 0.5, 1.0])
)
def test_windows_are_snapped_and_centred(x, y, resolution):
    window = GridWindow.around(x, y, 20.0, resolution)
    for corner in (window.x0, window.y0):
        assert abs(corner / resolution - round(corner / resolution)) < 1e-6
    xs, ys = window.centres()
    assert abs((xs[0] + xs[-1]) / 2 - x) <= resolution
    assert abs((ys[0] + ys[-1]) / 2 - y) <= resolution
    assert len(xs) == window.width == round(20.0 / resolution)


def test_height_band_levels_fill_the_band():
    heights, thickness = HeightBand(0.3, 2.0, 0.25).levels()
    assert thickness <= 0.25
    assert heights[0] == pytest.approx(0.3 + thickness / 2)
    assert heights[-1] == pytest.approx(2.0 - thickness / 2)
    with pytest.raises(UserError, match="empty"):
        HeightBand(2.0, 1.0)


def mapped(scene, x, y, yaw):
    scene.set_views([View(view().image, camera(), forward_pose(x, y, yaw))])
    window = GridWindow.around(x, y, 24.0, 0.5)
    return map_around(scene, base_pose(x, y, yaw), window, BAND)


def test_only_what_lies_ahead_is_known():
    found = mapped(tiny_scene(), 0.0, 0.0, 0.0)
    x, y = found.window.centres()
    known = np.isfinite(found.probability)
    assert known.any()
    assert not known[:, x < tiny_scene().spec.depth_near].any(), "nearer than ever learnt"
    # Half the image is as wide as it is long at this focal length: nothing beyond 40 degrees.
    X, Y = np.meshgrid(x, y)
    assert not known[np.abs(Y) > 0.84 * X].any()
    assert not found.observed[~known].any()


def test_a_turned_robot_sees_the_same_scene_in_turned_cells():
    """The grid keeps the axes of the fixed frame; a quarter turn of the robot turns its content."""
    scene = tiny_scene()
    straight = mapped(scene, 0.0, 0.0, 0.0).probability
    left = mapped(scene, 0.0, 0.0, np.pi / 2).probability
    # Ahead is +x (columns) before the turn and +y (rows) after it; left is -x.
    expected = np.rot90(straight, -1)
    same_unknown = np.isnan(left) == np.isnan(expected)
    assert same_unknown.mean() > 0.99
    both = np.isfinite(left) & np.isfinite(expected)
    assert np.abs(left - expected)[both].max() < 1e-2


def test_columns_are_opacity_over_the_band():
    scene = tiny_scene()
    found = mapped(scene, 0.0, 0.0, 0.0)
    heights, thickness = BAND.levels()
    x, y = found.window.centres()
    row, column = 24, 40
    points = [[x[column], y[row], h] for h in heights]
    sigma, seen = scene.density(points)
    assert seen.all()
    expected = 1 - np.exp(-sigma.sum() * thickness)
    assert found.probability[row, column] == pytest.approx(expected, rel=1e-4)


def test_a_pitched_base_carries_its_ground_plane():
    scene = tiny_scene()
    level = mapped(scene, 0.0, 0.0, 0.0)
    pitch = 0.1
    turn = np.eye(4)
    turn[:3, :3] = [
        [np.cos(pitch), 0, np.sin(pitch)],
        [0, 1, 0],
        [-np.sin(pitch), 0, np.cos(pitch)],
    ]
    scene.set_views([View(view().image, camera(), turn @ forward_pose())])
    pitched = map_around(scene, turn, level.window, BAND)
    both = np.isfinite(level.probability) & np.isfinite(pitched.probability)
    # Cells are vertical in the fixed frame and a little foreshortened, so not exactly equal.
    assert both.mean() > 0.1
    assert np.abs(level.probability - pitched.probability)[both].mean() < 0.05


def test_a_base_on_its_side_is_refused():
    scene = tiny_scene()
    scene.set_views([view()])
    side = np.eye(4)
    side[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    with pytest.raises(UserError, match="z axis must point up"):
        map_around(scene, side, GridWindow.around(0, 0, 10, 0.5), BAND)


def three_cells(probability, observed):
    window = GridWindow(1.0, len(probability), 1, 0.0, 0.0)
    return OccupancyMap(window, np.array([probability], np.float32), np.array([observed], np.bool_))


def test_trinary_and_percent_values():
    found = three_cells([0.0, 0.49, 0.5, 1.0, np.nan], [True, True, True, True, False])
    assert found.trinary(0.5).tolist() == [[0, 0, 100, 100, -1]]
    assert found.percent(0.5).tolist() == [[0, 49, 50, 100, -1]]
    assert found.trinary(0.5).dtype == np.int8


def test_what_completed_cells_may_say():
    found = three_cells([0.1, 0.4, 0.9, 0.4], [False, False, False, True])
    assert found.trinary(0.5, "keep").tolist() == [[0, 0, 100, 0]]
    assert found.trinary(0.5, "discount").tolist() == [[0, -1, 100, 0]]
    assert found.trinary(0.5, "unknown").tolist() == [[-1, -1, -1, 0]]
    assert found.percent(0.5, "keep").tolist() == [[10, 40, 90, 40]]
    assert found.percent(0.5, "discount").tolist() == [[10, -1, 90, 40]]
    assert found.percent(0.5, "unknown").tolist() == [[-1, -1, -1, 40]]
    assert (found.trinary(0.5) == found.trinary(0.5, "discount")).all()


@given(
    st.integers(0, 1000), st.floats(0.02, 0.98), st.sampled_from(["keep", "discount", "unknown"])
)
def test_both_grids_are_unknown_in_the_same_cells(seed, threshold, completed):
    """Nav2 takes a percentage short of lethal for free: the one grid must not tell what the other
    does not."""
    rng = np.random.default_rng(seed)
    probability = rng.random(40, np.float32)
    probability[rng.random(40) < 0.2] = np.nan
    found = three_cells(probability, rng.random(40) < 0.5)
    trinary, percent = found.trinary(threshold, completed), found.percent(threshold, completed)
    assert ((trinary == -1) == (percent == -1)).all()
    behind = ~found.observed[0] & np.isfinite(probability)
    sure = behind & (probability < threshold / 2)
    free = trinary[0] == 0
    expected = {
        "keep": behind & (probability < threshold),
        "discount": sure,
        "unknown": sure & ~sure,
    }
    assert (free[behind] == expected[completed][behind]).all()


def test_a_density_that_is_not_a_number_makes_its_column_unknown():
    scene = tiny_scene()
    scene.field.heads[0].last.bias.data.fill_(float("nan"))
    found = mapped(scene, 0.0, 0.0, 0.0)
    assert np.isnan(found.probability).all()
    assert (found.trinary() == -1).all()
