"""Does a frame in one go say what the scene's own queries say of the same views?"""

from __future__ import annotations

import numpy as np

from kdbts_ros.density.birds_eye_map import CompletedCells, OccupancyMap
from kdbts_ros.density.engines.answers import DepthImage
from kdbts_ros.density.engines.cuda.frame_plan import FrameGrids

# Share of cells, or of pixels, that must be alike.
LEAST_ALIKE = 0.995
# Alike are cells that are so many percent apart, and depths that differ by this share.
_MOST_PERCENT, _MOST_DEPTH = 5, 0.01


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
