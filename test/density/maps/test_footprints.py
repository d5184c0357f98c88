"""Which cells a footprint touches, beside what a thousand points of each cell say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdbts_ros.density.maps import footprints
from kdbts_ros.density.maps.footprints import touched
from kdbts_ros.density.maps.grid import GridWindow
from kdbts_ros.errors import UserError

WINDOW = GridWindow(0.5, 8, 6, -2.0, 10.0)
# Points along each axis of a cell.
FINE = 24


def cells_of(polygon: np.ndarray, window: GridWindow = WINDOW) -> np.ndarray:
    """(H,W) bool."""
    found = touched(np.asarray(polygon, np.float64)[None], window)
    flags = np.zeros(window.height * window.width, bool)
    flags[found.cells] = True
    assert flags.sum() == len(found.cells), "a cell is told once"
    return flags.reshape(window.height, window.width)


def inside(x: np.ndarray, y: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Whether points lie inside, by counting the sides on their right."""
    odd = np.zeros(np.broadcast(x, y).shape, bool)
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        if ay != by:
            odd ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) / (by - ay) * (bx - ax))
    return odd


@given(
    st.lists(st.tuples(st.floats(-4, 4), st.floats(8, 15)), min_size=3, max_size=7),
)
@settings(max_examples=60, deadline=None)
def test_every_cell_with_a_point_of_the_footprint_is_touched(corners: list) -> None:
    """Corners in any order, sides that cross, thin ones, parts beyond the map."""
    polygon = np.array(corners)
    found = cells_of(polygon)
    steps = (np.arange(FINE) + 0.5) / FINE
    x = WINDOW.x0 + (np.arange(WINDOW.width)[:, None] + steps).reshape(-1) * WINDOW.resolution
    y = WINDOW.y0 + (np.arange(WINDOW.height)[:, None] + steps).reshape(-1) * WINDOW.resolution
    fine = inside(x[None, :], y[:, None], polygon)
    covered = fine.reshape(WINDOW.height, FINE, WINDOW.width, FINE).any((1, 3))
    assert not (covered & ~found).any()
    # What is touched besides holds a point of a side.
    t = np.linspace(0, 1, 20_001)[:, None]
    sides = [a + t * (b - a) for a, b in zip(polygon, np.roll(polygon, -1, 0), strict=True)]
    at = (np.concatenate(sides) - (WINDOW.x0, WINDOW.y0)) / WINDOW.resolution
    near = np.zeros((WINDOW.height + 2, WINDOW.width + 2), bool)
    slack = 2e-3
    for dx in (-slack, slack):
        for dy in (-slack, slack):
            column, row = np.floor(at + np.array([dx, dy])).astype(int).T + 1
            held = (column >= 0) & (column < near.shape[1]) & (row >= 0) & (row < near.shape[0])
            near[row[held], column[held]] = True
    assert not (found & ~covered & ~near[1:-1, 1:-1]).any()


def test_a_footprint_within_a_cell_touches_it_alone() -> None:
    found = cells_of(np.array([[-1.9, 10.1], [-1.8, 10.1], [-1.85, 10.2]]))
    assert found[0, 0] and found.sum() == 1


def test_a_line_touches_the_cells_it_runs_through() -> None:
    found = cells_of(np.array([[-1.75, 10.25], [1.75, 10.25], [1.75, 10.25]]))
    assert found[0].all() and not found[1:].any()


def test_footprints_are_told_in_turn_and_which_reach_beyond() -> None:
    square = np.array([[-0.4, -0.4], [0.4, -0.4], [0.4, 0.4], [-0.4, 0.4]])
    at = np.array([[0.25, 11.25], [50.0, 50.0], [-2.0, 11.25], [0.25, 11.25]])
    found = touched(square + at[:, None], WINDOW)
    assert found.beyond.tolist() == [False, True, True, False]
    counts = np.diff(found.ends, prepend=0)
    assert counts[1] == 0 and counts[0] == counts[3] == 9 and counts[2] == 3
    first, last = found.cells[:9], found.cells[found.ends[2] :]
    assert (first == last).all()
    assert touched(np.empty((0, 4, 2)), WINDOW).ends.size == 0


def test_too_many_cells_are_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprints, "MOST_TOUCHED", 10)
    square = np.array([[[-2.0, 10.0], [2.0, 10.0], [2.0, 13.0], [-2.0, 13.0]]])
    with pytest.raises(UserError, match=r"footprints touch 48 cells .* ask for fewer"):
        touched(square, WINDOW)
