"""The views behind a map as one can draw them: where each camera stood and what it looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kdbts_ros.density.geometry.camera import Array, Camera, transform


@dataclass(frozen=True, eq=False)
class Frustum:
    """edges (16,3): the ends of eight lines in the world, m: four from the camera to the corners of
    its image at some depth, four around that image. newest: the reference view, which is drawn
    first."""

    edges: Array
    newest: bool


def frusta(posed: Iterable[tuple[Camera, Array]], depth: float) -> tuple[Frustum, ...]:
    """Of cameras with their T_world_cam (4,4), the reference view first; depth: of the image, m."""
    return tuple(
        Frustum(transform(T_world_cam, _edges(camera, depth)), index == 0)
        for index, (camera, T_world_cam) in enumerate(posed)
    )


def _edges(camera: Camera, depth: float) -> Array:
    u, v = np.array([0.0, 1, 1, 0]) * camera.width, np.array([0.0, 0, 1, 1]) * camera.height
    x, y = (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy
    corners = np.stack([x, y, np.ones(4)], -1) * depth
    rays = [end for corner in corners for end in (np.zeros(3), corner)]
    around = [end for pair in pairwise([*corners, corners[0]]) for end in pair]
    return np.array([*rays, *around])
