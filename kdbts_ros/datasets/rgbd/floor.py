"""Where the floor of a sequence is: a camera in somebody's hand has no robot below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.density.geometry.camera import Array

# Planes that are tried, and points that vote for them.
_TRIED, _VOTING = 600, 4000
# Points this near to a plane belong to it, m: depth sensors are that exact at 3 m.
_WITHIN = 0.03
# Of all points, the least share that a floor has, and the largest that may lie below it.
_LEAST_SHARE, _MOST_BELOW = 0.05, 0.02
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


def find_floor(points: Array, places: Array, up: Array, tilt: float, seed: int = 0) -> Floor | None:
    """The lowest large plane below cameras; None where no plane is one.

    Args:
        points: (N,3) surfaces, m. places: (M,3) of cameras among them.
        up: (3,) the vertical as far as it is known, tilt: rad by which it may be wrong.
        seed: of the planes that are tried.
    """
    if len(points) < 3:
        return None
    rng = np.random.default_rng(seed)
    voters = points[rng.permutation(len(points))[:_VOTING]]
    normals, offsets = _tried_planes(voters, up, tilt, rng)
    best, most = None, _LEAST_SHARE
    for normal, offset in zip(normals, offsets, strict=True):
        height = float(np.median(places @ normal) - offset)
        if not _LOWEST <= height <= _HIGHEST:
            continue
        above = voters @ normal - offset
        share = float((np.abs(above) < _WITHIN).mean())
        if share > most and (above < -2 * _WITHIN).mean() <= _MOST_BELOW:
            best, most = (normal, offset), share
    if best is None:
        return None
    normal, offset = _refined(voters, *best)
    share = float((np.abs(voters @ normal - offset) < _WITHIN).mean())
    return Floor(levelled(normal, offset), share, float(np.median(places @ normal) - offset))


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


def _tried_planes(
    points: Array, up: Array, tilt: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Normals (P,3) near the vertical and offsets (P,) of planes through three points each."""
    corners = points[rng.integers(len(points), size=(_TRIED, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    good = lengths > 1e-6
    normals = normals[good] / lengths[good, None]
    normals *= np.where(normals @ up < 0, -1.0, 1.0)[:, None]
    near = normals @ up > np.cos(tilt)
    normals = normals[near]
    return normals, np.einsum("pi,pi->p", normals, corners[good][near, 0])


def _refined(points: Array, normal: Array, offset: float) -> tuple[Array, float]:
    """The plane of least squares through the points near one."""
    for _ in range(3):
        near = points[np.abs(points @ normal - offset) < _WITHIN]
        centre = near.mean(0)
        fitted = np.linalg.svd(near - centre, full_matrices=False)[2][2]
        normal = fitted if fitted @ normal > 0 else -fitted
        offset = float(centre @ normal)
    return normal, offset
