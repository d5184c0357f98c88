"""The rolling local map: nothing is lost by moving, and nothing is remembered for ever."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdbts_ros.density.maps.grid import GridWindow, OccupancyMap
from kdbts_ros.density.maps.rolling_map import AccumulationSettings, LocalMap, offset, scrolled
from kdbts_ros.errors import UserError

RESOLUTION, CELLS = 0.2, 12
SECOND = 1_000_000_000
# Weights far beyond what a few frames visibility: limits are tested on their own.
UNLIMITED = AccumulationSettings(observed_limit=50.0, completed_limit=50.0, decay_s=1e12)

shifts = st.integers(-15, 15)


def window(column: int = 0, row: int = 0) -> GridWindow:
    return GridWindow(RESOLUTION, CELLS, CELLS, column * RESOLUTION, row * RESOLUTION)


def frame(probability: float, observed: bool, at: GridWindow | None = None) -> OccupancyMap:
    """Every cell of the window says the same."""
    at = at or window()
    cells = np.full((at.height, at.width), probability, np.float32)
    return OccupancyMap(at, cells, np.full(cells.shape, observed))


def random_frame(seed: int) -> OccupancyMap:
    rng = np.random.default_rng(seed)
    at = window()
    probability = rng.uniform(0.05, 0.95, (at.height, at.width)).astype(np.float32)
    probability[rng.random(probability.shape) < 0.3] = np.nan
    observed = np.isfinite(probability) & (rng.random(probability.shape) < 0.5)
    return OccupancyMap(at, probability, observed)


def unknown(at: GridWindow) -> OccupancyMap:
    return frame(math.nan, False, at)


@given(shifts, shifts)
def test_scrolling_keeps_the_cells_that_stay(column, row):
    """There and back again: cells of both windows are equal to the bit, the others empty."""
    cells = np.random.default_rng(0).random((4, CELLS, CELLS)).astype(np.float32)
    there = scrolled(cells, window(), window(column, row))
    assert offset(window(), window(column, row)) == (row, column)
    rows, columns = np.arange(CELLS) + row, np.arange(CELLS) + column
    inside = np.outer((rows >= 0) & (rows < CELLS), (columns >= 0) & (columns < CELLS))
    expected = cells[:, rows.clip(0, CELLS - 1)[:, None], columns.clip(0, CELLS - 1)]
    assert (there == np.where(inside, expected, 0)).all()
    back = scrolled(there, window(column, row), window())
    stayed = back != 0
    assert (back[stayed] == cells[stayed]).all()
    assert stayed.sum() == 4 * max(0, CELLS - abs(row)) * max(0, CELLS - abs(column))


@given(st.permutations(range(5)))
def test_frames_may_come_in_any_order_while_nothing_fades(order):
    frames = [random_frame(i) for i in range(5)]

    def fused(sequence):
        local = LocalMap(UNLIMITED)
        for one in sequence:
            local.accumulate(one, 0)
        return local.accumulate(unknown(window()), 0).probability

    np.testing.assert_allclose(fused(frames), fused([frames[i] for i in order]), rtol=1e-4)


@given(st.floats(0.0, 0.45), st.integers(0, 1000))
def test_a_late_frame_gives_what_it_would_have_given_in_time(late_s, seed):
    settings = replace(UNLIMITED, decay_s=2.0)
    frames = [random_frame(seed + i) for i in range(2)]
    stamps = [SECOND, SECOND + round(late_s * SECOND)]
    in_time, late = LocalMap(settings), LocalMap(settings)
    in_time.accumulate(frames[0], stamps[0])
    in_time.accumulate(frames[1], stamps[1])
    late.accumulate(frames[1], stamps[1])
    late.accumulate(frames[0], stamps[0])
    expected, found = (m.accumulate(unknown(window()), stamps[1]) for m in (in_time, late))
    np.testing.assert_allclose(found.probability, expected.probability, rtol=1e-4)


def test_what_a_cell_says_stays_until_it_is_unknown():
    settings = AccumulationSettings(decay_s=1.0, gap_s=100.0)
    local = LocalMap(settings)
    local.accumulate(frame(0.9, True), 0)
    fading = np.array(
        [
            local.accumulate(unknown(window()), i * SECOND // 10).probability[0, 0]
            for i in range(1, 60)
        ]
    )
    known = np.isfinite(fading)
    assert known[0] and not known[-1]
    assert (np.diff(np.flatnonzero(~known)) == 1).all()  # once unknown, it stays so
    assert fading[known] == pytest.approx(0.9, abs=1e-4)
    assert known.sum() == pytest.approx(10 * math.log(1 / settings.least_weight), abs=1)


@given(st.lists(st.floats(0.02, 0.98), min_size=1, max_size=6), st.booleans())
def test_frames_that_agree_are_believed_as_one_and_others_averaged(probabilities, observed):
    """No certainty grows out of frames that all say the same."""
    local = LocalMap(UNLIMITED)
    for p in probabilities:
        local.accumulate(frame(p, observed), 0)
    found = local.accumulate(unknown(window()), 0)
    log_odds = np.mean([math.log(p / (1 - p)) for p in probabilities])
    assert found.probability == pytest.approx(1 / (1 + math.exp(-log_odds)), abs=1e-4)
    assert found.observed.all() == observed


def test_unknown_frames_change_nothing_but_the_time():
    local = LocalMap(UNLIMITED)
    before = local.accumulate(frame(0.8, True), 0)
    after = local.accumulate(unknown(window()), SECOND)
    np.testing.assert_allclose(after.probability, before.probability)
    assert np.isnan(LocalMap().accumulate(unknown(window()), 0).probability).all()


def test_what_was_seen_outweighs_what_was_inferred():
    """However long a cell was taken for occupied from behind, few looks at it free it."""
    local = LocalMap()
    for i in range(50):
        guessed = local.accumulate(frame(0.95, False), i * SECOND // 10)
    assert (guessed.probability > 0.9).all() and not guessed.observed.any()
    looks = [local.accumulate(frame(0.05, True), 5 * SECOND + i * SECOND // 10) for i in range(2)]
    assert (looks[-1].probability < 0.35).all() and looks[-1].observed.all()
    for _ in range(50):
        local.accumulate(frame(0.95, False), 5 * SECOND + 3 * SECOND // 10)
    found = local.accumulate(unknown(window()), 5 * SECOND + 4 * SECOND // 10)
    assert (found.probability < 0.5).all()


def test_what_drives_into_free_space_shows_at_once():
    local = LocalMap()
    for i in range(50):
        local.accumulate(frame(0.02, True), i * SECOND // 10)
    arrived = local.accumulate(frame(0.8, False), 5 * SECOND)
    assert arrived.probability == pytest.approx(0.8)
    assert (local.accumulate(unknown(window()), 5 * SECOND).probability < 0.5).all()


@given(st.integers(0, 1000), st.floats(0.02, 50.0), st.floats(0.01, 0.45))
def test_what_the_newest_frame_observes_is_on_the_map(seed, inertia, late_s):
    """Whatever frames before it said, and in the map that a late one is answered with as well."""
    local = LocalMap(AccumulationSettings(observed_limit=inertia, completed_limit=inertia))
    for i in range(5):
        local.accumulate(random_frame(seed + i), i * SECOND)
    newest = random_frame(seed + 5)
    for found in (
        local.accumulate(newest, 5 * SECOND),
        local.accumulate(random_frame(seed + 6), round((5 - late_s) * SECOND)),
    ):
        told = newest.observed & np.isfinite(newest.probability)
        assert (found.probability[told] >= newest.probability[told]).all()
        assert found.observed[told].all()


def test_something_that_drives_away_leaves_no_trace():
    local = LocalMap()
    for i in range(100):
        standing = local.accumulate(frame(0.97, True), i * SECOND // 10)
    assert (standing.probability > 0.95).all()
    for i in range(4):
        gone = local.accumulate(frame(0.03, True), 10 * SECOND + i * SECOND // 10)
    assert (gone.probability < 0.5).all()


@pytest.mark.parametrize("stamp_s", [-1.0, -3600.0, 6.0, 1e6])
def test_a_jump_of_time_forgets(stamp_s):
    local = LocalMap()
    local.accumulate(frame(0.9, True), 10 * SECOND)
    found = local.accumulate(unknown(window()), 10 * SECOND + round(stamp_s * SECOND))
    assert np.isnan(found.probability).all()
    again = local.accumulate(frame(0.2, True), 10 * SECOND + round(stamp_s * SECOND))
    assert (again.probability < 0.5).all()


def test_a_jump_of_the_pose_forgets_and_driving_does_not():
    for column, kept in ((4, True), (-4, True), (9, False), (10_000, False)):
        local = LocalMap(AccumulationSettings(speed_limit=8.0))
        local.accumulate(frame(0.9, True), 0)
        found = local.accumulate(unknown(window(column)), SECOND // 10)
        assert np.isfinite(found.probability).any() == kept, column


def test_another_resolution_begins_anew():
    local = LocalMap()
    local.accumulate(frame(0.9, True), 0)
    other = GridWindow(0.1, CELLS, CELLS, 0.0, 0.0)
    assert np.isnan(local.accumulate(unknown(other), 0).probability).all()


def test_certain_frames_stay_finite():
    local = LocalMap()
    for probability in (0.0, 1.0, 1.0):
        found = local.accumulate(frame(probability, True), 0)
    assert np.isfinite(found.probability).all()


def test_settings_that_contradict_themselves_are_refused():
    with pytest.raises(UserError, match="outweighs"):
        AccumulationSettings(observed_limit=1.0, completed_limit=2.0)
    with pytest.raises(UserError, match="decay_s"):
        AccumulationSettings(decay_s=0.0)
    with pytest.raises(UserError, match="completed_weight"):
        AccumulationSettings(completed_weight=1.5)
