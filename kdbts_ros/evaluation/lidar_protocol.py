"""Occupancy against accumulated LiDAR scans, as published for BTS and KDBTS on KITTI-360.

Wimbauer et al., "Behind the Scenes" (CVPR 2023), as their evaluator computes it: a grid of points
before the camera is compared layer by layer with the nearest returns of the current scan and of
those after it. Every oddity of the evaluator has a name in `QUIRKS` and can be switched off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Array, inverse, transform
from kdbts_ros.errors import UserError

Bools = npt.NDArray[np.bool_]

QUIRKS = {
    "homogeneous_norm": "distances from the scanner are sqrt(x²+y²+z²+1), not planar",
    "own_depth": "a point before the method's own depth counts as visible, so as free",
    "near_is_behind": "points less than 3 m from the scanner count as behind a surface",
    "repeated_bins": "an empty direction repeats the range of the direction before it",
    "two_dissenters": "occupied although two scans of N see through",
    "raw_density": "occupied is a density above 0.5 1/m, whatever its opacity",
}
ALL_QUIRKS = frozenset(QUIRKS)

BINS = 360
_NEAR = 3.0


@dataclass(frozen=True)
class ReferenceGrid:
    """Points in the levelled frame of the camera: x right, y down, z forward, metres.

    The evaluator's own numbers by default; `layers` of height lie between the bounds of y, a single
    one in their middle. z runs from far to near.
    """

    x: tuple[float, float] = (-4.0, 4.0)
    y: tuple[float, float] = (0.0, 0.75)
    z: tuple[float, float] = (4.0, 20.0)
    layers: int = 1
    per_metre: float = 10.0

    def __post_init__(self) -> None:
        bounds = (self.x, self.y, self.z)
        if not (all(a < b for a, b in bounds) and self.layers >= 1 and self.per_metre > 0):
            raise UserError(f"the box {bounds} with {self.layers} layers holds no points")

    @property
    def reach(self) -> float:
        """Radius that contains the box, m: returns beyond it pass all of it."""
        return float(np.hypot(max(map(abs, self.x)), self.z[1]))

    def levels(self) -> list[tuple[float, float, float]]:
        """(y, lowest y, highest y) of each layer."""
        low, high = self.y
        if self.layers == 1:
            return [((low + high) / 2, low, high)]
        half = (high - low) / (self.layers - 1) / 2
        return [(y, y - half, y + half) for y in np.linspace(low, high, self.layers).tolist()]

    def points(self) -> Array:
        """(layers, Z, X, 3)."""
        x = np.linspace(*self.x, round((self.x[1] - self.x[0]) * self.per_metre))
        z = np.linspace(*self.z[::-1], round((self.z[1] - self.z[0]) * self.per_metre))
        y = np.array([level for level, _, _ in self.levels()])
        Y, Z, X = np.meshgrid(y, z, x, indexing="ij")
        return np.stack([X, Y, Z], -1)


@dataclass(frozen=True, eq=False)
class PosedScan:
    """xyz (N,3) in the scanner's frame (z up), and T_level_velo (4,4) to the levelled camera."""

    xyz: Array
    T_level_velo: Array


def lidar_occupancy(
    grid: ReferenceGrid, scans: Sequence[PosedScan], quirks: frozenset[str] = ALL_QUIRKS
) -> tuple[Bools, Bools]:
    """What the scans say: occupied and visible to the first scan, both (layers * Z * X,).

    A point is occupied where (nearly) all scans have a return before it.
    """
    if not scans:
        raise UserError("the LiDAR protocol needs at least one scan")
    behind = np.stack(
        [
            [points_behind(level, layer, scan, grid.reach, quirks) for scan in scans]
            for level, layer in zip(grid.levels(), grid.points(), strict=True)
        ],
        axis=1,
    )
    count = len(scans)
    needed = count - 2 if "two_dissenters" in quirks else count
    # The evaluator's comparison is strict on (1 + agreeing) / N.
    occupied = behind.sum(0) + 1 > needed
    return occupied.reshape(-1), ~behind[0].reshape(-1)


def points_behind(
    level: tuple[float, float, float],
    points: Array,
    scan: PosedScan,
    reach: float,
    quirks: frozenset[str] = ALL_QUIRKS,
) -> Bools:
    """(Z*X,) whether a scan has a return before each (Z,X,3) point of one layer."""
    local = transform(inverse(scan.T_level_velo), points.reshape(-1, 3))
    azimuth = np.arctan2(local[:, 1], local[:, 0])
    if "homogeneous_norm" in quirks:
        distance = np.sqrt((local**2).sum(1) + 1)
    else:
        distance = np.hypot(local[:, 0], local[:, 1])
    directions, ranges = nearest_returns(level, scan, reach, quirks)
    behind = distance > np.interp(azimuth, directions, ranges)
    if "near_is_behind" in quirks:
        behind |= distance < _NEAR
    return np.asarray(behind)


def nearest_returns(
    level: tuple[float, float, float],
    scan: PosedScan,
    reach: float,
    quirks: frozenset[str] = ALL_QUIRKS,
) -> tuple[Array, Array]:
    """Directions (BINS+2,) in rad and the nearest planar range there, m, of one layer's returns.

    Returns from beyond `reach` count at any height: their rays have crossed the whole box. The
    first and the last direction repeat each other's, a turn apart, for interpolation.
    """
    world = transform(scan.T_level_velo, scan.xyz)
    _, low, high = level
    kept = (world[:, 1] >= low) & (world[:, 1] <= high)
    kept |= np.linalg.norm(world, axis=1) >= reach
    x, y = scan.xyz[kept, 0], scan.xyz[kept, 1]
    azimuth, planar = np.arctan2(y, x), np.hypot(x, y)
    index = np.clip(((azimuth + np.pi) / (2 * np.pi) * BINS).astype(int), 0, BINS - 1)
    nearest = np.full(BINS, np.inf)
    np.minimum.at(nearest, index, planar)
    if "repeated_bins" in quirks and len(planar):
        last = float(planar[np.argmin(azimuth)])
        for k in range(BINS):
            last = nearest[k] = nearest[k] if np.isfinite(nearest[k]) else last
    # Without returns a direction is open as far as the box goes.
    nearest = np.where(np.isfinite(nearest), nearest, reach * 2)
    centres = (np.arange(-1, BINS + 1) + 0.5) / BINS * 2 * np.pi - np.pi
    return centres, nearest[np.r_[BINS - 1, np.arange(BINS), 0]]


def reference_measures(predicted: Bools, occupied: Bools, visible: Bools) -> dict[str, float]:
    """Measures of one frame over flat points; NaN where a set is empty.

    What is visible counts as free whatever the scans say. IE: among the invisible points.
    """
    truth, hidden = occupied & ~visible, ~visible

    def share(hits: Bools, of: Bools) -> float:
        return float(hits[of].mean()) if of.any() else float("nan")

    everything = np.ones_like(hidden)
    return {
        "O_acc": share(predicted == truth, everything),
        "O_prec": share(truth, predicted),
        "O_rec": share(predicted, truth),
        "IE_acc": share(predicted == truth, hidden),
        "IE_prec": share(~truth, ~predicted & hidden),
        "IE_rec": share(~predicted, ~truth & hidden),
    }


def before_own_depth(depth: npt.NDArray[np.floating], ndc: Array, z: Array) -> Bools:
    """(N,) points no farther than the method's own depth (H,W), read at the nearest pixel.

    ndc (N,2) in [-1, 1] over pixel centres from corner to corner; outside, the border's.
    """
    height, width = depth.shape
    column = np.rint((ndc[:, 0] + 1) / 2 * (width - 1)).clip(0, width - 1).astype(int)
    row = np.rint((ndc[:, 1] + 1) / 2 * (height - 1)).clip(0, height - 1).astype(int)
    return np.asarray(z <= depth[row, column])
