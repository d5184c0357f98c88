"""How lenses bend rays: five models, both ways, with the domain in which each is one-to-one.

A `Lens` is a `Camera` (size, focal lengths, centre) and a `Distortion`, which maps rays of the
optical frame to the plane that the focal lengths then scale. Cropping, binning and resizing change
the camera alone.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Array, Camera
from kdbts_ros.errors import UserError

NEWTON_STEPS = 10
# Steps smaller than this change nothing any more.
CONVERGED = 1e-13
# A point that Newton's method did not bring this close to its image was none of the lens's.
ROUND_TRIP = 1e-9
# Where radial functions are searched for the radius at which they turn back.
RADII = np.linspace(0.0, 10.0, 20_001)
ANGLES = np.linspace(0.0, np.pi, 6_284)


class Distortion(Hashable, Protocol):
    """Rays to the image plane and back; NaN outside the domain."""

    def bend(self, rays: Array) -> Array:
        """(...,3) rays of any length to plane points (...,2)."""

    def straighten(self, xy: Array) -> Array:
        """(...,2) plane points to unit rays (...,3)."""


@dataclass(frozen=True)
class Pinhole:
    """No distortion: x / z, y / z for rays that point forward."""

    def bend(self, rays: Array) -> Array:
        return _perspective(rays)

    def straighten(self, xy: Array) -> Array:
        return _unit(xy[..., 0], xy[..., 1], np.ones(xy.shape[:-1]))


@dataclass(frozen=True)
class BrownConrady:
    """OpenCV's pinhole distortion: k1, k2, p1, p2, then k3, k4 to k6 (rational), s1 to s4 (prism).

    ROS calls five values `plumb_bob` and eight `rational_polynomial`. The domain ends at the radius
    from which the radial factor would fold the image back onto itself.

    Raises:
        UserError: a number of coefficients other than 4, 5, 8 or 12.
    """

    coefficients: tuple[float, ...]
    _padded: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.coefficients) not in (4, 5, 8, 12):
            raise UserError(
                f"a Brown-Conrady lens has 4, 5, 8 or 12 coefficients, got {len(self.coefficients)}"
            )
        padded = self.coefficients + (0.0,) * (12 - len(self.coefficients))
        object.__setattr__(self, "_padded", padded)

    @cached_property
    def limit(self) -> float:
        """Undistorted radius at which the domain ends."""
        return _first_turn(RADII, RADII * self._radial(RADII**2))

    def bend(self, rays: Array) -> Array:
        xy = _perspective(rays)
        xy = np.where((np.hypot(xy[..., 0], xy[..., 1]) < self.limit)[..., None], xy, np.nan)
        return self.distort(xy)

    def straighten(self, xy: Array) -> Array:
        flat = self.undistort(xy)
        return _unit(flat[..., 0], flat[..., 1], np.ones(flat.shape[:-1]))

    def distort(self, xy: Array) -> Array:
        """(...,2) plane points, without and with distortion."""
        _, _, p1, p2, *_, s1, s2, s3, s4 = self._padded
        x, y = xy[..., 0], xy[..., 1]
        r2 = x * x + y * y
        radial = self._radial(r2)
        bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + s1 * r2 + s2 * r2 * r2
        bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + s3 * r2 + s4 * r2 * r2
        return np.stack([bent_x, bent_y], -1)

    def undistort(self, xy: Array) -> Array:
        """The inverse of `distort` inside the limit, NaN where it has none."""
        # The inverse of the radial part alone is a start from which Newton's method converges.
        radii = RADII[self.limit > RADII]
        bent_radius = np.hypot(xy[..., 0], xy[..., 1])
        start = np.interp(bent_radius, radii * self._radial(radii**2), radii)
        flat = xy * (start / np.maximum(bent_radius, 1e-12))[..., None]
        for _ in range(NEWTON_STEPS):
            step = self._newton_step(flat, xy)
            flat = flat - step
            if not (np.abs(step) > CONVERGED).any():
                break
        with np.errstate(invalid="ignore"):
            found = np.abs(self.distort(flat) - xy).max(-1) < ROUND_TRIP * (1 + bent_radius)
            found &= np.hypot(flat[..., 0], flat[..., 1]) < self.limit
        return np.where(found[..., None], flat, np.nan)

    def _radial(self, r2: Array) -> Array:
        k1, k2, _, _, k3, k4, k5, k6, *_ = self._padded
        numerator = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        return np.asarray(numerator / (1 + r2 * (k4 + r2 * (k5 + r2 * k6))))

    def _newton_step(self, flat: Array, target: Array) -> Array:
        h = 1e-6
        along_x, along_y = np.array([h, 0.0]), np.array([0.0, h])
        value = self.distort(flat)
        dx = (self.distort(flat + along_x) - self.distort(flat - along_x)) / (2 * h)
        dy = (self.distort(flat + along_y) - self.distort(flat - along_y)) / (2 * h)
        error = value - target
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            determinant = dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]
            step_x = (dy[..., 1] * error[..., 0] - dy[..., 0] * error[..., 1]) / determinant
            step_y = (dx[..., 0] * error[..., 1] - dx[..., 1] * error[..., 0]) / determinant
        return np.stack([step_x, step_y], -1)


@dataclass(frozen=True)
class Equidistant:
    """Kannala-Brandt fisheye (OpenCV's, ROS `equidistant`): the image radius is a polynomial of the
    angle to the optical axis, theta + k1 theta^3 + k2 theta^5 + k3 theta^7 + k4 theta^9.

    Rays beyond 90 degrees are part of it; the domain ends where the polynomial turns back.
    """

    coefficients: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    @cached_property
    def limit(self) -> float:
        """Angle to the axis at which the domain ends, rad; no ray is further than pi from it."""
        return min(_first_turn(ANGLES, self._radius(ANGLES)), float(np.pi))

    def bend(self, rays: Array) -> Array:
        across = np.hypot(rays[..., 0], rays[..., 1])
        angle = np.arctan2(across, rays[..., 2])
        radius = np.where(angle < self.limit, self._radius(angle), np.nan)
        # On the axis the radius is the angle, to first order.
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where(across > 0, radius / across, 0.0)
        factor = np.where(np.isnan(radius), np.nan, factor)
        return np.asarray(rays[..., :2] * factor[..., None])

    def straighten(self, xy: Array) -> Array:
        radius = np.hypot(xy[..., 0], xy[..., 1])
        angles = ANGLES[self.limit > ANGLES]
        angle = np.interp(radius, self._radius(angles), angles)
        h = 1e-6
        for _ in range(NEWTON_STEPS):
            slope = (self._radius(angle + h) - self._radius(angle - h)) / (2 * h)
            with np.errstate(divide="ignore", invalid="ignore"):
                angle = angle - (self._radius(angle) - radius) / slope
        with np.errstate(invalid="ignore"):
            found = (np.abs(self._radius(angle) - radius) < ROUND_TRIP) & (angle < self.limit)
            found &= angle >= 0
        angle = np.where(found, angle, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            across = np.where(radius > 0, np.sin(angle) / radius, 0.0)
        return np.stack([xy[..., 0] * across, xy[..., 1] * across, np.cos(angle)], -1)

    def _radius(self, angle: Array) -> Array:
        k1, k2, k3, k4 = self.coefficients
        t2 = angle * angle
        return np.asarray(angle * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4)))))


@dataclass(frozen=True)
class Mei:
    """Unified omnidirectional model (Mei and Rives, ICRA 2007): a unit sphere seen from xi behind
    its centre, then k1, k2, p1, p2. The focal lengths are the model's gammas.

    The domain is the cap that the shifted centre sees once: z > -1 / xi for xi > 1, else z > -xi.

    Raises:
        UserError: a negative xi.
    """

    xi: float
    coefficients: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if self.xi < 0:
            raise UserError(f"xi of an omnidirectional lens must not be negative, got {self.xi:g}")

    @cached_property
    def _lens(self) -> BrownConrady:
        return BrownConrady(self.coefficients)

    def bend(self, rays: Array) -> Array:
        sphere = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
        lowest = -1 / self.xi if self.xi > 1 else -self.xi
        z = np.where(sphere[..., 2] > lowest + 1e-9, sphere[..., 2], np.nan)
        xy = sphere[..., :2] / (z + self.xi)[..., None]
        inside = np.hypot(xy[..., 0], xy[..., 1]) < self._lens.limit
        return self._lens.distort(np.where(inside[..., None], xy, np.nan))

    def straighten(self, xy: Array) -> Array:
        flat = self._lens.undistort(xy)
        r2 = (flat**2).sum(-1)
        with np.errstate(invalid="ignore"):
            factor = (self.xi + np.sqrt(1 + (1 - self.xi**2) * r2)) / (r2 + 1)
        return np.stack([flat[..., 0] * factor, flat[..., 1] * factor, factor - self.xi], -1)


@dataclass(frozen=True)
class Lens:
    """A camera whose lens may bend lines. Equal lenses compare equal: tables are kept by that."""

    camera: Camera
    distortion: Distortion = field(default_factory=Pinhole)

    @property
    def bends(self) -> bool:
        """False for a pinhole: its image needs no straightening."""
        return not isinstance(self.distortion, Pinhole)

    def project(self, rays: npt.ArrayLike) -> Array:
        """(...,3) points or rays of the optical frame to pixels (...,2), centres at half-integers.

        Pixels may lie outside the image; NaN where the lens has no image of the ray at all.
        """
        c = self.camera
        return self.distortion.bend(np.asarray(rays, np.float64)) * [c.fx, c.fy] + [c.cx, c.cy]

    def unproject(self, uv: npt.ArrayLike) -> Array:
        """(...,2) pixels to unit rays (...,3) of the optical frame, NaN where no ray leads."""
        c = self.camera
        return self.distortion.straighten(
            (np.asarray(uv, np.float64) - [c.cx, c.cy]) / [c.fx, c.fy]
        )

    def inside(self, uv: Array) -> npt.NDArray[np.bool_]:
        """(...) whether pixels (...,2) lie in the image; NaN does not."""
        u, v = uv[..., 0], uv[..., 1]
        with np.errstate(invalid="ignore"):
            across = (u >= 0) & (u <= self.camera.width)
            return np.asarray(across & (v >= 0) & (v <= self.camera.height))


def _perspective(rays: Array) -> Array:
    z = np.where(rays[..., 2] > 0, rays[..., 2], np.nan)
    return np.asarray(rays[..., :2] / z[..., None])


def _unit(x: Array, y: Array, z: Array) -> Array:
    rays = np.stack([x, y, z], -1)
    return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))


def _first_turn(arguments: Array, values: Array) -> float:
    """The argument at which `values` stops growing, or infinity."""
    turns = np.flatnonzero(~(np.diff(values) > 0))
    return float(arguments[turns[0]]) if turns.size else float("inf")
