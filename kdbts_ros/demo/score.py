"""Published maps against the exact occupancy of a synthetic street."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.truth import column_truth
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.maps.grid import FREE, OCCUPIED, UNKNOWN, GridWindow, HeightBand
from kdbts_ros.errors import UserError

Bools = npt.NDArray[np.bool_]
Grid = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Agreement:
    """Counts of known cells: occupied in map and truth, in the map alone, in the truth alone."""

    both: int = 0
    map_only: int = 0
    truth_only: int = 0

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.both + other.both,
            self.map_only + other.map_only,
            self.truth_only + other.truth_only,
        )

    @property
    def iou(self) -> float | None:
        """Intersection over union of occupied cells; None where nothing is occupied."""
        return _share(self.both, self.both + self.map_only + self.truth_only)

    @property
    def precision(self) -> float | None:
        """How much of what the map calls occupied is."""
        return _share(self.both, self.both + self.map_only)

    @property
    def recall(self) -> float | None:
        """How much of what is occupied the map calls so."""
        return _share(self.both, self.both + self.truth_only)


def compare(grid: Grid, truth: Bools) -> Agreement:
    """Agreement of a trinary (H,W) map with the truth; cells the map does not know do not count."""
    occupied, known = grid == OCCUPIED, grid != UNKNOWN
    return Agreement(
        int((occupied & truth).sum()),
        int((occupied & ~truth).sum()),
        int((known & ~occupied & truth).sum()),
    )


@dataclass(frozen=True)
class TruthMap:
    """Exact columns of a street on the lattice that maps of one resolution are snapped to.

    occupied (H,W): row 0 and column 0 begin `row` and `column` cells from the fixed frame's origin.
    """

    resolution: float
    row: int
    column: int
    occupied: Bools

    @classmethod
    def covering(
        cls, world: StreetWorld, windows: Iterable[GridWindow], band: HeightBand
    ) -> TruthMap:
        """The truth over the union of windows, worked out once for all of them.

        Raises:
            UserError: no window.
        """
        boxes = np.array([_cells(window) for window in windows], np.int64).reshape(-1, 4)
        if not len(boxes):
            raise UserError("there is no map to compare with the truth")
        resolution = next(iter(windows)).resolution
        row, column = (int(v) for v in boxes[:, :2].min(0))
        height, width = (int(v) for v in (boxes[:, :2] + boxes[:, 2:]).max(0) - (row, column))
        x = (column + np.arange(width) + 0.5) * resolution
        y = (row + np.arange(height) + 0.5) * resolution
        return cls(resolution, row, column, column_truth(world, x, y, band.low, band.high))

    def at(self, window: GridWindow) -> Bools:
        """(H,W) occupied columns of a window."""
        row, column, height, width = _cells(window)
        row, column = row - self.row, column - self.column
        return self.occupied[row : row + height, column : column + width]


def masked_truth(truth: Bools, grid: Grid) -> Grid:
    """The truth as a map that knows the same cells, for a picture beside the map."""
    return np.where(grid == UNKNOWN, UNKNOWN, np.where(truth, OCCUPIED, FREE)).astype(np.int8)


def _cells(window: GridWindow) -> tuple[int, int, int, int]:
    """First row and column from the fixed frame's origin, height and width."""
    row, column = round(window.y0 / window.resolution), round(window.x0 / window.resolution)
    return row, column, window.height, window.width


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
