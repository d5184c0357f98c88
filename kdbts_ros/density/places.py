"""Places that somebody asks about: checked, and brought into the world of the views."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from kdbts_ros.density.geometry.camera import Array, transform
from kdbts_ros.density.place_loops import moved
from kdbts_ros.errors import UserError

# Asked at once: of points a few ms of one core.
MOST_POINTS, MOST_FOOTPRINTS, MOST_CORNERS = 100_000, 1_000, 100
# Sides of the polygon around a disc: its corners are 0.5 % further out.
DISC_SIDES = 32
# No robot is further from the origin of its frame, m.
_FARTHEST = 1e7
# As far from one may the square of a quaternion's length be, as in tf2.
_QUATERNION_TOLERANCE = 1e-2


def world_points(coordinates: npt.ArrayLike, T_world_frame: Array) -> Array:
    """(N,3) in the world of points in a frame, metres: (N,3), or flat, x, y, z of each in turn.

    Raises:
        UserError: no whole number of points, too many, not finite, or further away than any robot.
    """
    flat = np.asarray(coordinates, np.float64).reshape(-1)
    if flat.size % 3:
        raise UserError(f"{flat.size} numbers are no whole number of points with x, y and z")
    points = flat.reshape(-1, 3)
    if len(points) > MOST_POINTS:
        raise UserError(f"{len(points):,} points are more than {MOST_POINTS:,}: ask for fewer")
    T = np.ascontiguousarray(T_world_frame, np.float64)
    xyz, far = moved(np.ascontiguousarray(points), T, _FARTHEST)
    if far < len(points):
        raise _far_away("point", far)
    return np.asarray(xyz)


def outline(corners: npt.ArrayLike, radius: float) -> Array:
    """(C,2) of a footprint in x and y of its pose, metres: a polygon, or one around a disc.

    Raises:
        UserError: both, neither, too few corners or too many, or numbers that are none.
    """
    polygon = np.asarray(corners, np.float64).reshape(-1, 2)
    if polygon.size and radius:
        raise UserError("a footprint has a polygon or a radius, not both")
    if polygon.size:
        if not 3 <= len(polygon) <= MOST_CORNERS:
            raise UserError(f"a polygon has 3 to {MOST_CORNERS} corners, this one {len(polygon)}")
        _check_near(polygon, "corner")
        return polygon
    if not 0 < radius <= _FARTHEST:
        raise UserError(f"a footprint needs a polygon or a positive radius, got {radius:g} m")
    angles = np.arange(DISC_SIDES) * (2 * np.pi / DISC_SIDES)
    out = radius / np.cos(np.pi / DISC_SIDES)
    return np.asarray(out * np.stack([np.cos(angles), np.sin(angles)], -1))


def world_outlines(poses: npt.ArrayLike, corners: Array, T_world_frame: Array) -> Array:
    """(N,C,2): x and y in the world of an outline (C,2) at every pose.

    poses (N,7) in a frame: x, y, z in metres and a quaternion x, y, z, w.

    Raises:
        UserError: too many, not finite, quaternions not of unit length.
    """
    given = np.asarray(poses, np.float64).reshape(-1, 7)
    if len(given) > MOST_FOOTPRINTS:
        raise UserError(f"{len(given):,} poses are more than {MOST_FOOTPRINTS:,}: ask for fewer")
    _check_near(given, "pose")
    lengths = np.linalg.norm(given[:, 3:], axis=1)
    bad = np.flatnonzero(np.abs(lengths**2 - 1) > _QUATERNION_TOLERANCE)
    if bad.size:
        raise UserError(
            f"pose {bad[0]} has a quaternion of length {lengths[bad[0]]:.3g}, not 1: set w to 1 "
            "for no rotation"
        )
    if not len(given):
        return np.empty((0, len(corners), 2))
    turned = Rotation.from_quat(given[:, 3:]).as_matrix()[:, :, :2] @ corners.T
    return transform(T_world_frame, turned.swapaxes(1, 2) + given[:, None, :3])[..., :2]


def _check_near(coordinates: Array, kind: str) -> None:
    """Of each corner or pose, one a row."""
    # What is not a number is not near either.
    bad = np.flatnonzero(~(np.abs(coordinates) <= _FARTHEST).all(-1))
    if bad.size:
        raise _far_away(kind, int(bad[0]))


def _far_away(kind: str, which: int) -> UserError:
    return UserError(f"{kind} {which} is not finite, or more than {_FARTHEST:g} m away")
