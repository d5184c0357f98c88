"""What a LiDAR scan knows of the columns of a map: occupied, free, or nothing.

A return says that something stands there, and its beam that nothing did on the way. Unlike the
reference's protocol nothing is concluded of what no beam has reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Array, transform
from kdbts_ros.density.maps.grid import GridWindow, HeightBand
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.lidar import Scan

Bools = npt.NDArray[np.bool_]

# Returns in a column from which it counts as occupied: a single one may be dust or a wing mirror.
LEAST_RETURNS = 2
# A beam is looked at so often per cell, and not over its last stretch, m: there it grazes what it
# ends at.
_PER_CELL = 2
BEAM_END = 0.3
# A free column's share of levels that beams crossed, its lowest one among them: what hides the low
# part of a column lets beams pass above.
FREE_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class Evidence:
    """(H,W) columns of a map that are occupied, and that are free; never both."""

    occupied: Bools
    free: Bools

    @property
    def known(self) -> Bools:
        return self.occupied | self.free


@dataclass(frozen=True, eq=False)
class Verdict:
    """(H,W) columns by what several scans know.

    occupied, free: by some scan, and denied by none. own: of these, what the first scan knows.
    disputed: occupied by one scan and free by another.
    """

    occupied: Bools
    free: Bools
    own: Bools
    disputed: Bools


def column_evidence(
    scan: Scan, T_world_base: Array, window: GridWindow, band: HeightBand
) -> Evidence:
    """What one scan knows; the band stands on the plane z = 0 of the base.

    Raises:
        UserError: a base that lies on its side.
    """
    cells = _Cells(T_world_base, window, band)
    returns = transform(scan.T_world_velo, scan.xyz)
    scanner = scan.T_world_velo[:3, 3]
    ends, start = cells.coordinates(returns), cells.coordinates(scanner[None])[0]
    _, row, column = cells.holding(ends)
    hits = np.zeros(cells.shape[1:], np.int64)
    np.add.at(hits, (row, column), 1)
    crossed = np.zeros(cells.shape, np.bool_)
    length = np.linalg.norm(returns - scanner, axis=1)
    for points in _along_beams(start, ends, length, cells.shape, window.resolution):
        crossed[cells.holding(points)] = True
    free = (hits == 0) & crossed[0] & (crossed.mean(0) >= FREE_SHARE)
    return Evidence(hits >= LEAST_RETURNS, free)


def together(evidence: Sequence[Evidence]) -> Verdict:
    """What scans know together; the first is the frame's own."""
    occupied = np.any([e.occupied for e in evidence], axis=0)
    free = np.any([e.free for e in evidence], axis=0)
    disputed = occupied & free
    occupied, free = occupied & ~disputed, free & ~disputed
    return Verdict(occupied, free, evidence[0].known & ~disputed, disputed)


class _Cells:
    """The cells (levels,rows,columns) of a band over a window."""

    def __init__(self, T_world_base: Array, window: GridWindow, band: HeightBand) -> None:
        if T_world_base[2, 2] < 0.5:
            raise UserError("the base frame lies on its side: its z axis must point up (REP-103)")
        heights, self._thickness = band.levels()
        self.shape = len(heights), window.height, window.width
        self._base, self._normal = T_world_base[:3, 3], T_world_base[:3, 2]
        self._window, self._low = window, band.low

    def coordinates(self, points: Array) -> Array:
        """(N,3) level, row and column of world points: cell k goes from k to k + 1."""
        window = self._window
        # Vertically above the plane, as the columns of a map are vertical.
        height = (points - self._base) @ self._normal / self._normal[2]
        return np.stack(
            [
                (height - self._low) / self._thickness,
                (points[:, 1] - window.y0) / window.resolution,
                (points[:, 0] - window.x0) / window.resolution,
            ],
            -1,
        )

    def holding(self, coordinates: Array) -> tuple[npt.NDArray[np.int64], ...]:
        """Level, row and column of the cells of those that lie in one."""
        inside = ((coordinates >= 0) & (coordinates < self.shape)).all(1)
        level, row, column = coordinates[inside].astype(np.int64).T
        return level, row, column


def _along_beams(
    start: Array, ends: Array, length: Array, shape: tuple[int, int, int], resolution: float
) -> Iterator[Array]:
    """Points along beams to (N,3) ends, all in coordinates of cells, a step at a time.

    length: (N,) of the beams, m.
    """
    low, high = np.minimum(start, ends)[:, 1:], np.maximum(start, ends)[:, 1:]
    meets = (length > BEAM_END) & (high >= 0).all(1) & (low <= shape[1:]).all(1)
    going = length[meets] - BEAM_END
    order = np.argsort(-going)
    steps = ((ends - start)[meets] / length[meets, None])[order]
    going = going[order]
    corners = np.array([[row, column] for row in (0, shape[1]) for column in (0, shape[2])])
    # Beams climb and fall by little: farther away in plan they have left the window.
    farthest = 1.2 * resolution * np.linalg.norm(corners - start[1:], axis=1).max()
    for distance in np.arange(0, farthest, resolution / _PER_CELL):
        count = int(np.searchsorted(-going, -distance))
        if not count:
            return
        yield start + distance * steps[:count]
