"""Votes that outlive their map: what a view said of a place it says of it again.

The votes of a view on a column do not depend on the other views, nor on where the robot is. Maps
lie on one raster of the world, so that a new map asks the columns it shares with the map before
about nothing but the new view. Blocks of votes: see `fusion`.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.engines.answers import Bools, Floats
from kdbts_ros.density.engines.cpu.fusion import groups_of
from kdbts_ros.density.engines.cpu.upright_columns import LANES
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.loops import njit

# How far a column of the map may have moved up or down, m, since it was answered: a fifth of a
# level. The ground below the robot carries the map's band with it.
TOLERANCE = 0.05
# Sideways nothing may move: so many columns off the raster are rounding.
_OFF_RASTER = 1e-3
# Memory of all votes, bytes; of larger maps nothing is kept.
MOST_BYTES = 256_000_000
# Views whose votes are kept, four in use and five keyframes: these are used again some metres after
# their image came.
SLOTS = 9


class Ring(NamedTuple):
    """Where cell (0,0) of a grid lies in arrays (R,C) that wrap around."""

    row: int
    column: int


class _Window(NamedTuple):
    """A grid on the raster of the world: steps and shape, and the indices of its cell (0,0)."""

    steps: tuple[float, ...]
    shape: tuple[int, int, int]
    row: int
    column: int


class _Owner(NamedTuple):
    """Whose votes a slot holds, which end where its light did, and the last map that used them."""

    view: weakref.ref[EncodedView]
    visibility: Floats
    used: int

    def is_gone(self, wanted: Sequence[tuple[EncodedView, Floats]]) -> bool:
        """Whether nobody holds the view any more, or its light ends elsewhere now."""
        view = self.view()
        return view is None or any(view is v and self.visibility is not r for v, r in wanted)


class VoteStore:
    """Blocks of votes of views over one window of the world, which may move.

    Views are not held: once nobody else does, their place is free.

    Attributes:
        votes: (S,G,C,2+F,cells), G groups of R rows.
        seen_rows: (S,G,C): of which rows of a group a view sees any level, a bit each.
        slots: (V,) which of S hold the views in use.
        ring: where the window's first cell lies in R and C.
    """

    def __init__(self, numbers: int) -> None:
        """numbers: of a vote, its confidence included: 1 + F."""
        self._numbers = numbers
        self.clear()

    def clear(self) -> None:
        """Forget all votes."""
        self.votes: Floats = np.zeros((0, 0, 0, 0, 0), np.float32)
        self.seen_rows: npt.NDArray[np.uint8] = np.zeros((0, 0, 0), np.uint8)
        self.slots: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self.ring = Ring(0, 0)
        self._heights: Floats = np.zeros((0, 0, 0), np.float32)
        self._owners: list[_Owner | None] = []
        self._map_count = 0
        self._window: _Window | None = None
        self._anchor: Array = np.zeros(2)
        self._height: Floats = np.zeros((0, 0), np.float32)

    @property
    def nbytes(self) -> int:
        """Memory of the slots that were ever taken."""
        allocated = self.votes.nbytes + self._heights.nbytes + self.seen_rows.nbytes
        taken = sum(owner is not None for owner in self._owners)
        return allocated * taken // max(1, len(self._owners))

    def open(
        self, grid: AffineGrid, views: Sequence[EncodedView], visibility: Sequence[Floats]
    ) -> bool:
        """Make room for votes of these views on the columns of a grid.

        False if nothing of it is kept: it does not stand upright on a raster, or is too large.
        """
        levels, rows, columns = grid.shape
        block = groups_of(rows), columns, self._numbers + 1, levels * LANES
        flat_steps = (grid.steps[0, 1], grid.steps[1, 0], *grid.steps[2, :2])
        if any(flat_steps) or len(views) * math.prod(block) * 4 > MOST_BYTES:
            self.clear()
            return False
        self._move(grid)
        self._assign(list(zip(views, visibility, strict=True)), (rows, columns), block)
        # In the ring's order, as all else.
        row = (np.arange(rows) - self.ring.row) % rows
        column = (np.arange(columns) - self.ring.column) % columns
        at_row, at_column = grid.origin[2] + row * grid.steps[1, 2], column * grid.steps[0, 2]
        self._height = (at_row[:, None] + at_column).astype(np.float32)
        return True

    def stale(self, slot: int) -> Bools:
        """(R,C): columns whose votes of a view do not hold (any more)."""
        return np.asarray(_further(self._heights[slot], self._height, np.float32(TOLERANCE)))

    def refreshed(self, slot: int, columns: Bools) -> None:
        """Take note that these columns hold what the view says of them."""
        np.copyto(self._heights[slot], self._height, where=columns)

    def _move(self, grid: AffineGrid) -> None:
        """Let the window lie over a grid; what it leaves behind is forgotten."""
        _, rows, columns = grid.shape
        steps = (grid.steps[0, 0], grid.steps[1, 1], grid.steps[2, 2])
        before = self._window
        exact = (grid.origin[:2] - self._anchor) / steps[:2]
        column, row = (int(n) for n in np.rint(exact))
        if (
            before is None
            or before[:2] != (steps, grid.shape)
            or np.abs(exact - (column, row)).max() > _OFF_RASTER
            or abs(row - before.row) >= rows
            or abs(column - before.column) >= columns
        ):
            self.clear()
            self._anchor = np.array(grid.origin[:2])
            self._window = _Window(steps, grid.shape, 0, 0)
            return
        for old, new, axis in ((before.row, row, 1), (before.column, column, 2)):
            size = self._heights.shape[axis]
            entered = np.arange(old + size, new + size) if new > old else np.arange(new, old)
            index: list[slice | npt.NDArray[np.int64]] = [slice(None)] * 3
            index[axis] = entered % size
            self._heights[tuple(index)] = np.nan
        self._window = _Window(steps, grid.shape, row, column)
        self.ring = Ring(row % rows, column % columns)

    def _assign(
        self,
        wanted: list[tuple[EncodedView, Floats]],
        size: tuple[int, int],
        block: tuple[int, int, int, int],
    ) -> None:
        """Give each view a slot; those it had remain, if light still ends where it did.

        So do those of views that may come back, as long as there is room.
        """
        self._map_count += 1
        owners = [
            None if owner is None or owner.is_gone(wanted) else owner for owner in self._owners
        ]
        missing = [pair for pair in wanted if _place(pair, owners) < 0]
        in_use = {_place(pair, owners) for pair in wanted}
        idle = [(o.used, k) for k, o in enumerate(owners) if o is not None and k not in in_use]
        free = [k for k, owner in enumerate(owners) if owner is None]
        room = max(len(wanted), min(SLOTS, MOST_BYTES // (math.prod(block) * 4)))
        if len(missing) > len(free) and room > len(owners):
            # All at once: what was said before is copied, and of memory only what is used is taken.
            more = room - len(owners)
            self._grow(more, size, block)
            free += range(len(owners), len(owners) + more)
            owners += [None] * more
        free += [k for _, k in sorted(idle)]
        for slot, (view, visibility) in zip(free, missing, strict=False):
            owners[slot] = _Owner(weakref.ref(view), visibility, self._map_count)
            self._heights[slot] = np.nan
        self.slots = np.array([_place(pair, owners) for pair in wanted], np.int64)
        for slot in self.slots:
            owner = owners[slot]
            owners[slot] = None if owner is None else owner._replace(used=self._map_count)
        self._owners = owners

    def _grow(self, more: int, size: tuple[int, int], block: tuple[int, int, int, int]) -> None:
        """Further slots behind those there are."""
        slots = len(self._owners) + more
        votes = np.zeros((slots, *block), np.float32)
        seen_rows = np.zeros((slots, *block[:2]), np.uint8)
        heights = np.full((slots, *size), np.nan, np.float32)
        if self._owners:
            votes[:-more], seen_rows[:-more], heights[:-more] = (
                self.votes,
                self.seen_rows,
                self._heights,
            )
        self.votes, self.seen_rows, self._heights = votes, seen_rows, heights


# In one pass, where numpy takes four.
@njit(cache=True)
def _further(a, b, tolerance):  # type: ignore[no-untyped-def]
    """Where heights (R,C) differ by more than a tolerance, or one is not a number."""
    out = np.empty(a.shape, np.bool_)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            out[i, j] = not abs(a[i, j] - b[i, j]) <= tolerance
    return out


def _place(pair: tuple[EncodedView, Floats], owners: Sequence[_Owner | None]) -> int:
    for slot, owner in enumerate(owners):
        if owner is not None and owner.view() is pair[0] and owner.visibility is pair[1]:
            return slot
    return -1
