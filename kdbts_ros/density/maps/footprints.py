"""Which cells of a map footprints touch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.maps.grid import GridWindow
from kdbts_ros.errors import UserError
from kdbts_ros.loops import njit

# Cells of all footprints together, one that several touch as often: 64 MB of indices.
MOST_TOUCHED = 8_000_000


class Touched(NamedTuple):
    """Cells (K,) by index row * width + column, footprint after footprint; those of footprint i end
    before ends[i]. beyond (N,): footprints that reach out of the map."""

    cells: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    beyond: npt.NDArray[np.bool_]


def touched(corners: Array, window: GridWindow) -> Touched:
    """Cells of a window that each of N polygons touches, be it by a corner.

    corners (N,C,2): in turn, metres in the frame of the window. Of sides that cross, what they
    enclose an even number of times lies outside.

    Raises:
        UserError: together they touch more than `MOST_TOUCHED`.
    """
    shape = window.height, window.width
    places = (corners - (window.x0, window.y0)) / window.resolution
    # Far away all the same is beyond, and indices stay numbers.
    places = np.ascontiguousarray(np.clip(places, -1.0e6, 1.0e6))
    nothing = np.empty(0, np.int64)
    ends, beyond = touch_each(places, shape, nothing)
    count = int(ends[-1]) if len(ends) else 0
    if count > MOST_TOUCHED:
        raise UserError(
            f"these footprints touch {count:,} cells of the map, more than {MOST_TOUCHED:,}: ask "
            "for fewer at once"
        )
    cells = np.empty(count, np.int64)
    touch_each(places, shape, cells)
    return Touched(cells, ends, beyond)


@njit(nogil=True, cache=True)
def touch_each(places, shape, cells):  # type: ignore[no-untyped-def]
    """Ends (N,) and beyond (N,) of `Touched` for places (N,C,2), in cells from the map's corner.

    cells: filled if it has room.
    """
    ends, beyond = np.zeros(len(places), np.int64), np.zeros(len(places), np.bool_)
    marks, crossings = np.zeros(shape, np.uint8), np.empty(places.shape[1], np.float64)
    count = 0
    for i in range(len(places)):
        polygon = places[i]
        low_x, high_x = polygon[:, 0].min(), polygon[:, 0].max()
        low_y, high_y = polygon[:, 1].min(), polygon[:, 1].max()
        beyond[i] = min(low_x, low_y) < 0 or high_x > shape[1] or high_y > shape[0]
        columns = max(0, int(np.floor(low_x))), min(shape[1] - 1, int(np.floor(high_x)))
        rows = max(0, int(np.floor(low_y))), min(shape[0] - 1, int(np.floor(high_y)))
        if columns[0] <= columns[1] and rows[0] <= rows[1]:
            mark_sides(polygon, rows, columns, marks)
            mark_inside(polygon, rows, columns, crossings, marks)
        for row in range(rows[0], rows[1] + 1):
            for column in range(columns[0], columns[1] + 1):
                if marks[row, column] != 0:
                    if count < len(cells):
                        cells[count] = row * shape[1] + column
                    marks[row, column], count = 0, count + 1
        ends[i] = count
    return ends, beyond


@njit(cache=True)
def mark_sides(polygon, rows, columns, marks):  # type: ignore[no-untyped-def]
    """Mark the cells that sides of a polygon (C,2) run through, of these rows and columns."""
    for a in range(len(polygon)):
        b = (a + 1) % len(polygon)
        if polygon[a, 1] > polygon[b, 1]:
            a, b = b, a
        x, y = polygon[a]
        run, rise = polygon[b, 0] - x, polygon[b, 1] - y
        for row in range(max(rows[0], int(np.floor(y))), rows[1] + 1):
            if row > polygon[b, 1]:
                break
            # The part of the side within the row.
            first = 0.0 if rise == 0 else max(0.0, (row - y) / rise)
            last = 1.0 if rise == 0 else min(1.0, (row + 1 - y) / rise)
            left, right = x + first * run, x + last * run
            if left > right:
                left, right = right, left
            begin, end = max(columns[0], int(np.floor(left))), min(columns[1], int(np.floor(right)))
            for column in range(begin, end + 1):
                marks[row, column] = 1


@njit(cache=True)
def mark_inside(polygon, rows, columns, crossings, marks):  # type: ignore[no-untyped-def]
    """Mark the cells whose middle lies inside a polygon (C,2), of these rows and columns.

    crossings (>=C,): scratch.
    """
    for row in range(rows[0], rows[1] + 1):
        middle, found = row + 0.5, 0
        for a in range(len(polygon)):
            b = (a + 1) % len(polygon)
            (x, y), (x_b, y_b) = polygon[a], polygon[b]
            if (y <= middle) != (y_b <= middle):
                crossings[found] = x + (middle - y) / (y_b - y) * (x_b - x)
                found += 1
        crossings[:found].sort()
        for k in range(0, found - 1, 2):
            # Of a cell that is cut, its side is marked already.
            begin = max(columns[0], int(np.ceil(crossings[k] - 0.5)))
            end = min(columns[1], int(np.floor(crossings[k + 1] - 0.5)))
            for column in range(begin, end + 1):
                marks[row, column] = 1
