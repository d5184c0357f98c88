"""What queries return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Camera, OwnCamera
from kdbts_ros.density.geometry.lattice import Lattice

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

# A ray that keeps more of its light than the rest of this meets nothing.
LEAST_OPACITY = 0.5


@dataclass(frozen=True)
class Volume:
    """Occupancy over a lattice.

    probability (Z,Y,X) in 0..1, NaN where no view sees the cell; observed (Z,Y,X): at least half
    the light of some view reaches the cell. A cell that is seen but not observed was completed by
    the network.
    """

    lattice: Lattice
    probability: Floats
    observed: Bools


@dataclass(frozen=True)
class DepthMap:
    """z-depth (h,w) m and opacity (h,w) 0..1 of view 0, with the camera of that size.

    `depth` is d̂, the expected termination depth with a forced last sample, so that free rays read
    as the last sample, or `surface`, see `SceneCompleter.surface_of`; mask by opacity. `seen` and
    `own`: see `View.valid` and `View.own`.
    """

    depth: Floats
    surface: Floats
    opacity: Floats
    camera: Camera
    seen: Bools | None = None
    own: OwnCamera | None = None

    def valid(self, min_opacity: float = LEAST_OPACITY) -> Floats:
        """Depth with NaN where the ray meets nothing, and where the image held nothing seen."""
        known = self.opacity >= min_opacity
        if self.seen is not None:
            known &= stretched(self.seen, known.shape)
        return np.where(known, self.depth, np.float32(np.nan))

    def published(self, min_opacity: float = LEAST_OPACITY) -> tuple[Floats, Camera]:
        """z-depth in the frame of the real camera, NaN where unknown, and the pinhole it fits.

        A warped view shares its centre of projection with that camera, so that every ray has one
        distance; z is measured along another axis.
        """
        depth = self.valid(min_opacity)
        if self.own is None:
            return depth, self.camera
        pixels = OwnPixels.of(self.own, self.camera)
        found = np.full(pixels.pixel.shape, np.nan, np.float32)
        inside = pixels.pixel >= 0
        found[inside] = depth.ravel()[pixels.pixel[inside]] / pixels.z[inside]
        return found.reshape(self.own.camera.height, self.own.camera.width), self.own.camera


class OwnPixels(NamedTuple):
    """Where the pixels (N,) of a view's own camera, row by row, lie in the view: which of its own,
    -1 outside, and the view's z per z of the own camera."""

    pixel: npt.NDArray[np.int64]
    z: npt.NDArray[np.float64]

    @classmethod
    def of(cls, own: OwnCamera, camera: Camera) -> OwnPixels:
        """camera: of the view, of the size of its depth."""
        rays = own.camera.rays().reshape(-1, 3) @ own.R_own_view
        uv, z = camera.project(rays)
        with np.errstate(invalid="ignore"):
            inside = (uv >= 0).all(-1) & (uv < [camera.width, camera.height]).all(-1)
        # Nearest pixels: a mean over an edge would put a point between two things.
        column, row = np.floor(uv[inside]).astype(np.int64).T
        pixel = np.full(len(rays), -1, np.int64)
        pixel[inside] = row * camera.width + column
        return cls(pixel, z)


class DepthImage(NamedTuple):
    """What is shown of a `DepthMap`: `valid` (h,w), and `published` with its camera."""

    valid: Floats
    published: Floats
    camera: Camera

    @classmethod
    def of(cls, depth_map: DepthMap) -> DepthImage:
        return cls(depth_map.valid(), *depth_map.published())


class FrameGrids(NamedTuple):
    """A finished map, (rows,columns) each: probability, NaN unknown; trinary and percent int8;
    observed."""

    probability: Floats
    trinary: npt.NDArray[np.int8]
    percent: npt.NDArray[np.int8]
    observed: Bools


def stretched(seen: Bools, size: tuple[int, ...]) -> Bools:
    """(h,w) of that size: the nearest cells of an array that lies over the same image."""
    h, w = size
    rows = (np.arange(h) + 0.5) / h * seen.shape[0]
    columns = (np.arange(w) + 0.5) / w * seen.shape[1]
    return seen[np.ix_(rows.astype(int), columns.astype(int))]
