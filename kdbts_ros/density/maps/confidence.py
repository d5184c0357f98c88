"""How sure a map is of each cell, whichever way: for planners that weigh cells.

confidence = |2p - 1| * n / (n + 1), n = views * (1 observed, 1/2 completed)

The first factor is how far the probability p is from a toss of a coin. The second is how much of an
opinion is evidence and not prior: the certainty of Jøsang ("Subjective Logic", Springer 2016,
section 3.5) for n pieces of evidence and a prior that weighs as much as one observation. A cell
that was completed is half a piece: its probability is calibrated, but nothing was seen there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.maps.grid import UNKNOWN, OccupancyMap

# Of an observation: what a prior weighs, and what a completed cell does.
PRIOR, COMPLETED = 1.0, 0.5


def confidence(occupancy: OccupancyMap, views: int) -> Floats:
    """(H,W) in 0..1, NaN unknown; views: those behind the map, at least 1."""
    evidence = views * np.where(occupancy.observed, np.float32(1), np.float32(COMPLETED))
    away = np.abs(2 * occupancy.probability - 1)
    return np.asarray(away * (evidence / (evidence + np.float32(PRIOR))), np.float32)


def confidence_percent(
    occupancy: OccupancyMap, views: int, trinary: npt.NDArray[np.int8]
) -> npt.NDArray[np.int8]:
    """(H,W) `confidence` in 0..100, -1 where the published trinary map says unknown."""
    scaled = np.rint(100 * np.nan_to_num(confidence(occupancy, views)))
    return np.where(trinary != UNKNOWN, scaled, UNKNOWN).astype(np.int8)
