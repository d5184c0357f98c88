"""What a further view adds to a map, measured at points spread over it.

A point that no chosen view sees counts 1; one that is seen counts the angle between the rays to it,
relative to `FULL_PARALLAX`. A second look along the same ray adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.camera import Array, Camera, inverse

# Rays that meet at this angle fix a point in space about as well as any (rad, about 6 degrees).
FULL_PARALLAX = 0.1


@dataclass(frozen=True)
class Sight:
    """Which points (N,) a view has in its image, and the unit rays (N,3) to them."""

    seen: npt.NDArray[np.bool_]
    rays: Array

    @classmethod
    def of(cls, camera: Camera, T_world_cam: Array, points: Array) -> Sight:
        P = camera.ndc @ inverse(T_world_cam)[:3]
        x, y, z = P[:, :3] @ points.T + P[:, 3:]
        seen = (z > 0) & (np.abs(x) <= z) & (np.abs(y) <= z)
        rays = points - T_world_cam[:3, 3]
        length = np.sqrt(np.einsum("ij,ij->i", rays, rays))
        return cls(seen, rays / np.maximum(length, 1e-9)[:, None])


class Novelty:
    """What points gain from one further view, beside those it was put beside.

    gain (N,) in 0..1.
    """

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        self.gain = np.where(sight.seen, 1.0, 0.0)

    def beside(self, chosen: Sight) -> None:
        """Take into account another view that is used."""
        cosine = np.einsum("ij,ij->i", self.sight.rays, chosen.rays)
        parallax = np.arccos(np.clip(cosine, -1.0, 1.0)) / FULL_PARALLAX
        self.gain = np.where(chosen.seen, np.minimum(self.gain, parallax), self.gain)


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
