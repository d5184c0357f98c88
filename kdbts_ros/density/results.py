"""What queries return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.camera import Camera, OwnCamera
from kdbts_ros.density.lattice import Lattice

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


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

    `depth` is the expectation with a forced last sample, so free rays read as the last sample; mask
    by opacity. `median` is where half the light is gone. `seen` and `own`: see
    `View.valid` and `View.own`.
    """

    depth: Floats
    median: Floats
    opacity: Floats
    camera: Camera
    seen: Bools | None = None
    own: OwnCamera | None = None

    def valid(self, min_opacity: float = 0.5) -> Floats:
        """Depth with NaN where the ray meets nothing, and where the image held nothing seen."""
        known = self.opacity >= min_opacity
        if self.seen is not None:
            h, w = known.shape
            rows = (np.arange(h) + 0.5) / h * self.seen.shape[0]
            columns = (np.arange(w) + 0.5) / w * self.seen.shape[1]
            known &= self.seen[np.ix_(rows.astype(int), columns.astype(int))]
        return np.where(known, self.depth, np.float32(np.nan))

    def published(self, min_opacity: float = 0.5) -> tuple[Floats, Camera]:
        """z-depth in the frame of the real camera, NaN where unknown, and the pinhole it fits.

        A warped view shares its centre of projection with that camera, so that every ray has one
        distance; z is measured along another axis.
        """
        depth = self.valid(min_opacity)
        if self.own is None:
            return depth, self.camera
        h, w = depth.shape
        camera = self.own.camera
        rays = camera.rays().reshape(-1, 3) @ self.own.R_own_view
        uv, z = self.camera.project(rays)
        with np.errstate(invalid="ignore"):
            inside = (uv >= 0).all(-1) & (uv < [w, h]).all(-1)
        column, row = np.floor(uv[inside]).astype(np.int64).T
        found = np.full(len(rays), np.nan, np.float32)
        # Nearest pixels: a mean over an edge would put a point between two things.
        found[inside] = depth[row, column] / z[inside]
        return found.reshape(camera.height, camera.width), camera
