"""The bird's-eye occupancy map a planner reads: columns over a height band, in a fixed frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.engines.answers import Bools, Floats
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.maps.newest import no_less_than
from kdbts_ros.density.scene import SceneCompleter, Speaker
from kdbts_ros.errors import UserError

Pose = npt.NDArray[np.float64]
CompletedCells = Literal["keep", "discount", "unknown"]

UNKNOWN, FREE, OCCUPIED = -1, 0, 100
# A column says something only if the views see this share of its band; what little they see of the
# rest would call columns free by the sky above them.
MIN_SEEN_SHARE = 0.5


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


@dataclass(frozen=True)
class OccupancyMap:
    """probability (H,W) that something stands in a column, NaN unknown; observed (H,W): light of
    a view reaches most of what is seen of the column, otherwise the network completed it."""

    window: GridWindow
    probability: Floats
    observed: Bools

    def trinary(
        self, threshold: float = 0.5, completed: CompletedCells = "discount"
    ) -> npt.NDArray[np.int8]:
        """(H,W) of -1 unknown, 0 free, 100 occupied from `threshold` on.

        completed: what columns behind a surface say. "keep" takes the network's word; "discount"
        takes it for what is occupied, but calls free only what is so below half the threshold, and
        the rest unknown; "unknown" hides them all.
        """
        grid = np.full(self.probability.shape, UNKNOWN, np.int8)
        occupied = self.probability >= threshold
        free = self.probability < threshold
        if completed == "discount":
            free &= self.observed | (self.probability < threshold / 2)
        grid[occupied] = OCCUPIED
        grid[free] = FREE
        if completed == "unknown":
            grid[~self.observed] = UNKNOWN
        return grid

    def percent(
        self, threshold: float = 0.5, completed: CompletedCells = "discount"
    ) -> npt.NDArray[np.int8]:
        """(H,W) probability in 0..100; -1 where `trinary` is.

        A planner that reads this grid as a trinary one takes all that is short of lethal for free:
        what is not free enough for the one grid must not be told as a number by the other.
        """
        scaled = np.rint(np.nan_to_num(self.probability) * 100)
        known = self.trinary(threshold, completed) != UNKNOWN
        return np.where(known, scaled, UNKNOWN).astype(np.int8)


def map_around(
    scene: SceneCompleter, T_fixed_base: Pose, window: GridWindow, band: HeightBand
) -> OccupancyMap:
    """Occupancy of the columns of `window`, fixed frame = world of the scene's views.

    The ground is the plane z = 0 of the robot's base frame, so that a pitching robot or a slope
    carries its band with it. A column's probability comes from its optical depth over the seen part
    of the band, the sum of density x layer thickness, by the calibration of the scene. What the
    reference view observes is on the map whatever the others say, see `newest`.
    """
    asked = T_fixed_base, window, band
    together = map_together(scene, *asked)
    if len(scene.views) == 1:
        return together
    return no_less_than(map_alone(scene, *asked), together, scene.occupied_from(len(scene.views)))


def map_together(
    scene: SceneCompleter, T_fixed_base: Pose, window: GridWindow, band: HeightBand
) -> OccupancyMap:
    """As `map_around`, what all views in use say by the one head that fuses them."""
    return _map_by(scene.together, scene.spec.depth_near, T_fixed_base, window, band)


def map_alone(
    scene: SceneCompleter, T_fixed_base: Pose, window: GridWindow, band: HeightBand
) -> OccupancyMap:
    """As `map_around`, what the reference view says alone."""
    return _map_by(scene.alone, scene.spec.depth_near, T_fixed_base, window, band)


def _map_by(
    speaker: Speaker,
    depth_near: float,
    T_fixed_base: Pose,
    window: GridWindow,
    band: HeightBand,
) -> OccupancyMap:
    grid, thickness = band_columns(T_fixed_base, window, band)
    sums = speaker.queries.column_sums(grid, speaker.reach)
    # A density that is not a number is not free space: it makes its column unknown.
    known = (sums.seen >= MIN_SEEN_SHARE * grid.shape[0]) & _within_range(
        speaker.views, depth_near, grid
    )
    observed = known & (sums.lit * 2 >= sums.seen)
    probability = np.full(known.shape, np.nan, np.float32)
    probability[known] = speaker.calibration.probability(
        sums.density[known] * np.float32(thickness), observed[known]
    )
    return OccupancyMap(window, probability, observed)


def _within_range(views: Sequence[EncodedView], depth_near: float, grid: AffineGrid) -> Bools:
    """(H,W): columns that are not nearer to every view than depths were ever learnt.

    Nearer ones still lie in the image, and their densities look plausible: a wall across the lower
    edge of the view that no planner would pass.
    """
    levels, height, width = grid.shape
    along_x, along_y, up = grid.steps
    middle = grid.origin + up * (levels - 1) / 2
    within = np.zeros((height, width), np.bool_)
    for view in views:
        axis, centre = view.T_world_cam[:3, 2], view.T_world_cam[:3, 3]
        first = (middle - centre) @ axis
        # Depth, which is affine: what a column adds, against what a row lacks.
        missing = depth_near / view.scale - first - np.arange(height) * (along_y @ axis)
        within |= np.arange(width) * (along_x @ axis) >= missing[:, None]
    return within


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
