"""What a further view adds to a map, measured at points spread over it.

A point that no chosen view sees counts 1; one that is seen counts the angle between the rays to it,
relative to `FULL_PARALLAX`. A second look along the same ray adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.camera import Array, Camera, inverse, transform

# Rays that meet at this angle fix a point in space about as well as any (rad, about 6 degrees).
FULL_PARALLAX = 0.1


@dataclass(frozen=True)
class Sight:
    """Which points (N,) a view has in its image, and the unit rays (N,3) to them."""

    seen: npt.NDArray[np.bool_]
    rays: Array

    @classmethod
    def of(cls, camera: Camera, T_world_cam: Array, points: Array) -> Sight:
        uv, z = camera.project(transform(inverse(T_world_cam), points))
        size = [camera.width, camera.height]
        with np.errstate(invalid="ignore"):
            seen = (z > 0) & (uv >= 0).all(-1) & (uv <= size).all(-1)
        rays = points - T_world_cam[:3, 3]
        length = np.linalg.norm(rays, axis=-1, keepdims=True)
        return cls(seen, rays / np.maximum(length, 1e-9))


class Novelty:
    """What points gain from one further view, beside those it was put beside.

    gain (N,) in 0..1.
    """

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        self.gain = np.where(sight.seen, 1.0, 0.0)

    def beside(self, chosen: Sight) -> None:
        """Take into account another view that is used."""
        cosine = np.clip((self.sight.rays * chosen.rays).sum(-1), -1.0, 1.0)
        parallax = np.arccos(cosine) / FULL_PARALLAX
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
