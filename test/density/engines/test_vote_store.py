"""Votes kept from map to map say what votes asked anew would say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdbts_ros.density.engines.cpu import vote_cache
from kdbts_ros.density.engines.cpu.multi_view import FusedQueries
from kdbts_ros.density.engines.cpu.vote_cache import TOLERANCE, VoteStore
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.plain_torch import TorchQueries
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.maps.grid import GridWindow, HeightBand, band_columns
from kdbts_ros.density.scene import SceneCompleter
from test.density.engines.test_engine import scene_with_student
from test.density.networks import NUMBERS, against_torch, base_pose, view, with_numbers

BAND = HeightBand(0.3, 2.0, 0.25)
SIDE, RESOLUTION = 12.0, 0.5


def grid_at(x: float, y: float = 0.0, z: float = 0.0, pitch: float = 0.0) -> AffineGrid:
    """The columns of a map around a robot, one level thicker than whole vectors."""
    pose = base_pose(x)
    pose[:3, 3] = x, y, z
    c, s = np.cos(pitch), np.sin(pitch)
    pose[:3, :3] = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return band_columns(pose, GridWindow.around(x, y, SIDE, RESOLUTION), BAND)[0]


@pytest.fixture(scope="module", params=NUMBERS)
def scene(request: pytest.FixtureRequest) -> SceneCompleter:
    made: SceneCompleter = scene_with_student((32, 8, 8))  # type: ignore[no-untyped-call]
    return with_numbers(made, request.param)


@pytest.fixture(scope="module")
def encoded(scene: SceneCompleter) -> list[EncodedView]:
    return [scene.encode(view(k, x=0.7 * k, yaw=0.05 * k)) for k in range(4)]


def compare(scene: SceneCompleter, grid: AffineGrid) -> None:
    """What the scene says with its votes kept, and what it says without any."""
    assert isinstance(scene.queries, FusedQueries)
    maps = [v.feature_maps[0] for v in scene.views]
    tables = scene.engine.tables[0]  # type: ignore[attr-defined]
    anew = FusedQueries(scene.field.heads[0], scene.views, maps, tables)
    visibility = scene.visibility()
    found, expected = (
        scene.queries.column_sums(grid, visibility),
        anew.column_sums(grid, visibility),
    )
    assert expected.seen.any()
    np.testing.assert_array_equal(found.seen, expected.seen)
    np.testing.assert_array_equal(found.visible, expected.visible)
    whole = tables is not None
    # Where a window begins moves what is rounded, by a count of the map.
    close = {"rtol": 2e-3, "atol": 1e-3} if whole else {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(found.density, expected.density, **close)


def stale_columns(scene: SceneCompleter, grid: AffineGrid) -> list[int]:
    """How many columns each view in use would be asked about."""
    store = scene.engine.votes
    assert store.open(grid, scene.views, scene.visibility())
    return [int(store.stale(slot).sum()) for slot in store.slots]


def test_a_window_that_moves_keeps_what_it_still_shows(
    scene: SceneCompleter, encoded: list[EncodedView]
) -> None:
    scene.use(encoded[:3])
    cells = round(SIDE / RESOLUTION)
    for x, y in ((0, 0), (0.5, 0), (1.0, -0.5), (0.5, 2.0), (30.0, 0), (1.0, 1.0)):
        compare(scene, grid_at(x, y))
    assert stale_columns(scene, grid_at(1.0, 1.0)) == [0, 0, 0]
    assert stale_columns(scene, grid_at(1.5, 1.0)) == [cells] * 3
    assert stale_columns(scene, grid_at(1.0, 1.0)) == [cells] * 3, (
        "what left the window is forgotten"
    )


def test_only_a_new_view_is_asked_about_the_whole_map(
    scene: SceneCompleter, encoded: list[EncodedView]
) -> None:
    cells = round(SIDE / RESOLUTION) ** 2
    scene.forget_votes()
    scene.use(encoded[:2])
    compare(scene, grid_at(0))
    scene.use([encoded[2], *encoded[:2]])
    assert stale_columns(scene, grid_at(0)) == [cells, 0, 0]
    compare(scene, grid_at(0))
    scene.use([encoded[3], encoded[0]])
    assert stale_columns(scene, grid_at(0)) == [cells, 0]
    compare(scene, grid_at(0))
    scene.use([encoded[1], encoded[0].reposed(encoded[0].T_world_cam)])
    assert stale_columns(scene, grid_at(0)) == [0, cells], "another pose is another view"


def test_a_view_that_comes_back_is_asked_about_what_is_new_alone(
    scene: SceneCompleter, encoded: list[EncodedView], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.forget_votes()
    monkeypatch.setattr(vote_cache, "SLOTS", 3)
    cells = round(SIDE / RESOLUTION) ** 2
    for first, second, expected in (
        (0, 1, [cells, cells]),
        (0, 2, [0, cells]),
        (0, 1, [0, 0]),
        (0, 3, [0, cells]),
        (0, 1, [0, 0]),
        (0, 2, [0, cells]),
    ):
        scene.use([encoded[first], encoded[second]])
        assert stale_columns(scene, grid_at(0)) == expected
        compare(scene, grid_at(0))
        assert len(scene.engine.votes.votes) <= 3
    scene.use([encoded[0], encoded[1]])
    moved = round(SIDE / RESOLUTION)
    assert stale_columns(scene, grid_at(RESOLUTION)) == [moved, moved]
    compare(scene, grid_at(RESOLUTION))


def test_the_place_of_a_view_that_nobody_holds_is_taken(
    scene: SceneCompleter, encoded: list[EncodedView]
) -> None:
    scene.forget_votes()
    for _ in range(3):
        scene.use([encoded[0], dataclasses.replace(encoded[1])])
        compare(scene, grid_at(0))
    assert sum(owner is not None for owner in scene.engine.votes._owners) <= 3


def test_ground_that_moves_up_or_down_is_asked_anew_beyond_a_tolerance(
    scene: SceneCompleter, encoded: list[EncodedView]
) -> None:
    scene.use(encoded[:2])
    compare(scene, grid_at(0))
    assert stale_columns(scene, grid_at(0, z=0.9 * TOLERANCE)) == [0, 0]
    cells = round(SIDE / RESOLUTION) ** 2
    assert stale_columns(scene, grid_at(0, z=-1.1 * TOLERANCE)) == [cells, cells]
    pitched = grid_at(0, pitch=0.02)
    some = stale_columns(scene, pitched)
    assert all(0 < count < cells for count in some), "what is near has hardly moved"
    compare(scene, grid_at(0, z=0.5))


def test_light_that_ends_elsewhere_is_asked_anew(
    scene: SceneCompleter, encoded: list[EncodedView]
) -> None:
    scene.use(encoded[:2])
    compare(scene, grid_at(0))
    scene.forget_answers()
    assert min(stale_columns(scene, grid_at(0))) > 0
    compare(scene, grid_at(0))


@against_torch("cpu/vote_cache")
def test_votes_kept_while_driving_are_those_of_torch(
    scene: SceneCompleter, encoded: list[EncodedView]
) -> None:
    scene.forget_votes()
    scene.use(encoded[:3])
    for x in (0.0, 1.5):
        grid, visibility = grid_at(x), scene.visibility()
        found = scene.queries.column_sums(grid, visibility)
    plain = TorchQueries(
        scene.field.heads[0], scene.views, [v.feature_maps[0] for v in scene.views]
    )
    expected = plain.column_sums(grid, visibility)
    # A point on the very border of an image may fall to either side.
    same = (found.seen == expected.seen) & (expected.seen > 0)
    assert same.sum() > 0.98 * (expected.seen > 0).sum() > 100
    np.testing.assert_allclose(found.density[same], expected.density[same], rtol=4e-3, atol=1.4e-2)


@pytest.mark.parametrize("change", ["raster", "turned", "resolution", "levels"])
def test_another_raster_begins_anew(
    scene: SceneCompleter, encoded: list[EncodedView], change: str
) -> None:
    scene.use(encoded[:2])
    before = grid_at(0)
    compare(scene, before)
    grid, origin, steps = before, before.origin.copy(), before.steps.copy()
    if change == "raster":
        origin[0] += RESOLUTION / 3
    elif change == "turned":
        steps[0, 1] = 0.01
    elif change == "resolution":
        steps[:2] *= 0.5
        origin[:2] *= 0.5
    grid = dataclasses.replace(before, origin=origin, steps=steps)
    if change == "levels":
        grid = dataclasses.replace(before, shape=(9, *before.shape[1:]))
    compare(scene, grid)
    compare(scene, before)


def test_votes_of_a_map_that_is_too_large_are_not_kept(
    scene: SceneCompleter, encoded: list[EncodedView], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.use(encoded[:2])
    compare(scene, grid_at(0))
    monkeypatch.setattr(vote_cache, "MOST_BYTES", 1000)
    compare(scene, grid_at(0))
    assert scene.engine.votes.nbytes == 0


def test_a_store_knows_its_memory(scene: SceneCompleter, encoded: list[EncodedView]) -> None:
    store = VoteStore(9)
    assert store.nbytes == 0
    assert store.open(grid_at(0), encoded[:2], [np.ones((2, 2), np.float32)] * 2)
    levels = grid_at(0).shape[0]
    assert levels == 7
    cells = round(SIDE / RESOLUTION) ** 2
    # Eight rows share a byte that says which of them a view sees.
    assert store.nbytes == 2 * cells * (10 * 7 * 4 + 4) + 2 * cells // 8


def test_votes_and_their_views_are_dropped_when_time_jumps(
    scene: SceneCompleter, encoded: list[EncodedView]
) -> None:
    scene.use(encoded[:2])
    compare(scene, grid_at(0))
    assert scene.engine.votes.nbytes > 0
    scene.forget_votes()
    assert scene.engine.votes.nbytes == 0 and not scene.engine.votes._owners
    compare(scene, grid_at(0))


moves = st.lists(
    st.tuples(
        st.integers(-3, 3),
        st.integers(-3, 3),
        st.sets(st.integers(0, 3), min_size=2, max_size=3),
    ),
    min_size=2,
    max_size=6,
)


@settings(max_examples=15, deadline=None)
@given(moves=moves)
def test_any_drive_says_what_it_would_say_without_memory(
    scene: SceneCompleter,
    encoded: list[EncodedView],
    moves: list[tuple[int, int, set[int]]],
) -> None:
    x = y = 0.0
    for column, row, chosen in moves:
        x, y = x + RESOLUTION * column, y + RESOLUTION * row
        scene.use([encoded[k] for k in sorted(chosen)])
        if abs(x) < 4 and abs(y) < 4:
            compare(scene, grid_at(x, y))
