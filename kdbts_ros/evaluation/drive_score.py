"""Maps along a drive against the true map: which cells count, and what is counted.

The cells are the same for every method, whatever a method itself knows; what it does not know, it
does not call occupied:

* seen: columns that the newest image has in view;
* hidden: those of them of which nothing is visible in the true world from there;
* passed: columns of the window that only earlier images of the drive had in view;
* all: seen and passed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.truth import visible
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.geometry.camera import Array, Camera
from kdbts_ros.density.maps.grid import GridWindow, HeightBand
from kdbts_ros.density.maps.rolling_map import scrolled

Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]

SETS = ("seen", "hidden", "passed", "all")
# Probabilities are counted in steps of a fiftieth: IoU can be had at any of these thresholds.
BINS = 50


@dataclass
class PassedCells:
    """Remembers, in the window that follows the robot, what any image so far had in view."""

    _window: GridWindow | None = None
    _seen: Bools = field(default_factory=lambda: np.zeros((1, 0, 0), np.bool_))

    def add(self, seen: Bools, window: GridWindow) -> Bools:
        """(H,W) cells seen earlier and not now; seen (H,W) is what the newest image sees."""
        before = self._window or window
        known = scrolled(self._seen, before, window) if self._window else np.zeros_like(seen[None])
        self._window, self._seen = window, known | seen
        return np.asarray(known[0] & ~seen)


def hidden_columns(
    world: StreetWorld,
    camera: Camera,
    T_world_cam: Array,
    window: GridWindow,
    band: HeightBand,
    seen: Bools,
) -> Bools:
    """(H,W) columns of `seen` (H,W) of which no level is visible from a camera; z = 0 is ground."""
    x, y = window.centres()
    X, Y = np.meshgrid(x, y)
    heights, _ = band.levels()
    points = np.empty((len(heights), int(seen.sum()), 3))
    points[..., 0], points[..., 1], points[..., 2] = X[seen], Y[seen], heights[:, None]
    lit = visible(world, camera, T_world_cam, points.reshape(-1, 3)).reshape(len(heights), -1)
    hidden = np.zeros_like(seen)
    hidden[seen] = ~lit.any(0)
    return hidden


def cell_sets(seen: Bools, hidden: Bools, passed: Bools) -> Bools:
    """(4,H,W) in the order of SETS."""
    return np.stack([seen, hidden, passed, seen | passed])


def count(probability: npt.NDArray[np.float32], truth: Bools, sets: Bools) -> Counts:
    """(4,2,BINS) cells of each set that are free and occupied in truth, by probability (H,W)."""
    index = (np.nan_to_num(probability) * BINS + 1e-4).astype(np.int64).clip(0, BINS - 1)
    flat = index + BINS * truth
    counts = [np.bincount(flat[chosen], minlength=2 * BINS) for chosen in sets]
    return np.stack(counts).reshape(len(sets), 2, BINS)


def known_shares(probability: npt.NDArray[np.float32], sets: Bools) -> npt.NDArray[np.float64]:
    """(4,) share of each set that the map knows; NaN where the set is empty."""
    known = np.isfinite(probability)
    return np.array([known[chosen].mean() if chosen.any() else np.nan for chosen in sets])


def iou(counts: Counts, threshold: float) -> npt.NDArray[np.float64]:
    """Intersection over union of occupied cells from counts (...,2,BINS); NaN without any."""
    first = round(threshold * BINS)
    called = counts[..., first:].sum(-1)
    missed = counts[..., 1, :first].sum(-1)
    union = called.sum(-1) + missed
    with np.errstate(invalid="ignore"):
        return np.where(union > 0, called[..., 1] / union, np.nan)


def best_iou(counts: Counts) -> tuple[float, float]:
    """The highest IoU of counts (2,BINS) at any threshold, and that threshold."""
    values = [(float(iou(counts, k / BINS)), k / BINS) for k in range(1, BINS)]
    return max(values, key=lambda item: -1.0 if np.isnan(item[0]) else item[0])
