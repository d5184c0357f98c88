"""The compiled engine: approximations within their bounds, every query equal to torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba import njit

from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo
from kdbts_ros.density.engines.cpu import fast_math
from kdbts_ros.density.engines.cpu.single_view import CompiledQueries, CompiledViews
from kdbts_ros.density.engines.plain_torch import TorchQueries
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.density.geometry.lattice import Lattice
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.parity.reference_profile import fast_profile, profile_grid, profile_points
from kdbts_ros.density.scene import SceneCompleter
from test.density.networks import (
    NUMBERS,
    WHOLE_VECTORS,
    against_torch,
    base_pose,
    camera,
    forward_pose,
    thin_spec,
    tiny_scene,
    view,
    with_numbers,
)
from test.density.test_scene import LATTICE, plain_density

# What rounding to 16 bits leaves of a density that two layers of large random weights have made;
# `test_int16` holds a single layer to a bound of its own.
CLOSE = {"floats": {"rtol": 3e-4, "atol": 1e-4}, "integers": {"rtol": 4e-3, "atol": 2e-3}}


@njit
def evaluated(function, values):
    out = np.empty_like(values)
    for i in range(values.size):
        out[i] = function(values[i])
    return out


def test_exp_and_softplus_keep_their_error_bounds():
    x = np.linspace(-80, 0, 200_001, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    assert np.abs(evaluated(fast_math.exp_of_negative, x) / exact - 1).max() < 5e-6
    x = np.linspace(-60, 60, 200_001, dtype=np.float32)
    exact = np.logaddexp(0, x.astype(np.float64))
    assert np.abs(evaluated(fast_math.softplus, x) / exact - 1).max() < 5e-6
    assert np.isnan(evaluated(fast_math.softplus, np.array([np.nan], np.float32))).all()


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("head", ["bts", "mvbts"])
@given(
    st.tuples(*[st.floats(-3, 3)] * 3),
    st.tuples(*[st.floats(-0.3, 0.3)] * 3),
    st.tuples(st.integers(1, 20), st.integers(1, 5), st.integers(1, 7)),
)
# A level camera, before which columns stand upright; the second so near that tables end.
@example((0.0, 0.2, 0.0), (0.0, 0.0, 0.2), (20, 5, 7))
@example((-2.6, 0.0, 0.0), (0.0, 0.0, 0.0), (20, 5, 7))
@settings(max_examples=15, deadline=None)
def test_grids_equal_their_points_before_any_camera(head, numbers, offset, turn, shape):
    """Tilted, rolled, before and behind the camera, nearer than the tables go."""
    scene = with_numbers(tiny_scene(head, widths=WHOLE_VECTORS), numbers)
    roll, pitch, yaw = turn
    pose = forward_pose(yaw=yaw)
    c, s = np.cos(roll), np.sin(roll)
    pose[:3, :3] = pose[:3, :3] @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    c, s = np.cos(pitch), np.sin(pitch)
    pose[:3, :3] = pose[:3, :3] @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    scene.set_views([View(view().image, camera(), pose)])
    steps = np.array([[0.7, 0.1, 0], [0, 0.5, 0], [0, 0, 0.13]])
    grid = AffineGrid(np.array([3.0, 0, 1.2]) + offset, steps, shape)
    found = scene.queries.grid_densities(grid).ravel()
    sigma, seen = scene.density(grid.points())
    # A point on the very border of the image may fall to either side.
    agree = np.isfinite(found) == seen
    assert (~agree).sum() <= 1
    both = agree & seen
    np.testing.assert_allclose(found[both], sigma[both], **CLOSE[numbers])


@against_torch("cpu/columns", "cpu/column_geometry", "cpu/points", "cpu/fusion", "cpu/votes")
@against_torch("cpu/int16_loops", "cpu/int16_map", "cpu/simd", "cpu/fast_math")
@against_torch("cpu/upright_columns")
@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("head", ["bts", "mvbts", "simple_multiview"])
def test_every_query_equals_the_torch_formulation(head, numbers):
    scene = with_numbers(tiny_scene(head, widths=WHOLE_VECTORS), numbers)
    half = np.ones((2, 2), bool)
    half[:, 0] = False
    first = View(view(0).image, camera(), forward_pose(), scale=1.3, valid=half)
    scene.set_views([first, view(1, x=0.5, yaw=0.1)])
    plain = TorchQueries(
        scene.field.heads[0], scene.views, [v.feature_maps[0] for v in scene.views]
    )
    lattice = Lattice.from_bounds((1.5, 12.0), (-4.0, 4.0), (0.0, 2.0), 0.5)
    grid = AffineGrid.of_lattice(lattice, base_pose(yaw=0.2))
    visibility = scene.visibility()
    assert len(visibility) == len(scene.views)
    dense, expected = scene.queries.grid_densities(grid), plain.grid_densities(grid)
    assert (np.isnan(dense) == np.isnan(expected)).all()
    np.testing.assert_allclose(dense, expected, **CLOSE[numbers])
    sums, other = scene.queries.column_sums(grid, visibility), plain.column_sums(grid, visibility)
    np.testing.assert_allclose(sums.density, other.density, **CLOSE[numbers])
    assert (sums.seen == other.seen).all()
    assert (sums.visible == other.visible).all()
    assert 0 < sums.visible.sum() < sums.seen.sum()
    visible = plain.visible(grid.points(), visibility).reshape(grid.shape)
    occupancy, observed = scene.queries.grid_occupancy(grid, visibility, 0.5)
    np.testing.assert_allclose(occupancy, 1 - np.exp(-0.5 * dense), atol=1e-6)
    assert (observed == (visible & np.isfinite(dense))).all()
    levels = scene.queries.transparent_levels(grid, 2.0)
    assert (levels != plain.transparent_levels(grid, 2.0)).mean() < 0.01


@pytest.mark.parametrize("tilt", [0.0, 0.1])
@pytest.mark.parametrize("rows", [1, 6, 13])
def test_occupancy_in_one_pass_is_that_of_densities_and_light(tilt, rows):
    """Upright and slanting columns, more rows and fewer than are answered together."""
    scene = tiny_scene()
    pose = forward_pose()
    c, s = np.cos(tilt), np.sin(tilt)
    pose[:3, :3] = pose[:3, :3] @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    scene.set_views([View(view().image, camera(), pose)])
    steps = np.array([[0.4, 0, 0], [0, 0.3, 0], [0, 0, 0.11]])
    grid = AffineGrid(np.array([2.0, -1.5, 0.0]), steps, (19, rows, 21))
    visibility = scene.visibility()
    occupancy, observed = scene.queries.grid_occupancy(grid, visibility, 0.5)
    dense = scene.queries.grid_densities(grid)
    assert (np.isnan(occupancy) == np.isnan(dense)).all() and np.isfinite(dense).any()
    np.testing.assert_allclose(occupancy, 1 - np.exp(-0.5 * dense), atol=1e-6)
    visible = scene.queries.visible(grid.points(), visibility).reshape(grid.shape)
    # The pixel of a cell on the border of two is a matter of rounding.
    assert (observed != visible).mean() < 2e-3 and observed.any() and not observed.all()
    sums = scene.queries.column_sums(grid, visibility)
    assert (sums.visible == observed.sum(0)).all()
    np.testing.assert_allclose(sums.density, np.nansum(dense, 0), rtol=1e-5)


def test_a_density_that_is_not_a_number_is_no_free_space():
    scene = tiny_scene()
    with torch.no_grad():
        scene.network.head.mlp.lin_out.bias.fill_(float("nan"))
    scene = SceneCompleter(scene.network, scene.info, scene.device, "float32")
    scene.set_views([view()])
    lattice = Lattice.from_bounds((2.0, 8.0), (-1.0, 1.0), (0.0, 1.0), 0.5)
    grid = AffineGrid.of_lattice(lattice, base_pose())
    occupancy, _ = scene.queries.grid_occupancy(grid, scene.visibility(), 0.5)
    assert np.isnan(occupancy).all()
    assert scene.queries.column_sums(grid, scene.visibility()).seen.any()
    assert np.isnan(scene.queries.column_sums(grid, scene.visibility()).density).any()


def test_a_cell_is_observed_when_light_of_any_view_reaches_it():
    scene = tiny_scene("mvbts")
    scene.set_views([view(0), view(1, x=6.0)])
    points = scene.views[1].T_world_cam[:3, 3] + np.array([[2.5, 0, 0]])
    assert scene.seen(points).all()
    both = scene.observed(points)
    visibility = scene.visibility()
    alone = scene.queries.visible(points, [np.zeros_like(visibility[0]), visibility[1]])
    assert both.all()
    assert alone.all()


def test_the_profile_is_that_of_its_points():
    scene = tiny_scene()
    pose = forward_pose(x=3.0, yaw=0.4)
    scene.set_views([View(view().image, camera(), pose)])
    points = profile_points(16, 8, 0.1).numpy() @ pose[:3, :3].T + pose[:3, 3]
    np.testing.assert_allclose(profile_grid(16, 8, 0.1, pose).points(), points, atol=1e-4)
    sigma, seen = scene.density(points)
    running = np.where(seen, sigma, 1).reshape(8, 16, 16).cumsum(0)
    expected = (running <= 8.0).mean(0)
    assert (np.abs(fast_profile(scene, 16, 8, 0.1) - expected) < 1e-6).mean() > 0.99


def scene_with_student(widths=(24, 8, 8)):
    torch.manual_seed(0)
    spec = thin_spec(
        "mvbts",
        widths,
        (128, 64),
        feature_channels=16,
        decoder_channels=(8, 8, 8, 8, 8),
        student_widths=(16,),
    )
    network = DensityNetwork(spec).eval()
    info = CheckpointInfo("test", spec, "0" * 64)
    return SceneCompleter(network, info, torch.device("cpu"), "float32")


def test_where_light_ends_is_told_by_the_student_of_each_view_alone():
    scene = scene_with_student()
    views = [scene.encode(view(0)), scene.encode(view(1, x=0.5))]
    alone = []
    for encoded in views:
        scene.use([encoded])
        alone.append(scene.visibility()[0])
        scene.forget_answers()
    scene.use(views)
    together = scene.visibility()
    np.testing.assert_array_equal(together, alone)
    assert not np.array_equal(*together)
    # What was asked once is known for good, also under another pose.
    scene.use([views[1].reposed(forward_pose(x=2.0))])
    assert scene.visibility()[0] is together[1]


def test_depth_of_several_views_may_be_told_by_the_student_alone():
    scene = scene_with_student()
    views = [scene.encode(view(0)), scene.encode(view(1, x=0.5))]
    scene.use(views[:1])
    alone = scene.depth_map(stride=4)
    scene.use(views)
    told, fused = scene.depth_map(stride=4, by_student=True), scene.depth_map(stride=4)
    np.testing.assert_array_equal(told.depth, alone.depth)
    assert not np.array_equal(told.depth, fused.depth)


def test_one_view_is_answered_by_the_student_several_by_the_teacher():
    scene = scene_with_student()
    views = [scene.encode(view(0)), scene.encode(view(1, x=0.5))]
    assert [m.shape[0] for m in views[0].feature_maps] == [24, 16]
    points = np.array([[5.0, 0.3, 1.5], [8.0, -1.0, 1.7]])
    answers = {}
    for count, head in ((1, "kdbts"), (2, "mvbts")):
        scene.use(views[:count])
        assert scene.head_in_use == head
        answers[head], _ = scene.density(points)
        index = scene.field.answering(count)
        plain = TorchQueries(
            scene.field.heads[index], scene.views, [v.feature_maps[index] for v in scene.views]
        )
        np.testing.assert_allclose(answers[head], plain.point_densities(points), rtol=1e-3)
    assert (answers["kdbts"] != answers["mvbts"]).all()


@pytest.mark.parametrize("head", ["bts", "mvbts"])
def test_an_engine_that_is_right_is_kept(head):
    scene = tiny_scene(head)
    scene.check_engine()
    assert scene.engine_note == ""
    assert scene.views == ()
    scene.set_views([view()])
    assert isinstance(scene.queries, CompiledViews)


def test_integers_that_differ_are_replaced_by_floats_with_a_sentence():
    scene = with_numbers(tiny_scene(), "integers")
    tables = scene.engine.tables[0]
    scene.engine.tables[0] = tables._replace(v=np.roll(tables.v, 16 * 900))
    scene.check_engine()
    assert "16-bit integers were refused" in scene.engine_note
    scene.set_views([view()])
    assert isinstance(scene.queries, CompiledQueries)
    grid = AffineGrid.of_lattice(LATTICE, None)
    plain = TorchQueries(
        scene.field.heads[0], scene.views, [v.feature_maps[0] for v in scene.views]
    )
    np.testing.assert_allclose(
        scene.queries.grid_densities(grid), plain.grid_densities(grid), rtol=3e-4, atol=1e-4
    )
    assert scene.views[0].kept == {}


def test_an_engine_that_differs_is_replaced_with_a_sentence():
    scene = tiny_scene()
    arrays = scene.field.heads[0].arrays
    scene.field.heads[0].arrays = arrays._replace(out=arrays.out * np.float32(1.2))
    scene.check_engine()
    assert "refused" in scene.engine_note
    scene.set_views([view()])
    sigma, seen = scene.density(LATTICE.centres().reshape(-1, 3))
    expected, _ = plain_density(scene, LATTICE.centres().reshape(-1, 3))
    np.testing.assert_allclose(sigma[seen], expected[seen], rtol=1e-4, atol=1e-5)
