"""Where the floor of a sequence is: a camera in somebody's hand has no robot below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.density.geometry.camera import Array

# Points this near to a plane belong to it, m: depth sensors are that exact at 3 m. Heights are
# looked at so finely, and a floor's peak is this wide.
_WITHIN, _STEP, _PEAK = 0.03, 0.01, 0.08
# Of all points, the least share that a floor has, and the largest that may lie below it.
_LEAST_SHARE, _MOST_BELOW = 0.01, 0.02
# Normals this near to one another, rad, are of one direction; what is this level may be floor.
_ALIKE, _LEVEL = np.radians(4.0), np.radians(10.0)
# Of all normals, the least share that tells the vertical, and how many are tried.
_LEAST_LEVEL, _TRIED = 0.05, 300
# Part of the image's width to either side that a normal is made of, and the largest step of depth
# over both, of the depth.
_BESIDE, _SMOOTH = 1 / 160, 0.05
# Cameras of robots and people are this high, m.
_LOWEST, _HIGHEST = 0.1, 2.5
# How far the vertical may be from the one assumed: known by the files, or the mean of images whose
# camera somebody holds.
KNOWN_TILT, HELD_TILT = np.radians(5.0), np.radians(50.0)


@dataclass(frozen=True, eq=False)
class Floor:
    """T_level_any (4,4): the world of the files to one with z up and the floor at z = 0.

    share: of the points that lie on it; 0 where none was found and T_level_any is assumed.
    height: median of the cameras above it, m.
    """

    T_level_any: Array
    share: float
    height: float

    @property
    def sentence(self) -> str:
        """What was found, for reports."""
        if self.share:
            found = f"the floor has {self.share:.0%} of the depth"
            return f"{found}, the camera is {self.height:.2f} m above it"
        return f"no floor was found: the camera is taken as {self.height:.2f} m above one"


@dataclass(frozen=True, eq=False)
class Surfaces:
    """points (N,3) m of what cameras saw, normals (N,3) towards them, places (M,3) m of them."""

    points: Array
    normals: Array
    places: Array


def find_vertical(surfaces: Surfaces, up: Array, tilt: float, seed: int = 0) -> Array | None:
    """(3,) the direction that most level things agree on; None where too few do.

    Floors, tables and shelves are level whatever a camera does; walls and the camera's own tilt
    are not.

    Args:
        up: (3,) the vertical as far as it is known, tilt: rad by which it may be wrong.
        seed: of the directions that are tried.
    """
    near = surfaces.normals[surfaces.normals @ up > np.cos(tilt)]
    if len(near) < max(3.0, _LEAST_LEVEL * len(surfaces.normals)):
        return None
    rng = np.random.default_rng(seed)
    tried = near[rng.integers(len(near), size=_TRIED)]
    alike = np.cos(_ALIKE)
    best = tried[int(np.argmax((near @ tried.T > alike).sum(0)))]
    for _ in range(3):
        best = near[near @ best > alike].mean(0)
        best /= np.linalg.norm(best)
    agreeing = float((near @ best > alike).sum()) / len(surfaces.normals)
    return np.asarray(best) if agreeing >= _LEAST_LEVEL else None


def find_floor(surfaces: Surfaces, up: Array, tilt: float, seed: int = 0) -> Floor | None:
    """The lowest level surface below cameras that is large; None where there is none.

    Arguments as of `find_vertical`.
    """
    vertical = find_vertical(surfaces, up, tilt, seed)
    if vertical is None:
        return None
    points, camera = surfaces.points, float(np.median(surfaces.places @ vertical))
    heights = points @ vertical
    level = surfaces.normals @ vertical > np.cos(_LEVEL)
    ordered = np.sort(heights[level])
    tried = np.arange(camera - _HIGHEST, camera - _LOWEST, _STEP)
    ends = np.searchsorted(ordered, np.stack([tried - _WITHIN, tried + _WITHIN]))
    shares = (ends[1] - ends[0]) / len(points)
    large = np.flatnonzero(shares >= _LEAST_SHARE)
    if not len(large):
        return None
    first = int(large[0])
    peak = first + int(np.argmax(shares[first : first + round(_PEAK / _STEP)]))
    if (heights < tried[peak] - 2 * _WITHIN).mean() > _MOST_BELOW:
        return None
    normal, offset = _refined(points[level], vertical, float(tried[peak]))
    share = float((np.abs(points @ normal - offset) < _WITHIN).mean())
    return Floor(
        levelled(normal, offset), share, float(np.median(surfaces.places @ normal) - offset)
    )


def surface_normals(points: Array) -> Array:
    """(H,W,3) unit normals towards a camera at the origin of (H,W,3) points; NaN at edges of things
    and where points are NaN."""
    b = max(1, round(_BESIDE * points.shape[1]))
    normals = np.full(points.shape, np.nan)
    right = points[b:-b, 2 * b :] - points[b:-b, : -2 * b]
    down = points[2 * b :, b:-b] - points[: -2 * b, b:-b]
    found = np.cross(down, right)
    with np.errstate(invalid="ignore", divide="ignore"):
        found /= np.linalg.norm(found, axis=-1, keepdims=True)
        reach = _SMOOTH * points[b:-b, b:-b, 2]
        smooth = (np.abs(right[..., 2]) < reach) & (np.abs(down[..., 2]) < reach)
    found[~smooth] = np.nan
    normals[b:-b, b:-b] = found
    return normals


def levelled(normal: Array, offset: float) -> Array:
    """(4,4) to a world whose z is the plane's normal (3,) and whose floor is the plane."""
    # Any horizontal direction will do: the one that is least along the normal.
    side = np.eye(3)[int(np.argmin(np.abs(normal)))]
    x = side - normal * (side @ normal)
    x /= np.linalg.norm(x)
    return rigid(np.stack([x, np.cross(normal, x), normal]), (0.0, 0.0, -offset))


def mean_up(T_any_cam: Sequence[Array]) -> Array:
    """(3,) the mean of the cameras' own upward directions."""
    total = -np.sum([T[:3, 1] for T in T_any_cam], axis=0)
    length = float(np.linalg.norm(total))
    return np.asarray(total / length) if length > 1e-3 else -T_any_cam[0][:3, 1]


def _refined(points: Array, normal: Array, offset: float) -> tuple[Array, float]:
    """The plane of least squares through the points near one."""
    for _ in range(3):
        near = points[np.abs(points @ normal - offset) < _WITHIN]
        centre = near.mean(0)
        fitted = np.linalg.svd(near - centre, full_matrices=False)[2][2]
        normal = fitted if fitted @ normal > 0 else -fitted
        offset = float(centre @ normal)
    return normal, offset
