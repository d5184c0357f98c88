"""A map that comes with its published forms, and whether it says what the scene's queries say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.engines.answers import DepthImage, FrameGrids
from kdbts_ros.density.maps.grid import CompletedCells, GridWindow, OccupancyMap

# Share of cells, or of pixels, that must be alike.
LEAST_ALIKE = 0.995
# Alike are cells that are so many percent apart, and depths that differ by this share.
_MOST_PERCENT, _MOST_DEPTH = 5, 0.01


Int8s = npt.NDArray[np.int8]


class FrameMap(NamedTuple):
    """A map with its two published forms (H,W), where they came along with it."""

    occupancy: OccupancyMap
    trinary: Int8s | None = None
    percent: Int8s | None = None

    @classmethod
    def of(cls, window: GridWindow, grids: FrameGrids) -> FrameMap:
        occupancy = OccupancyMap(window, grids.probability, grids.observed)
        return cls(occupancy, grids.trinary, grids.percent)

    def published(
        self, threshold: float, completed: CompletedCells, percent: bool
    ) -> tuple[Int8s, Int8s | None]:
        """trinary and, when wanted, percent: those that came along or those of the map."""
        if self.trinary is not None:
            return self.trinary, self.percent if percent else None
        scaled = self.occupancy.percent(threshold, completed) if percent else None
        return self.occupancy.trinary(threshold, completed), scaled


def alike(
    found: FrameGrids, expected: OccupancyMap, threshold: float, completed: CompletedCells
) -> float:
    """Share of cells that say the same; a map that is all of one kind must agree in its numbers."""
    apart = np.abs(found.percent.astype(np.int16) - expected.percent(threshold, completed))
    same = (found.trinary == expected.trinary(threshold, completed)) & (apart <= _MOST_PERCENT)
    return float(same.mean())


def alike_depth(found: DepthImage, expected: DepthImage) -> float:
    """Share of published pixels that say the same."""
    a, b = found.published, expected.published
    with np.errstate(invalid="ignore"):
        same = (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= _MOST_DEPTH * b)
    return float(same.mean())
