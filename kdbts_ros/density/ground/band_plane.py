"""The plane that the height band of a map stands on: z = 0 of the base, or what a view sees of it.

What half the light of a view's rays ends on is a cloud of points. Those near the ground, before the
camera, are searched for the plane with the most of them, bounded around the one transforms tell:
slopes that begin ahead, kerbs and a base that sways leave the obstacles on their ground.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.engines.answers import Floats, stretched
from kdbts_ros.density.geometry.camera import Array, Camera

# Where ground counts, m before the camera's foot as the network is shown it, and how far aside.
AHEAD, ASIDE = (4.0, 20.0), 3.0
# Bounds around the plane of transforms: slopes ahead and aside, and the height at the near end, m.
MOST_AHEAD, MOST_ASIDE, MOST_STEP = 0.12, 0.06, 0.3
# Points this near to a plane are on it, m; a slope must win this many more than none does.
_WITHIN, _BIN, _WORTH = 0.12, 0.04, 1.05
# A plane no further than the first of these from that of transforms, m anywhere in the strip, is
# what networks bend a level ground by, and counts for nothing; from the second on it counts wholly.
_BENT = 0.12, 0.24
# Fewer points near the ground, or a smaller share of them on the plane, are no clear ground.
LEAST_POINTS, LEAST_SHARE = 60, 0.5


class GroundPlane(NamedTuple):
    """z = height + x * slope_x + y * slope_y, m, in a frame whose z points up."""

    height: float = 0.0
    slope_x: float = 0.0
    slope_y: float = 0.0

    @property
    def pose(self) -> Array:
        """(4,4) of a frame whose z = 0 is the plane, above the origin of the plane's own."""
        up = np.array([-self.slope_x, -self.slope_y, 1.0])
        up /= np.linalg.norm(up)
        x = np.array([1.0, 0.0, self.slope_x])
        x /= np.linalg.norm(x)
        T = np.eye(4)
        T[:3, :3] = np.stack([x, np.cross(up, x), up], 1)
        T[2, 3] = self.height
        return T

    def at(self, points: Array) -> Array:
        """Height (N,) of the plane below or above points (N,2+)."""
        return np.asarray(self.height + points[:, 0] * self.slope_x + points[:, 1] * self.slope_y)

    def seen_from(self, T_new_old: Array) -> GroundPlane:
        """The same plane in another frame whose z points up roughly as well."""
        T = T_new_old @ self.pose
        up = T[:3, 2]
        slope_x, slope_y = -up[0] / up[2], -up[1] / up[2]
        height = T[2, 3] - slope_x * T[0, 3] - slope_y * T[1, 3]
        return GroundPlane(float(height), float(slope_x), float(slope_y))

    def mixed(self, other: GroundPlane, share: float) -> GroundPlane:
        """With so much of another plane of the same frame in it."""
        return GroundPlane(*(float(a + share * (b - a)) for a, b in zip(self, other, strict=True)))


AS_TOLD = GroundPlane()


def fit_band_plane(
    depth: Floats,
    camera: Camera,
    T_base_cam: Array,
    scale: float = 1.0,
    valid: npt.NDArray[np.bool_] | None = None,
) -> GroundPlane | None:
    """The plane in the base frame, m; None: no clear ground.

    depth (h,w): z-depth m over a view's image where half the light is gone. camera: of that image.
    T_base_cam (4,4): the view over the base, whose z = 0 is the ground that transforms tell. scale,
    valid: see `View`; near ground is near as the network is shown it.
    """
    strip, heading = _near_ground(depth, camera, T_base_cam, scale, valid)
    if len(strip) < LEAST_POINTS:
        return None
    ahead, aside, z = strip.T
    near, far = AHEAD[0] / scale, AHEAD[1] / scale
    slope = _best_slope(z, ahead - near, MOST_AHEAD, 0.01)
    roll = _best_slope(z - slope * (ahead - near), aside, MOST_ASIDE, 0.015)
    level = z - slope * (ahead - near) - roll * aside
    step = _mode(level)[0]
    design = np.stack([np.ones_like(z), ahead - near, aside], 1)
    found = np.array([step, slope, roll])
    for _ in range(3):
        on_it = np.abs(z - design @ found) < _WITHIN
        if on_it.sum() < LEAST_POINTS // 2:
            return None
        # Aside there is little to tell a roll by: it is held to what the search found.
        found[:2] = np.linalg.lstsq(
            design[on_it, :2], z[on_it] - found[2] * aside[on_it], rcond=None
        )[0]
        found = np.clip(
            found, [-MOST_STEP, -MOST_AHEAD, -MOST_ASIDE], [MOST_STEP, MOST_AHEAD, MOST_ASIDE]
        )
    if (np.abs(z - design @ found) < _WITHIN).mean() < LEAST_SHARE:
        return None
    most = np.abs([found[0], found[0] + found[1] * (far - near)]).max() + abs(found[2]) * ASIDE
    found *= np.clip((most - _BENT[0]) / (_BENT[1] - _BENT[0]), 0.0, 1.0)
    left = np.array([-heading[1], heading[0]])
    gradient = found[1] * heading + found[2] * left
    foot = T_base_cam[:2, 3] + near * heading
    return GroundPlane(float(found[0] - gradient @ foot), float(gradient[0]), float(gradient[1]))


def _near_ground(
    depth: Floats,
    camera: Camera,
    T_base_cam: Array,
    scale: float,
    valid: npt.NDArray[np.bool_] | None,
) -> tuple[Array, Array]:
    """(N,3) metres ahead of the camera's foot, to its left and above the base's plane, of points
    that may be ground; and (2,) where ahead is in the base frame."""
    h, w = depth.shape
    rays = camera.resized(w, h).rays().astype(np.float64)
    rotation, centre = T_base_cam[:3, :3], T_base_cam[:3, 3]
    heading = rotation[:2, 2] / max(float(np.linalg.norm(rotation[:2, 2])), 1e-9)
    points = (rays * depth[..., None]) @ rotation.T
    ahead = points[..., :2] @ heading
    aside = points[..., :2] @ np.array([-heading[1], heading[0]])
    z = points[..., 2] + centre[2]
    near, far = AHEAD[0] / scale, AHEAD[1] / scale
    inside = (ahead > near) & (ahead < far) & (np.abs(aside) < ASIDE / scale)
    inside &= np.abs(z) < MOST_STEP + MOST_AHEAD * (ahead - near) + _WITHIN
    if valid is not None:
        inside &= stretched(valid, (h, w))
    return np.stack([ahead[inside], aside[inside], z[inside]], 1), heading


def _best_slope(z: Array, along: Array, most: float, step: float) -> float:
    """The slope along which most heights (N,) lie on one line; 0 where it wins nothing."""
    tried = np.arange(-most, most + step / 2, step)
    counts = [_mode(z - slope * along)[1] for slope in tried]
    best = int(np.argmax(counts))
    level = counts[len(tried) // 2]
    return float(tried[best]) if counts[best] > _WORTH * level else 0.0


def _mode(z: Array) -> tuple[float, int]:
    """Of heights (N,) m: the middle of the `_WITHIN` either side with the most, and how many."""
    bins = 2 * round(MOST_STEP / _BIN)
    index = np.floor((z + MOST_STEP) / _BIN).astype(np.int64)
    counts = np.bincount(index[(index >= 0) & (index < bins)], minlength=bins)
    wide = np.convolve(counts, np.ones(2 * round(_WITHIN / _BIN) - 1, np.int64), "same")
    best = int(wide.argmax())
    return (best + 0.5) * _BIN - MOST_STEP, int(wide[best])
