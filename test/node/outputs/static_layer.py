"""A small model of Nav2's static layer, by the rules of Jazzy, Kilted, Lyrical and main (2026).

It knows what decides whether and where our cells land: which messages are refused, what a value
means, that only x and y of the origin count, and how a rolling costmap looks cells up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

FREE, INSCRIBED, LETHAL, UNKNOWN = 0, 253, 254, 255
LARGEST_SIDE = 32767
Costs = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Settings:
    """What the layer reads at the level of the costmap; the defaults are Nav2's."""

    track_unknown_space: bool = False
    use_maximum: bool = False
    trinary_costmap: bool = True
    lethal_cost_threshold: int = 100
    # From Lyrical on; None for the versions before.
    inscribed_obstacle_cost_value: int | None = 99


@dataclass(frozen=True)
class Costmap:
    """A costmap that rolls: (H,W) costs, row 0 at the smallest y, corner (x0, y0) in m."""

    costs: Costs
    resolution: float
    x0: float
    y0: float

    def centres(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """x and y (H,W) of the cell centres in the costmap's frame."""
        rows, columns = np.indices(self.costs.shape)
        x = self.x0 + (columns + 0.5) * self.resolution
        y = self.y0 + (rows + 0.5) * self.resolution
        return x, y


def refusal(grid: Any) -> str:
    """Why the layer refuses an OccupancyGrid, or ""."""
    origin, info = grid.info.origin, grid.info
    place = (origin.position.x, origin.position.y, origin.position.z)
    turn = (origin.orientation.x, origin.orientation.y, origin.orientation.z, origin.orientation.w)
    if not all(map(math.isfinite, (*place, *turn, info.resolution))):
        return "a number is not finite"
    if not grid.header.frame_id:
        return "no frame"
    if grid.header.stamp.nanosec >= 1_000_000_000:
        return "nanoseconds of a whole second"
    if abs(sum(v * v for v in turn) - 1) >= 1e-4:
        return "the quaternion is not of unit length"
    if info.resolution < 1e-6:
        return "the resolution is too small"
    if not (0 < info.width <= LARGEST_SIDE and 0 < info.height <= LARGEST_SIDE):
        return "no cells, or too many on a side"
    if len(grid.data) != info.width * info.height:
        return "another number of cells than width times height"
    return ""


def cost_of(value: int, settings: Settings) -> int:
    """What a cell of -128..127 costs."""
    seen = value % 256  # the layer reads the signed byte as an unsigned one
    if seen == 255:
        return UNKNOWN if settings.track_unknown_space else FREE
    if seen == settings.inscribed_obstacle_cost_value:
        return INSCRIBED
    if seen >= settings.lethal_cost_threshold:
        return LETHAL
    if settings.trinary_costmap:
        return FREE
    return int(seen / settings.lethal_cost_threshold * LETHAL)


def costs_of(grid: Any, settings: Settings) -> Costs:
    """(H,W) costs of a message."""
    table = np.array([cost_of(v, settings) for v in range(256)], np.uint8)
    cells = np.frombuffer(bytes(grid.data), np.uint8)
    return table[cells].reshape(grid.info.height, grid.info.width)


def laid_over(
    costmap: Costmap,
    grid: Any,
    settings: Settings,
    T_map_global: npt.NDArray[np.float64] | None = None,
) -> Costmap:
    """The costmap after the layer has written a message into it.

    T_map_global: (3,3) from the costmap's frame to that of the message; None for one and the same.
    """
    assert refusal(grid) == ""
    x, y = costmap.centres()
    if T_map_global is not None:
        moved = T_map_global @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
        x, y = moved[0].reshape(x.shape), moved[1].reshape(y.shape)
    # The field is a float32 on the wire.
    resolution = float(np.float32(grid.info.resolution))
    column = np.floor((x - grid.info.origin.position.x) / resolution).astype(int)
    row = np.floor((y - grid.info.origin.position.y) / resolution).astype(int)
    inside = (column >= 0) & (column < grid.info.width) & (row >= 0) & (row < grid.info.height)
    told = costs_of(grid, settings)[row[inside], column[inside]]
    costs = costmap.costs.copy()
    costs[inside] = np.maximum(costs[inside], told) if settings.use_maximum else told
    return replace(costmap, costs=costs)
