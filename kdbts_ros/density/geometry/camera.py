"""Pinhole cameras, posed views, and the rigid transforms between frames."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kdbts_ros.errors import UserError

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without distortion: K_k.

    Pixel coordinates put the *centre* of the top-left pixel at (0.5, 0.5), so that the image spans
    [0, width] x [0, height]. OpenCV, ROS and KITTI put that centre at (0, 0): see
    `from_integer_centres`. Optical frame: x right, y down, z forward (REP-103).

    Raises:
        UserError: sizes below 1 pixel, focal lengths that are not positive, values not finite.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise UserError(f"camera image size must be positive, got {self.width}x{self.height}")
        if not all(np.isfinite(v) for v in (self.fx, self.fy, self.cx, self.cy)):
            raise UserError("camera intrinsics contain NaN or infinity; calibrate the camera")
        if self.fx <= 0 or self.fy <= 0:
            raise UserError(
                f"camera focal lengths must be positive, got fx={self.fx:g} fy={self.fy:g}; "
                "calibrate the camera"
            )

    @classmethod
    def from_integer_centres(cls, K: npt.ArrayLike, width: int, height: int) -> Camera:
        """From a 3x3 matrix in the convention of OpenCV, CameraInfo and KITTI calibration."""
        K = np.asarray(K, np.float64).reshape(3, 3)
        return cls(width, height, K[0, 0], K[1, 1], K[0, 2] + 0.5, K[1, 2] + 0.5)

    @classmethod
    def from_ndc(cls, K_ndc: npt.ArrayLike, width: int, height: int) -> Camera:
        """From a 3x3 matrix that maps the optical frame to [-1, 1]^2 (the reference's form)."""
        K = np.asarray(K_ndc, np.float64).reshape(3, 3)
        return cls(
            width,
            height,
            K[0, 0] * width / 2,
            K[1, 1] * height / 2,
            (K[0, 2] + 1) * width / 2,
            (K[1, 2] + 1) * height / 2,
        )

    @property
    def matrix(self) -> Array:
        """(3,3) optical frame to pixels, centres at half-integers."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    @property
    def ndc(self) -> Array:
        """(3,3) optical frame to [-1, 1]^2 over the image."""
        return np.array(
            [
                [2 * self.fx / self.width, 0, 2 * self.cx / self.width - 1],
                [0, 2 * self.fy / self.height, 2 * self.cy / self.height - 1],
                [0, 0, 1.0],
            ]
        )

    def resized(self, width: int, height: int) -> Camera:
        """The camera of the same image stretched to another size."""
        sx, sy = width / self.width, height / self.height
        return Camera(width, height, self.fx * sx, self.fy * sy, self.cx * sx, self.cy * sy)

    def rays(self) -> npt.NDArray[np.float32]:
        """(H,W,3) directions through the pixel centres in the optical frame, z = 1."""
        u = (np.arange(self.width) + 0.5 - self.cx) / self.fx
        v = (np.arange(self.height) + 0.5 - self.cy) / self.fy
        x, y = np.meshgrid(u, v)
        return np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float32)

    def project(self, xyz_cam: npt.ArrayLike) -> tuple[Array, Array]:
        """(N,3) optical-frame points to ((N,2) pixels, (N,) z in m); pixels NaN where z <= 0."""
        xyz = np.asarray(xyz_cam, np.float64)
        z = xyz[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            uv = xyz[:, :2] / np.where(z > 0, z, np.nan)[:, None]
        return uv * [self.fx, self.fy] + [self.cx, self.cy], z


@dataclass(frozen=True, eq=False)
class OwnCamera:
    """The real camera behind a view that was warped, without its distortion.

    camera: a pinhole in the same place. R_own_view (3,3): the view's optical frame to its own.
    """

    camera: Camera
    R_own_view: Array


class Deferred(Protocol):
    """An image that is made when it is asked for."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H,W,3) of the image."""

    def image(self) -> npt.NDArray[np.uint8]:
        """(H,W,3) uint8 RGB."""


@dataclass(frozen=True, eq=False)
class View:
    """A posed image I_k: (H,W,3) uint8 RGB, its camera, and T_world_cam (4,4), camera to world.

    source: the image, or what makes it once `image` is asked for. scale: the network is shown a
    world this many times as large about the camera: it learnt from cameras of one height, and a
    camera at half of it sees what they saw at half the distance. Queries and answers stay in
    metres. valid (h,w): where the image holds what the camera saw, on a grid of any size over the
    whole image; the rest is unseen. None: everywhere. own: the camera that a warped image came
    from, in whose frame depth is published.

    Raises:
        UserError: image and camera sizes differ, image not uint8 RGB, a pose that is not rigid, or
            a scale that is not positive.
    """

    source: npt.NDArray[np.uint8] | Deferred
    camera: Camera
    T_world_cam: Array
    scale: float = 1.0
    valid: npt.NDArray[np.bool_] | None = None
    own: OwnCamera | None = None

    def __post_init__(self) -> None:
        expected = (self.camera.height, self.camera.width, 3)
        kind = self.source.dtype if isinstance(self.source, np.ndarray) else np.dtype(np.uint8)
        if self.source.shape != expected or kind != np.uint8:
            raise UserError(
                f"a view needs a uint8 RGB image of shape {expected}, "
                f"got {kind} {self.source.shape}"
            )
        check_rigid(self.T_world_cam, "T_world_cam")
        if not 0 < self.scale < np.inf:
            raise UserError(f"the scale of a view must be positive, got {self.scale:g}")

    @cached_property
    def image(self) -> npt.NDArray[np.uint8]:
        """(H,W,3) uint8 RGB."""
        return self.source if isinstance(self.source, np.ndarray) else self.source.image()


def check_rigid(T: npt.ArrayLike, name: str, tolerance: float = 1e-3) -> None:
    """Raise UserError unless T is a finite (4,4) rotation and translation."""
    T = np.asarray(T, np.float64)
    if T.shape != (4, 4) or not np.isfinite(T).all():
        raise UserError(f"{name} must be a finite 4x4 matrix, got shape {T.shape}")
    R = T[:3, :3]
    if np.abs(R @ R.T - np.eye(3)).max() > tolerance or np.linalg.det(R) < 0:
        raise UserError(f"{name} is not a rigid transform: its rotation is not orthonormal")
    if np.abs(T[3] - [0, 0, 0, 1]).max() > 1e-9:
        raise UserError(f"{name} must end with the row 0 0 0 1")


def inverse(T_a_b: Array) -> Array:
    """T_b_a of a rigid (4,4) transform."""
    R, t = T_a_b[:3, :3], T_a_b[:3, 3]
    T = np.eye(4)
    T[:3, :3] = R.T
    T[:3, 3] = -R.T @ t
    return T


def transform(T_a_b: Array, xyz_b: npt.ArrayLike) -> Array:
    """(...,3) points of frame b in frame a."""
    return np.asarray(xyz_b, np.float64) @ T_a_b[:3, :3].T + T_a_b[:3, 3]


# The optical frame (x right, y down, z forward) seen from a REP-103 body frame (x forward, y left,
# z up) that shares its origin.
R_BODY_OPTICAL: Array = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
