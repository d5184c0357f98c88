"""A rolling local map: the column probabilities of many frames accumulated in the fixed frame.

What a robot drove past a second ago is no longer in its image but still there. `LocalMap` keeps, in
a window that follows the robot, a weighted mean of the log-odds that frames gave each cell.

Occupancy grids usually add log-odds up (Moravec and Elfes, "High Resolution Maps from Wide Angle
Sonar", ICRA 1985), which takes frames for independent. Consecutive images of one camera err alike:
sums soon claim a certainty nobody has, and were measured to be worse than any single frame
(docs/maps.md). The mean, a logarithmic opinion pool (Genest and Zidek, "Combining Probability
Distributions", Statistical Science 1986), keeps a calibrated probability calibrated. Weights are
limited, so that a map that has seen a thing for minutes can still change its mind in a few frames.

A car that drives into space known to be free would be averaged away for longer than it stays there.
What the newest frame calls occupied is therefore never called less so by the map: the map has the
larger of both probabilities, also in the map that a late frame is answered with. What the newest
frame observes is observed.

Contract:

* Frames are `OccupancyMap`s in one fixed frame, in metres, on windows snapped to one resolution;
  stamps are integers in nanoseconds. Moving the window copies cells and resamples nothing.
* A cell that no frame knew is unknown, and so is one whose evidence has faded.
* Weight fades by exp(-age / decay_s), whatever it stands for; what a cell says stays until too
  little weight is left. Without fading, and while no limit is reached, frames may come in any
  order; a frame at most `late_s` older than the newest is faded by its age and gives what it would
  have given in time.
* Cells that leave the window are forgotten. Windows that do not overlap share no cells, so that the
  map begins anew.
* A stamp further back than `late_s` or further ahead than `gap_s`, a window that moves faster than
  `speed_limit`, and another resolution are jumps: everything before them is forgotten. A smaller
  error of the pose is not noticed; what it put in wrong cells fades.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.maps.grid import GridWindow, OccupancyMap
from kdbts_ros.errors import UserError

Cell = TypeVar("Cell", bound=np.generic)

# Channels of a cell: sums of weighted log-odds, and of weights, of frames that observed it and of
# frames that completed it.
OBSERVED, OBSERVED_WEIGHT, COMPLETED, COMPLETED_WEIGHT = range(4)
CHANNELS = 4
# A probability of exactly 0 or 1 has infinite log-odds: one frame is never surer than this.
SUREST = np.float32(0.99)


@dataclass(frozen=True)
class AccumulationSettings:
    """How evidence adds up and fades.

    decay_s: time in which weight falls to 1/e, s.
    completed_weight: of a cell that a frame completed, beside 1 for one that it observed, 0 to 1.
    observed_limit, completed_limit: largest weights of a cell, in observed frames. The more, the
        smoother the map and the slower it follows things that move.
    least_weight: a cell with less is unknown.
    late_s, gap_s: how far back a frame may be late, and how far ahead the next may be, s.
    speed_limit: of the robot, m/s; what moves faster is a jump of the pose.

    Raises:
        UserError: a value out of range, or a completed limit above the observed one.
    """

    decay_s: float = 5.0
    completed_weight: float = 0.2
    observed_limit: float = 2.0
    completed_limit: float = 0.5
    least_weight: float = 0.05
    late_s: float = 0.5
    gap_s: float = 5.0
    speed_limit: float = 60.0

    def __post_init__(self) -> None:
        for name in ("decay_s", "observed_limit", "completed_limit", "gap_s", "speed_limit"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name} of the local map must be positive")
        if not 0 <= self.completed_weight <= 1:
            raise UserError("completed_weight of the local map must lie between 0 and 1")
        if self.completed_limit > self.observed_limit:
            raise UserError(
                f"completed_limit ({self.completed_limit:g}) must not exceed observed_limit "
                f"({self.observed_limit:g}): what was seen outweighs what was inferred"
            )
        if self.least_weight <= 0 or self.late_s < 0:
            raise UserError("least_weight must be positive and late_s not negative")


class LocalMap:
    """Evidence of the frames so far in a window around the robot. One thread owns it."""

    def __init__(self, settings: AccumulationSettings | None = None) -> None:
        self.settings = settings or AccumulationSettings()
        self._window: GridWindow | None = None
        self._evidence: Floats = np.zeros((CHANNELS, 0, 0), np.float32)
        self._stamp_ns = 0
        self._newest: OccupancyMap | None = None

    def clear(self) -> None:
        """Forget everything."""
        self._window = self._newest = None

    def accumulate(self, frame: OccupancyMap, stamp_ns: int) -> OccupancyMap:
        """Add a frame and return the map of its time; see the module's contract.

        The map has the window of the newest frame. A cell of it is observed when frames that
        observed it weigh at least as much as frames that completed it, or the newest observed it.
        """
        if self._window is None or self._is_jump(self._window, frame.window, stamp_ns):
            self._window, self._stamp_ns = frame.window, stamp_ns
            self._evidence = np.zeros((CHANNELS, *frame.probability.shape), np.float32)
        age_s = (stamp_ns - self._stamp_ns) / 1e9
        fading = np.float32(math.exp(-abs(age_s) / self.settings.decay_s))
        added = evidence_of(frame, self.settings)
        if age_s < 0:
            added = scrolled(added, frame.window, self._window) * fading
        else:
            self._evidence = scrolled(self._evidence, self._window, frame.window) * fading
            self._window, self._stamp_ns = frame.window, stamp_ns
            self._newest = frame
        self._evidence += added
        limit(self._evidence, self.settings)
        found = occupancy(self._evidence, self._window, self.settings)
        assert self._newest is not None
        return _no_less_occupied(found, self._newest)

    def _is_jump(self, before: GridWindow, window: GridWindow, stamp_ns: int) -> bool:
        seconds = (stamp_ns - self._stamp_ns) / 1e9
        if not -self.settings.late_s <= seconds <= self.settings.gap_s:
            return True
        if before.resolution != window.resolution:
            return True
        # Windows move by whole cells: a robot that stands may move one by a cell between frames.
        row, column = offset(before, window)
        metres = math.hypot(max(abs(row) - 1, 0), max(abs(column) - 1, 0)) * window.resolution
        return metres > self.settings.speed_limit * abs(seconds)


def evidence_of(frame: OccupancyMap, settings: AccumulationSettings) -> Floats:
    """(CHANNELS,H,W) what one frame says; zero where it knows nothing."""
    known = np.isfinite(frame.probability)
    p = np.clip(np.where(known, frame.probability, np.float32(0.5)), 1 - SUREST, SUREST)
    log_odds = np.log(p / (1 - p))
    observed = (known & frame.observed).astype(np.float32)
    completed = (known & ~frame.observed) * np.float32(settings.completed_weight)
    return np.stack([log_odds * observed, observed, log_odds * completed, completed])


def limit(evidence: Floats, settings: AccumulationSettings) -> None:
    """Bound the weights of (CHANNELS,H,W) in place; what a cell says stays as it is."""
    limits = ((OBSERVED, settings.observed_limit), (COMPLETED, settings.completed_limit))
    for channel, largest in limits:
        share = largest / np.maximum(evidence[channel + 1], np.float32(largest))
        evidence[channel : channel + 2] *= share


def occupancy(evidence: Floats, window: GridWindow, settings: AccumulationSettings) -> OccupancyMap:
    """The map that evidence (CHANNELS,H,W) stands for."""
    observed, completed = evidence[OBSERVED_WEIGHT], evidence[COMPLETED_WEIGHT]
    weight = observed + completed
    known = weight >= settings.least_weight
    mean = (evidence[OBSERVED] + evidence[COMPLETED]) / np.where(known, weight, np.float32(1))
    probability = np.where(known, 1 / (1 + np.exp(-mean)), np.float32(np.nan))
    return OccupancyMap(window, probability, known & (observed >= completed))


def _no_less_occupied(found: OccupancyMap, frame: OccupancyMap) -> OccupancyMap:
    larger = np.fmax(found.probability, frame.probability)
    known = np.isfinite(found.probability) | frame.observed
    probability = np.where(known, larger, np.float32(np.nan))
    return replace(found, probability=probability, observed=found.observed | frame.observed)


def scrolled(cells: npt.NDArray[Cell], before: GridWindow, after: GridWindow) -> npt.NDArray[Cell]:
    """Cells (C,H,W) of one window in another of the same resolution; zero where they are new."""
    if before == after:
        return cells
    moved = np.zeros((len(cells), after.height, after.width), cells.dtype)
    row, column = offset(before, after)
    rows, from_rows = _overlap(before.height, after.height, row)
    columns, from_columns = _overlap(before.width, after.width, column)
    moved[:, rows, columns] = cells[:, from_rows, from_columns]
    return moved


def offset(before: GridWindow, after: GridWindow) -> tuple[int, int]:
    """Rows and columns by which the corner of `after` lies beyond that of `before`."""
    return (
        round((after.y0 - before.y0) / after.resolution),
        round((after.x0 - before.x0) / after.resolution),
    )


def _overlap(before: int, after: int, shift: int) -> tuple[slice, slice]:
    """The cells of a new axis that an old one holds, and where the old one has them."""
    first, last = max(0, -shift), max(0, min(after, before - shift))
    first = min(first, last)
    return slice(first, last), slice(first + shift, last + shift)
