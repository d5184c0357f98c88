"""The plane that the height band of a map stands on: z = 0 of the base, or what a view sees of it.

What half the light of a view's rays ends on is a cloud of points. Those near the ground, before the
camera, are searched for the plane with the most of them, bounded around the one transforms tell:
slopes that begin ahead, kerbs and a base that sways leave the obstacles on their ground.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.engines.answers import Floats, stretched
from kdbts_ros.density.geometry.camera import Array, Camera, inverse
from kdbts_ros.errors import UserError

# Where ground counts, m before the camera's foot as the network is shown it, and how far aside.
AHEAD, ASIDE = (4.0, 20.0), 3.0
# Bounds around the plane of transforms: slopes ahead and aside, and the height at the near end, m.
MOST_AHEAD, MOST_ASIDE, MOST_STEP = 0.12, 0.06, 0.3
# Points this near to a plane are on it, m: what one plane needs for a ground that breaks by 10 %. A
# slope must win this many more than none does. Every metre ahead counts alike.
_WITHIN, _BIN, _WORTH, _METRE = 0.2, 0.04, 1.05, 1.0
# A slope aside below the first of these is what kerbs and networks make of a level street, and
# counts for nothing; from the second on it counts wholly.
_KERBS = 0.02, 0.03
# A plane no further than the first of these from that of transforms, m anywhere in the strip, is
# what networks bend a level ground by, and counts for nothing; from the second on it counts wholly.
_BENT = 0.12, 0.24
# A plane that rises or falls by less is parallel to that of transforms.
_PARALLEL = 0.015
# Fewer points near the ground, or a smaller share of them on the plane, are no clear ground.
LEAST_POINTS, LEAST_SHARE = 60, 0.5


class GroundPlane(NamedTuple):
    """z = height + x * slope_x + y * slope_y, m, in a frame whose z points up."""

    height: float = 0.0
    slope_x: float = 0.0
    slope_y: float = 0.0

    @property
    def slopes(self) -> bool:
        """Whether it is no plane that is only seen in another scale: that would be parallel."""
        return bool(np.hypot(self.slope_x, self.slope_y) > _PARALLEL)

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
    beyond = ahead - near
    metre = (beyond * scale / _METRE).astype(np.int64)
    weight = 1.0 / np.maximum(np.bincount(metre), 3.0)[metre]
    slope = _best_slope(z, beyond, weight)
    found = np.array([_mode(z - slope * beyond, weight).at, slope, 0.0])
    design = np.stack([np.ones_like(z), beyond, aside], 1)
    most = np.array([MOST_STEP, MOST_AHEAD, MOST_ASIDE])
    for _ in range(4):
        on_it = np.abs(z - design @ found) < _WITHIN
        if on_it.sum() < LEAST_POINTS // 2:
            return None
        root = np.sqrt(weight[on_it])
        found = np.linalg.lstsq(design[on_it] * root[:, None], z[on_it] * root, rcond=None)[0]
        found = np.clip(found, -most, most)
    on_it = np.abs(z - design @ found) < _WITHIN
    if weight[on_it].sum() < LEAST_SHARE * weight.sum():
        return None
    found[2] *= _counted(abs(found[2]), _KERBS)
    reach = np.abs([found[0], found[0] + found[1] * (far - near)]).max() + abs(found[2]) * ASIDE
    found *= _counted(float(reach), _BENT)
    left = np.array([-heading[1], heading[0]])
    gradient = found[1] * heading + found[2] * left
    foot = T_base_cam[:2, 3] + near * heading
    return GroundPlane(float(found[0] - gradient @ foot), float(gradient[0]), float(gradient[1]))


def _counted(size: float, between: tuple[float, float]) -> float:
    """0 below the first of two sizes, 1 from the second on."""
    return float(np.clip((size - between[0]) / (between[1] - between[0]), 0.0, 1.0))


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
    inside &= np.abs(z) < MOST_STEP + MOST_AHEAD * (ahead - near)
    if valid is not None:
        inside &= stretched(valid, (h, w))
    return np.stack([ahead[inside], aside[inside], z[inside]], 1), heading


class _Mode(NamedTuple):
    """Where most heights are, m, and what they weigh."""

    at: float
    weight: float


def _best_slope(z: Array, along: Array, weight: Array) -> float:
    """The slope along which most heights (N,) lie on one line; 0 where it wins nothing."""
    tried = np.linspace(-MOST_AHEAD, MOST_AHEAD, 13)
    found = [_mode(z - slope * along, weight).weight for slope in tried]
    best = int(np.argmax(found))
    return float(tried[best]) if found[best] > _WORTH * found[len(tried) // 2] else 0.0


def _mode(z: Array, weight: Array) -> _Mode:
    """Of heights (N,) m: the middle of the `_WITHIN` to either side that weighs most."""
    bins = 2 * round(MOST_STEP / _BIN)
    index = np.floor(z / _BIN).astype(np.int64) + bins // 2
    inside = (index >= 0) & (index < bins)
    counts = np.bincount(index[inside], weight[inside], bins)
    wide = np.convolve(counts, np.ones(2 * round(_WITHIN / _BIN) - 1), "same")
    best = int(wide.argmax())
    return _Mode((best + 0.5 - bins // 2) * _BIN, float(wide[best]))


@dataclass(frozen=True)
class PlaneRules:
    """Times in s: `settle`, in which the filter follows to 1/e; `hold`, for which the last clear
    ground stands; `release`, in which it then returns to that of transforms by 1/e."""

    settle: float = 0.3
    hold: float = 1.0
    release: float = 1.0

    def __post_init__(self) -> None:
        if not min(self.settle, self.hold, self.release) > 0:
            raise UserError(f"a followed ground needs times above 0, got {self}")


@dataclass
class PlaneTrack:
    """The plane that one camera sees, over time. It lies in the fixed frame: what was fitted before
    the robot drove or swayed stands where it was."""

    rules: PlaneRules = field(default_factory=PlaneRules)
    _plane: GroundPlane | None = None
    _last_ns: int = 0
    _clear_ns: int = 0

    @property
    def known(self) -> bool:
        """Whether there was clear ground."""
        return self._plane is not None

    def at(self, T_fixed_base: Array) -> GroundPlane:
        """In the base frame of a frame to come, within the bounds; `AS_TOLD` before any."""
        if self._plane is None:
            return AS_TOLD
        height, slope_x, slope_y = self._plane.seen_from(inverse(T_fixed_base))
        most = MOST_STEP + MOST_AHEAD * AHEAD[0]
        steep = max(1.0, float(np.hypot(slope_x, slope_y)) / MOST_AHEAD)
        return GroundPlane(float(np.clip(height, -most, most)), slope_x / steep, slope_y / steep)

    def add(self, fit: GroundPlane | None, T_fixed_base: Array, stamp_ns: int) -> None:
        """Take what a frame saw, None where its ground was not clear; stamps never go back."""
        seconds = max(0, stamp_ns - self._last_ns) / 1e9
        self._last_ns = stamp_ns
        before = self.at(T_fixed_base)
        if fit is not None:
            share = 1.0 - np.exp(-seconds / self.rules.settle) if self.known else 1.0
            self._clear_ns, now = stamp_ns, before.mixed(fit, float(share))
        elif self.known and stamp_ns - self._clear_ns > self.rules.hold * 1e9:
            now = before.mixed(AS_TOLD, float(1.0 - np.exp(-seconds / self.rules.release)))
        else:
            return
        self._plane = now.seen_from(T_fixed_base)
