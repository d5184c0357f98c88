"""The grid a planner reads: cells in a fixed frame, the height band over them, and what they say.

No model is needed for any of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.engines.answers import Bools, Floats, FrameGrids
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.errors import UserError

Pose = npt.NDArray[np.float64]
Int8s = npt.NDArray[np.int8]
CompletedCells = Literal["keep", "discount", "unknown"]

UNKNOWN, FREE, OCCUPIED = -1, 0, 100


@dataclass(frozen=True)
class HeightBand:
    """Heights above the ground plane of the robot that count as an obstacle, metres."""

    low: float = 0.3
    high: float = 2.0
    step: float = 0.2

    def __post_init__(self) -> None:
        if not (self.low < self.high and self.step > 0):
            raise UserError(
                f"height band {self.low:g}..{self.high:g} m in steps of {self.step:g} m is empty"
            )

    def levels(self) -> tuple[Floats, float]:
        """Middle heights (L,) of equal layers no thicker than `step`, and their thickness."""
        count = max(1, int(np.ceil((self.high - self.low) / self.step - 1e-9)))
        thickness = (self.high - self.low) / count
        heights = self.low + (np.arange(count) + 0.5) * thickness
        return heights.astype(np.float32), thickness


@dataclass(frozen=True)
class GridWindow:
    """An axis-aligned grid of cells in a fixed frame: the corner (x0, y0) of cell (0, 0) in m.

    Row 0 holds the smallest y and column 0 the smallest x, as nav_msgs/OccupancyGrid does.
    """

    resolution: float
    width: int
    height: int
    x0: float
    y0: float

    @classmethod
    def around(cls, x: float, y: float, side: float, resolution: float) -> GridWindow:
        """A square of `side` m around (x, y); the corner is a multiple of the resolution.

        Snapping keeps cells of consecutive maps on top of each other, and Nav2 warns otherwise.
        """
        if not (resolution > 0 and side >= resolution):
            raise UserError(
                f"a grid of side {side:g} m at resolution {resolution:g} m has no cells"
            )
        cells = round(side / resolution)
        column = np.floor(x / resolution + 0.5) - cells // 2
        row = np.floor(y / resolution + 0.5) - cells // 2
        return cls(resolution, cells, cells, float(column * resolution), float(row * resolution))

    def centres(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """x (W,) and y (H,) of the cell centres in the fixed frame."""
        x = self.x0 + (np.arange(self.width, dtype=np.float64) + 0.5) * self.resolution
        y = self.y0 + (np.arange(self.height, dtype=np.float64) + 0.5) * self.resolution
        return x, y


class MapArea(NamedTuple):
    """Where a map is asked: the pose of the base in the fixed frame, the cells, the heights."""

    T_fixed_base: Pose
    window: GridWindow
    band: HeightBand


class CellRule(NamedTuple):
    """How a probability is published: see `published_cells`."""

    threshold: float
    completed: CompletedCells


def published_cells(
    probability: Floats, observed: Bools, threshold: float, completed: CompletedCells
) -> Int8s:
    """Of cells of any shape: -1 unknown, 0 free, 100 occupied from `threshold` on.

    completed: what columns behind a surface say. "keep" takes the network's word; "discount"
    takes it for what is occupied, but calls free only what is so below half the threshold, and
    the rest unknown; "unknown" hides them all.
    """
    cells = np.full(probability.shape, UNKNOWN, np.int8)
    occupied, free = probability >= threshold, probability < threshold
    if completed == "discount":
        free &= observed | (probability < threshold / 2)
    cells[occupied] = OCCUPIED
    cells[free] = FREE
    if completed == "unknown":
        cells[~observed] = UNKNOWN
    return cells


@dataclass(frozen=True)
class OccupancyMap:
    """probability (H,W) that something stands in a column, NaN unknown; observed (H,W): light of
    a view reaches most of what is seen of the column, otherwise the network completed it."""

    window: GridWindow
    probability: Floats
    observed: Bools

    def trinary(self, threshold: float = 0.5, completed: CompletedCells = "discount") -> Int8s:
        """(H,W) as they are published: see `published_cells`."""
        return published_cells(self.probability, self.observed, threshold, completed)

    def percent(self, threshold: float = 0.5, completed: CompletedCells = "discount") -> Int8s:
        """(H,W) probability in 0..100; -1 where `trinary` is."""
        return self.percent_beside(self.trinary(threshold, completed))

    def percent_beside(self, trinary: Int8s) -> Int8s:
        """(H,W) probability in 0..100; -1 where a published trinary map is.

        A planner that reads this grid as a trinary one takes all that is short of lethal for free:
        what is not free enough for the one grid must not be told as a number by the other.
        """
        scaled = np.rint(np.nan_to_num(self.probability) * 100)
        return np.where(trinary != UNKNOWN, scaled, UNKNOWN).astype(np.int8)


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


def band_columns(
    T_fixed_base: Pose, window: GridWindow, band: HeightBand
) -> tuple[AffineGrid, float]:
    """The points of the band over every cell of a window, and the thickness of a layer in m.

    Columns are vertical in the fixed frame and stand on the plane z = 0 of the base frame.
    """
    heights, thickness = band.levels()
    normal, base = T_fixed_base[:3, 2], T_fixed_base[:3, 3]
    if normal[2] < 0.5:
        raise UserError("the base frame lies on its side: its z axis must point up (REP-103)")
    slope_x, slope_y = -normal[0] / normal[2], -normal[1] / normal[2]
    x, y = window.x0 + window.resolution / 2, window.y0 + window.resolution / 2
    ground = base[2] + slope_x * (x - base[0]) + slope_y * (y - base[1])
    steps = np.array(
        [
            [window.resolution, 0, slope_x * window.resolution],
            [0, window.resolution, slope_y * window.resolution],
            [0, 0, thickness],
        ]
    )
    origin = np.array([x, y, ground + float(heights[0])])
    return AffineGrid(origin, steps, (len(heights), window.height, window.width)), thickness
