"""What a further view adds to a map, measured at points spread over it.

A point that no chosen view sees counts 1; one that is seen counts the angle between the rays to it,
relative to `FULL_PARALLAX`. A second look along the same ray adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Array

# Rays that meet at this angle fix a point in space about as well as any (rad, about 6 degrees).
FULL_PARALLAX = 0.1


@dataclass(frozen=True)
class Sights:
    """Which points views have in their images, seen (V,N), and the unit rays (V,N,3) to them."""

    seen: npt.NDArray[np.bool_]
    rays: Array

    @classmethod
    def of(cls, projections: Sequence[Array], centres: Sequence[Array], points: Array) -> Sights:
        """Of views by their projection (3,4) and centre (3,); points (N,3)."""
        P = np.stack(projections)
        x, y, z = np.moveaxis(P[:, :, :3] @ points.T + P[:, :, 3:], 1, 0)
        seen = (z > 0) & (np.abs(x) <= z) & (np.abs(y) <= z)
        rays = points - np.stack(centres)[:, None]
        length = np.sqrt(np.einsum("vij,vij->vi", rays, rays))
        return cls(seen, rays / np.maximum(length, 1e-9)[..., None])


class Novelty:
    """What points gain from one further view each, beside those it was put beside.

    gain (V,N) in 0..1.
    """

    def __init__(self, sights: Sights) -> None:
        self._sights = sights
        self.gain = np.where(sights.seen, 1.0, 0.0)

    def beside(self, chosen: int) -> None:
        """Take into account that one of the views is used."""
        seen, rays = self._sights.seen, self._sights.rays
        cosine = np.einsum("vij,ij->vi", rays, rays[chosen])
        parallax = np.arccos(np.clip(cosine, -1.0, 1.0)) / FULL_PARALLAX
        self.gain = np.where(seen[chosen], np.minimum(self.gain, parallax), self.gain)


def probe_points(
    x: Sequence[float], y: Sequence[float], ground: float, heights: tuple[float, float]
) -> Array:
    """(N,3) points spread over a map: a coarse raster of its extent [x0,x1] x [y0,y1] in m, at two
    heights above the ground."""
    side = 12
    X, Y, Z = np.meshgrid(
        np.linspace(x[0], x[1], side),
        np.linspace(y[0], y[1], side),
        ground + np.asarray(heights, np.float64),
        indexing="ij",
    )
    return np.stack([X, Y, Z], axis=-1).reshape(-1, 3)
