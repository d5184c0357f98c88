"""Steadier cells for planners: marks that last until they are cleared, and no specks.

Contract, over what one map alone would publish:

* A cell that was published as occupied stays so while its probability is not below `clearing`,
  completed or not; where completed cells are published as unknown, those stay unknown. A cell that
  is unknown now is published as unknown, and its mark waits.
* Marks lie in the fixed frame and move with the window, by whole cells. They are forgotten with the
  cells that leave it, after a pause or a step back of `PAUSE_S`, and with `forget`.
* Of occupied cells that touch each other, corners included, groups of fewer than `least_cells` are
  unknown, and leave no mark: something may stand there, but too little agrees.
* What is published is -1, 0 or 100, and the percentages are -1 exactly where that is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from kdbts_ros.density.engines.answers import Bools
from kdbts_ros.density.maps.grid import (
    OCCUPIED,
    UNKNOWN,
    CellRule,
    FrameMap,
    GridWindow,
    Int8s,
    OccupancyMap,
)
from kdbts_ros.density.maps.rolling_map import scrolled
from kdbts_ros.errors import UserError

PAUSE_S = 5.0


@dataclass(frozen=True)
class MarkRules:
    """clearing: probability below which a mark is cleared; 0: at once where a cell is no longer
    called occupied. least_cells: of a group that is published, 1: every cell.

    Raises:
        UserError: a value out of range.
    """

    clearing: float = 0.0
    least_cells: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.clearing < 1:
            raise UserError(f"clearing_threshold must be 0 to 1, got {self.clearing:g}")
        if self.least_cells < 1:
            raise UserError(f"speckle_cells must be 1 or more, got {self.least_cells}")

    @property
    def idle(self) -> bool:
        """Whether maps are published as they are."""
        return self.clearing == 0 and self.least_cells == 1


class Marks:
    """What earlier maps marked. One thread owns it."""

    def __init__(self) -> None:
        self._marked: Bools = np.zeros((0, 0), np.bool_)
        self._window: GridWindow | None = None
        self._stamp_ns = 0

    def forget(self) -> None:
        """Begin anew: time has jumped."""
        self._window = None

    def published(
        self, found: FrameMap, cell_rule: CellRule, rules: MarkRules, percent: bool,
        stamp_ns: int | None,
    ) -> tuple[Int8s, Int8s | None]:  # fmt: skip
        """trinary and, when wanted, percent (H,W) of a map, steadied.

        stamp_ns: of the map; None for one that is not part of a drive, and is not remembered.
        """
        if rules.idle:
            self.forget()
            return found.published(*cell_rule, percent)
        trinary, _ = found.published(*cell_rule, False)
        steady = self._steadied(found.occupancy, trinary, cell_rule, rules, stamp_ns)
        return steady, found.occupancy.percent_beside(steady) if percent else None

    def _steadied(
        self,
        occupancy: OccupancyMap,
        trinary: Int8s,
        cell_rule: CellRule,
        rules: MarkRules,
        stamp_ns: int | None,
    ) -> Int8s:
        found, earlier = np.array(trinary), self._marks_in(occupancy.window, stamp_ns)
        # Never above the threshold that marks: a cell would be cleared that is marked again.
        kept = earlier & (occupancy.probability >= min(rules.clearing, cell_rule.threshold))
        if rules.clearing == 0:
            kept[:] = False
        if cell_rule.completed == "unknown":
            kept &= occupancy.observed
        found[kept] = OCCUPIED
        found[_specks(found == OCCUPIED, rules.least_cells)] = UNKNOWN
        if stamp_ns is not None:
            waiting = earlier & np.isnan(occupancy.probability)
            self._marked = (found == OCCUPIED) | waiting
            self._window, self._stamp_ns = occupancy.window, stamp_ns
        return found

    def _marks_in(self, window: GridWindow, stamp_ns: int | None) -> Bools:
        """(H,W): marks of earlier maps in the cells of this window."""
        before = self._window
        none = np.zeros((window.height, window.width), np.bool_)
        if before is None or stamp_ns is None or before.resolution != window.resolution:
            return none
        if abs(stamp_ns - self._stamp_ns) > PAUSE_S * 1e9:
            return none
        return scrolled(self._marked[None], before, window)[0]


def _specks(cells: Bools, least: int) -> Bools:
    """(H,W): cells of groups of fewer than `least`."""
    if least == 1 or not cells.any():
        return np.zeros_like(cells)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(cells.astype(np.uint8), connectivity=8)
    few = stats[:, cv2.CC_STAT_AREA] < least
    few[0] = False
    return np.asarray(few[labels])
