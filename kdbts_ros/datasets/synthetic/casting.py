"""Kernels over many camera rays: images, edge smoothing and visibility of points."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.appearance import EXPOSURE
from kdbts_ros.datasets.synthetic.compiled import entry_point
from kdbts_ros.datasets.synthetic.index import NEAR, TILE, Ints
from kdbts_ros.datasets.synthetic.shading import SKY, SceneArrays, nearest_hit, radiance
from kdbts_ros.density.camera import Array

Floats = npt.NDArray[np.float32]


class Shot(NamedTuple):
    """A posed camera with the solids each of its image tiles may show (see index.TileIndex)."""

    pinhole: Array  # fx, fy, cx, cy
    T: Array  # T_world_cam (4,4)
    columns: int
    starts: Ints
    items: Ints
    nearest: Array


@nb.njit(fastmath=True)
def _direction(shot: Shot, u: float, v: float) -> tuple[float, float, float]:
    """World direction of pixel (u, v); its parameter is the z-depth."""
    x, y = (u - shot.pinhole[2]) / shot.pinhole[0], (v - shot.pinhole[3]) / shot.pinhole[1]
    T = shot.T
    return (
        T[0, 0] * x + T[0, 1] * y + T[0, 2],
        T[1, 0] * x + T[1, 1] * y + T[1, 2],
        T[2, 0] * x + T[2, 1] * y + T[2, 2],
    )


@nb.njit(fastmath=True)
def _first_hit(scene: SceneArrays, shot: Shot, u: float, v: float) -> tuple[float, int, int]:
    """z-depth, surface and face that pixel (u, v) shows."""
    tile = (int(v) // TILE) * shot.columns + int(u) // TILE
    near = shot.items[shot.starts[tile] : shot.starts[tile + 1]]
    o = (shot.T[0, 3], shot.T[1, 3], shot.T[2, 3])
    return nearest_hit(scene, near, shot.nearest, o, _direction(shot, u, v))


@nb.njit(fastmath=True)
def _colour(
    scene: SceneArrays, shot: Shot, u: float, v: float, t: float, surface: int, face: int
) -> tuple[float, float, float]:
    """Linear radiance of what pixel (u, v) shows."""
    o = (shot.T[0, 3], shot.T[1, 3], shot.T[2, 3])
    pixel = 1.0 / min(shot.pinhole[0], shot.pinhole[1])
    return radiance(scene, o, _direction(shot, u, v), t, surface, face, pixel)


@nb.njit(fastmath=True)
def _differs(linear: Floats, labels: Ints, row: int, column: int, saturation: float) -> bool:
    """Whether a pixel borders on another surface or on a visibly different brightness."""
    here = min(linear[row, column, 1], saturation)
    for k in range(4):
        i = row + (1 if k == 0 else (-1 if k == 1 else 0))
        j = column + (1 if k == 2 else (-1 if k == 3 else 0))
        if 0 <= i < labels.shape[0] and 0 <= j < labels.shape[1]:
            there = min(linear[i, j, 1], saturation)
            if labels[i, j] != labels[row, column] and here != there:
                return True
            if abs(here - there) > 0.05 * saturation + 0.2 * min(here, there):
                return True
    return False


@nb.njit(fastmath=True)
def _smooth(
    scene: SceneArrays, shot: Shot, row: int, column: int, n: int
) -> tuple[float, float, float]:
    """Mean of n x n rays through a pixel; light beyond saturation counts as saturated."""
    saturation = 1.2 / scene.light[EXPOSURE]
    red, green, blue = 0.0, 0.0, 0.0
    for k in range(n * n):
        u, v = column + (k % n + 0.5) / n, row + (k // n + 0.5) / n
        t, surface, face = _first_hit(scene, shot, u, v)
        r, g, b = _colour(scene, shot, u, v, t, surface, face)
        red += min(r, saturation)
        green += min(g, saturation)
        blue += min(b, saturation)
    return red / (n * n), green / (n * n), blue / (n * n)


@entry_point
def cast_rows(stamp: str) -> Callable[..., None]:
    """Fill rows first..last-1: one ray through each pixel centre."""

    def cast(
        scene: SceneArrays, shot: Shot, linear: Floats, depth: Floats, labels: Ints,
        first: int, last: int,
    ) -> None:  # fmt: skip
        for row in range(first, last * (len(stamp) > 0)):
            for column in range(depth.shape[1]):
                u, v = column + 0.5, row + 0.5
                t, surface, face = _first_hit(scene, shot, u, v)
                r, g, b = _colour(scene, shot, u, v, t, surface, face)
                linear[row, column, 0] = r
                linear[row, column, 1] = g
                linear[row, column, 2] = b
                depth[row, column] = np.inf if surface == SKY else t
                labels[row, column] = surface * 8 + face

    return cast


@entry_point
def smooth_rows(stamp: str) -> Callable[..., None]:
    """Replace the pixels on edges in rows first..last-1 of `out` by means of n x n rays."""

    def smooth(
        scene: SceneArrays, shot: Shot, linear: Floats, labels: Ints, out: Floats, n: int,
        first: int, last: int,
    ) -> None:  # fmt: skip
        saturation = 1.2 / scene.light[EXPOSURE]
        for row in range(first, last * (len(stamp) > 0)):
            for column in range(labels.shape[1]):
                if _differs(linear, labels, row, column, saturation):
                    r, g, b = _smooth(scene, shot, row, column, n)
                    out[row, column, 0] = r
                    out[row, column, 1] = g
                    out[row, column, 2] = b

    return smooth


@entry_point
def see_points(stamp: str) -> Callable[..., npt.NDArray[np.bool_]]:
    """(N,) whether (N,2) pixels inside the image show nothing nearer than (N,) z-depths."""

    def see(scene: SceneArrays, shot: Shot, uv: Array, z: Array) -> npt.NDArray[np.bool_]:
        out = np.zeros(len(uv) * (len(stamp) > 0), np.bool_)
        for i in range(len(uv)):
            if z[i] > NEAR:
                t, _, _ = _first_hit(scene, shot, uv[i, 0], uv[i, 1])
                out[i] = t >= z[i] - 1e-6 * (1.0 + z[i])
        return out

    return see
