"""What queries return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.camera import Camera
from kdbts_ros.density.lattice import Lattice

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Volume:
    """Occupancy over a lattice.

    probability (Z,Y,X) in 0..1, NaN where no view sees the cell; observed (Z,Y,X): at least half
    the light of view 0 reaches the cell. A cell that is seen but not observed was completed by the
    network.
    """

    lattice: Lattice
    probability: Floats
    observed: Bools


@dataclass(frozen=True)
class DepthMap:
    """z-depth (h,w) m and opacity (h,w) 0..1 of view 0, with the camera of that size.

    `depth` is the expectation with a forced last sample, so free rays read as the last sample; mask
    by opacity. `median` is where half the light is gone. `seen` as `View.valid`.
    """

    depth: Floats
    median: Floats
    opacity: Floats
    camera: Camera
    seen: Bools | None = None

    def valid(self, min_opacity: float = 0.5) -> Floats:
        """Depth with NaN where the ray meets nothing, and where the image held nothing seen."""
        known = self.opacity >= min_opacity
        if self.seen is not None:
            h, w = known.shape
            rows = (np.arange(h) + 0.5) / h * self.seen.shape[0]
            columns = (np.arange(w) + 0.5) / w * self.seen.shape[1]
            known &= self.seen[np.ix_(rows.astype(int), columns.astype(int))]
        return np.where(known, self.depth, np.float32(np.nan))
