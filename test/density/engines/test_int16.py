"""Maps as 16-bit integers: what the instructions do, what units promise, when there are none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo
from kdbts_ros.density.engines.cpu import simd
from kdbts_ros.density.engines.cpu.int16_map import (
    ABSENT,
    MOST_HIDDEN,
    ROOM,
    UNIT,
    WHOLE,
    read_by,
    to_int16_map,
    to_int16_tables,
)
from kdbts_ros.density.engines.cpu.upright_columns import DENSE
from kdbts_ros.density.engines.encoded_view import projection
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.density.scene import SceneCompleter
from test.density.networks import (
    camera,
    forward_pose,
    tiny_network,
    tiny_scene,
    view,
    with_numbers,
)

needs_avx2 = pytest.mark.skipif(not simd.available(), reason="this processor has no AVX2")
int16s = st.lists(st.integers(-32768, 32767), min_size=16, max_size=16)
# Roundings of an answer of one channel, in counts of the map: pixels and tables, their shares, the
# products of both (14), and interpolation between every fourth row of the float tables (2.7e-4 of
# at most 32700 counts in each of three).
ROUNDINGS = 40


@njit
def worked_out(a, b, wide):
    """What the operations make of a and b (16,): four rows, wide sums and a total."""
    zero = np.uint64(0)
    x, y, row = simd.load(a, zero), simd.load(b, zero), np.empty((4, 16), np.int16)
    # Neither reads nor writes, wherever that is.
    simd.touch(a, np.uint64(1) << np.uint64(40))
    simd.store(row[0], zero, simd.scale(x, y))
    simd.store(row[1], zero, simd.add(x, y))
    simd.store(row[2], zero, simd.rectify(x))
    simd.store(row[3], zero, simd.splat(a[3]))
    pairs = simd.dot_pairs(x, y)
    twice = simd.add_wide(pairs, pairs)
    simd.store_totals(wide, zero, pairs, twice, simd.nothing(), pairs)
    return row, simd.total(pairs)


@needs_avx2
@given(int16s, int16s)
@settings(max_examples=100, deadline=None)
def test_vectors_do_what_their_names_say(a, b):
    x, y = np.array(a, np.int64), np.array(b, np.int64)
    wide = np.zeros(4, np.int32)
    row, total = worked_out(x.astype(np.int16), y.astype(np.int16), wide)
    # The one product that does not fit, of the two most negative numbers, wraps around.
    assert (row[0] == ((x * y + (1 << 14)) >> 15).astype(np.int16)).all()
    assert (row[1] == (x + y).astype(np.int16)).all()
    assert (row[2] == np.maximum(x, 0)).all()
    assert (row[3] == x[3]).all()
    once = (x * y).sum()
    assert (wide == np.array([once, 2 * once, 0, once]).astype(np.int32)).all()
    assert total == once.astype(np.int32)


def as_int16(scene):
    head = scene.field.heads[0]
    counts = scene.views[0].feature_maps[0].permute(1, 2, 0).flatten().numpy()
    return head, counts, to_int16_map(counts, head.arrays, to_int16_tables(head.arrays), 2)


@pytest.fixture(scope="module")
def mapped():
    """A head, a folded map of its, and that map as integers."""
    scene = tiny_scene()
    scene.set_views([view()])
    return as_int16(scene)


def test_units_leave_room_for_every_sum(mapped):
    head, values, found = mapped
    arrays, tables = head.arrays, to_int16_tables(head.arrays)
    largest = np.abs(values.reshape(-1, arrays.hidden)).max(0)
    unit = (largest + tables.bound) / ROOM
    back = found.features.reshape(-1, arrays.hidden) * unit
    # Half a count, and what float32 resolves of 65536: the conversion adds 32768 before it cuts.
    assert (np.abs(back - values.reshape(-1, arrays.hidden)) <= (0.5 + 2**-7) * unit).all()
    worst = np.abs(found.features.reshape(-1, arrays.hidden)).max(0).astype(np.int64)
    for table, ratio in ((found.u, found.ratio), (found.v, UNIT), (found.z, found.ratio)):
        counts = np.abs(table.reshape(-1, arrays.hidden)).max(0).astype(np.int64)
        worst += -(-counts * np.int64(ratio) // 32767)
    assert worst.max() <= ROOM + 8
    # A rectified count is at most 32767: no sum over channels leaves 32 bits.
    sums = np.abs(found.out.astype(np.int64)).sum()
    assert 32767 * sums < 2**31
    assert 32767 * (WHOLE + MOST_HIDDEN // 2) < 2**31 <= 32767 * (WHOLE + MOST_HIDDEN // 2 + 1)


# Weights of a last layer of one answer over sixteen channels: alike, or one beside which the others
# are next to nothing.
weights = st.lists(
    st.one_of(st.just(0.0), st.floats(-1e6, 1e6), st.floats(-1e-3, 1e-3)),
    min_size=16,
    max_size=16,
)


@given(weights, st.integers(0, 15), st.floats(1.0, 1e12))
@settings(max_examples=100, deadline=None)
def test_no_last_layer_leaves_its_bits(mapped, weights, heaviest, factor):
    head, values, _ = mapped
    row = np.array(weights, np.float32)
    row[heaviest] *= np.float32(factor)
    found = to_int16_map(values, head.arrays._replace(out=row), to_int16_tables(head.arrays), 2)
    exact = row.astype(np.float64) * found.unit / found.back[0]
    # Half a count, and what float32 resolves of 32767: a count that wrapped around is 65536 off.
    assert np.abs(found.out - exact).max() <= 0.5 + 2**-6
    assert 32767 * np.abs(found.out.astype(np.int64)).sum() < 2**31


@needs_avx2
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("others", [0.0, 1e-3])
@pytest.mark.parametrize(("head", "widths"), [("bts", (16,)), ("mvbts", (32, 8, 8))])
def test_a_single_weight_may_be_all_of_a_last_layer(head, widths, others, sign):
    """More than half of the sum of a row in one weight: as counts of that sum it left 16 bits."""
    made = []
    for numbers in ("integers", "floats"):
        network = tiny_network(head, widths={head: widths})
        with torch.no_grad():
            last = next(m for n, m in network.head.named_modules() if n.endswith("lin_out"))
            last.weight[:, 0] = sign
            last.weight[:, 1:] *= others
        info = CheckpointInfo("test", network.spec, "0" * 64)
        scene = SceneCompleter(network, info, torch.device("cpu"), "float32")
        with_numbers(scene, numbers).set_views([view()])
        grid = AffineGrid(np.array([3.0, -2.0, 0.2]), np.eye(3) * 0.4, (4, 11, 13))
        made.append(scene.queries.grid_densities(grid))
        if numbers == "integers":
            used = scene.views[0].kept[head]
            shares = np.abs(used.out.reshape(-1, widths[0]).astype(np.int64))
            assert (shares.max(1) > 0.9 * shares.sum(1)).all() and shares.max() == 32767
    integers, floats = made
    known = np.isfinite(floats)
    assert known.any() and (np.isfinite(integers) == known).all()
    assert np.ptp(floats[known]) > 0.01
    np.testing.assert_allclose(integers[known], floats[known], rtol=2e-3, atol=1e-3)


@needs_avx2
@pytest.mark.parametrize(
    ("head", "widths"),
    [("bts", (16,)), ("mvbts", (32, 16, 8)), ("mvbts", (32, 8, 16)), ("mvbts", (32, 5, 6))],
)
@given(st.floats(-0.4, 0.4), st.floats(0.8, 2.5), st.booleans())
@settings(max_examples=10, deadline=None)
def test_integers_are_off_by_no_more_than_their_roundings(head, widths, yaw, z, tilted):
    """Before the last softplus, whose slope is at most one, and before the fusion of views."""
    scene = with_numbers(tiny_scene(head, widths={head: widths}), "integers")
    pose = forward_pose(yaw=yaw, z=z)
    if tilted:
        c, s = np.cos(0.1), np.sin(0.1)
        pose[:3, :3] = pose[:3, :3] @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    scene.set_views([View(view().image, camera(), pose)])
    steps = np.array([[0.4, 0, 0], [0, 0.3, 0], [0, 0, 0.11]])
    grid = AffineGrid(np.array([2.0, -1.5, 0.0]), steps, (19, 13, 21))
    integers = scene.queries.grid_densities(grid)
    used = scene.views[0].kept[head]
    with_numbers(scene, "floats")
    floats = scene.queries.grid_densities(grid)
    assert (np.isnan(integers) == np.isnan(floats)).all()
    assert np.isfinite(floats).any()
    if head == "bts":
        # Sum over channels of weight times unit, see `to_int16_map`.
        bound = ROUNDINGS * WHOLE * used.back[0]
        assert np.nanmax(np.abs(integers - floats)) <= bound
        assert (integers != floats)[np.isfinite(floats)].any()
    else:
        np.testing.assert_allclose(integers, floats, rtol=2e-3, atol=1e-3)


@needs_avx2
@pytest.mark.parametrize("up", [0.0125, -0.0125])
def test_levels_closer_than_rows_of_the_map_are_off_by_no_more(up):
    """The rows beside an upright column are then made once; upwards and downwards."""
    scene = with_numbers(tiny_scene("bts"), "integers")
    scene.set_views([View(view().image, camera(), forward_pose())])
    steps = np.array([[0.4, 0, 0], [0, 0.3, 0], [0, 0, up]])
    grid = AffineGrid(np.array([4.0, -1.5, 0.6]), steps, (40, 13, 21))
    q = grid.seen_by(projection(scene.views[0]))
    v = np.array([q[0, 1] + k * q[3, 1] for k in (0, 39)]) / q[0, 2]
    rows = abs(np.diff(v)[0]) / 2 * scene.spec.image_height
    assert 1 < rows < 40 / DENSE - 2, "the nearest column, whose levels are furthest apart"
    integers = scene.queries.grid_densities(grid)
    bound = ROUNDINGS * WHOLE * scene.views[0].kept["bts"].back[0]
    floats = with_numbers(scene, "floats").queries.grid_densities(grid)
    assert (np.isnan(integers) == np.isnan(floats)).all() and np.isfinite(floats).any()
    assert np.nanmax(np.abs(integers - floats)) <= bound
    assert (integers != floats)[np.isfinite(floats)].any()


def test_depths_through_integers_are_those_through_floats():
    scene = with_numbers(tiny_scene(), "integers")
    scene.set_views([view()])
    t = np.linspace(3.0, 80.0, 40, dtype=np.float32)
    integers = scene.queries.depths(0, t, (24, 48), 0.0)
    assert scene.views[0].kept["bts"].features.size
    floats = with_numbers(scene, "floats").queries.depths(0, t, (24, 48), 0.0)
    for found, expected in zip(integers[::2], floats[::2], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(integers.surface, floats.surface, rtol=1e-3)
    assert not np.array_equal(integers.expected, floats.expected)


def test_a_map_is_made_once_and_counted_as_memory():
    scene = with_numbers(tiny_scene(), "integers")
    scene.set_views([view()])
    before = scene.views[0].nbytes
    grid = AffineGrid(np.array([3.0, 0, 0]), np.eye(3) * 0.5, (3, 3, 3))
    assert scene.views[0].kept == {}
    scene.queries.grid_densities(grid)
    made = scene.views[0].kept["bts"]
    assert scene.views[0].nbytes == before + made.features.nbytes
    scene.use([scene.views[0].reposed(forward_pose(x=1.0))])
    scene.queries.grid_densities(grid)
    assert scene.views[0].kept["bts"] is made


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["map", "weights", "table"])
def test_what_is_not_finite_stays_a_float(place, value):
    scene = tiny_scene()
    scene.set_views([view()])
    head, values, found = as_int16(scene)
    assert found.features.size == values.size
    arrays = head.arrays
    parts = {"map": values, "weights": arrays.out, "table": arrays.v}
    parts[place] = parts[place].copy()
    parts[place][5] = value
    arrays = arrays._replace(out=parts["weights"], v=parts["table"])
    assert to_int16_map(parts["map"], arrays, to_int16_tables(arrays), 2) is ABSENT


def test_answers_beyond_what_floats_hold_stay_floats(mapped):
    head, values, found = mapped
    arrays = head.arrays._replace(out=np.full(head.arrays.hidden, 3e38, np.float32))
    assert to_int16_map(values * 1e5, arrays, to_int16_tables(arrays), 2) is ABSENT
    assert read_by(found._replace(unit=found.unit * 1e5), arrays) is ABSENT


def test_channels_that_fill_no_vectors_stay_floats():
    scene = tiny_scene()
    arrays = scene.field.heads[0].arrays._replace(hidden=8)
    assert to_int16_map(np.ones(64, np.float32), arrays, to_int16_tables(arrays), 2) is ABSENT


def test_a_processor_without_the_instructions_answers_with_floats(monkeypatch):
    network = tiny_network()
    info = tiny_scene().info
    monkeypatch.setattr(simd, "available", lambda: False)
    scene = SceneCompleter(network, info, torch.device("cpu"), "float32")
    scene.check_engine()
    assert scene.engine_note == ""
    scene.set_views([view()])
    grid = AffineGrid(np.array([3.0, 0, 0]), np.eye(3) * 0.5, (3, 3, 3))
    assert np.isfinite(scene.queries.grid_densities(grid)).any()
    assert scene.views[0].kept == {}
