"""Confidence: far from a coin's toss, seen, by several views."""

from __future__ import annotations

import numpy as np

from kdbts_ros.density.maps.confidence import confidence, confidence_percent
from kdbts_ros.density.maps.grid import GridWindow, OccupancyMap


def one_row(*cells: tuple[float, bool]) -> OccupancyMap:
    p, observed = zip(*cells, strict=True)
    window = GridWindow(0.5, len(cells), 1, 0.0, 0.0)
    return OccupancyMap(window, np.array([p], np.float32), np.array([observed]))


def test_by_hand() -> None:
    """|2p - 1| n/(n+1): n is 1 and 1/2 of one view, 4 and 2 of four."""
    cells = one_row((1.0, True), (0.0, True), (0.9, False), (0.5, True), (np.nan, False))
    np.testing.assert_allclose(
        confidence(cells, 1), [[1 / 2, 1 / 2, 0.8 / 3, 0, np.nan]], rtol=1e-6
    )
    np.testing.assert_allclose(
        confidence(cells, 4), [[4 / 5, 4 / 5, 0.8 * 2 / 3, 0, np.nan]], rtol=1e-6
    )


def test_as_published_it_is_unknown_where_the_map_is() -> None:
    cells = one_row((1.0, True), (0.9, False), (0.4, False), (np.nan, False))
    told = confidence_percent(cells, 1, np.array([[100, 100, -1, -1]], np.int8))
    assert told.dtype == np.int8
    np.testing.assert_array_equal(told, [[50, 27, -1, -1]])
