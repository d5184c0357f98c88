"""Casting many camera rays: the one compiled loop behind images, smoothed edges and visibility."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.compiled import entry_point, kernel
from kdbts_ros.datasets.synthetic.index import TILE, Ints, TileIndex
from kdbts_ros.datasets.synthetic.interior import lamplit
from kdbts_ros.datasets.synthetic.shading import SKY, SceneArrays, nearest_hit, radiance
from kdbts_ros.density.geometry.camera import Array, Camera, check_rigid

Floats = npt.NDArray[np.float32]


class Shot(NamedTuple):
    """A posed camera with the solids each of its image tiles may show (see index.TileIndex)."""

    pinhole: Array  # fx, fy, cx, cy
    T: Array  # T_world_cam (4,4)
    columns: int
    starts: Ints
    items: Ints
    nearest: Array


@dataclass(frozen=True, eq=False)
class Hits:
    """What N pixels show.

    Attributes:
        colour: (N,3) linear radiance; not filled unless asked for.
        depth: (N,) z-depth in m, +inf for sky.
        labels: (N,) a number for each face of each solid.
    """

    colour: Floats
    depth: Array
    labels: Ints


def aim(scene: SceneArrays, camera: Camera, T_world_cam: Array) -> Shot:
    """What casting needs to know of a posed camera before the solids of a scene.

    Raises:
        UserError: a pose that is not rigid.
    """
    check_rigid(T_world_cam, "T_world_cam")
    T = np.ascontiguousarray(T_world_cam, np.float64)
    tiles = TileIndex.build(scene.table, scene.hill, camera, T)
    pinhole = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
    return Shot(pinhole, T, tiles.columns, tiles.starts, tiles.items, tiles.nearest)


def cast(scene: SceneArrays, shot: Shot, uv: Array, shade: bool, threads: int | None) -> Hits:
    """One ray through each of (N,2) pixel positions inside the image.

    Plain threads over a kernel that releases the interpreter lock, not numba's own threading layer:
    that one may be entered neither from several threads nor after a fork, as data loaders do.
    """
    n = len(uv)
    hits = Hits(np.empty((n, 3), np.float32), np.empty(n), np.empty(n, np.int64))
    loop = _cast_lamplit if shade and len(scene.room) else _cast
    work = partial(loop, scene, shot, uv, shade, hits.colour, hits.depth, hits.labels)
    count = threads or len(os.sched_getaffinity(0))
    if count <= 1 or n < 1000:
        work(0, n)
        return hits
    # Several parts per thread: the street needs more time than the sky.
    cuts = [int(c) for c in np.linspace(0, n, 4 * count + 1)]
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(work, cuts[:-1], cuts[1:]))
    return hits


@kernel
def _direction(shot: Shot, u: float, v: float) -> tuple[float, float, float]:
    """World direction of pixel (u, v); the ray's parameter is the z-depth."""
    x, y = (u - shot.pinhole[2]) / shot.pinhole[0], (v - shot.pinhole[3]) / shot.pinhole[1]
    T = shot.T
    return (
        T[0, 0] * x + T[0, 1] * y + T[0, 2],
        T[1, 0] * x + T[1, 1] * y + T[1, 2],
        T[2, 0] * x + T[2, 1] * y + T[2, 2],
    )


@entry_point
def _cast(stamp: str) -> Callable[..., None]:
    def cast_pixels(
        scene: SceneArrays, shot: Shot, uv: Array, shade: bool,
        colour: Floats, depth: Array, labels: Ints, first: int, last: int,
    ) -> None:  # fmt: skip
        o = (shot.T[0, 3], shot.T[1, 3], shot.T[2, 3])
        pixel = 1.0 / min(shot.pinhole[0], shot.pinhole[1])
        for i in range(first, last * (len(stamp) > 0)):
            d = _direction(shot, uv[i, 0], uv[i, 1])
            tile = (int(uv[i, 1]) // TILE) * shot.columns + int(uv[i, 0]) // TILE
            near = shot.items[shot.starts[tile] : shot.starts[tile + 1]]
            t, surface, face = nearest_hit(scene, near, shot.nearest, o, d)
            depth[i] = np.inf if surface == SKY else t
            labels[i] = surface * 8 + face
            if shade:
                r, g, b = radiance(scene, o, d, t, surface, face, pixel)
                colour[i, 0] = r
                colour[i, 1] = g
                colour[i, 2] = b

    return cast_pixels


# Apart from the one above, so that whoever draws streets alone never compiles it.
@entry_point
def _cast_lamplit(stamp: str) -> Callable[..., None]:
    def cast_pixels(
        scene: SceneArrays, shot: Shot, uv: Array, shade: bool,
        colour: Floats, depth: Array, labels: Ints, first: int, last: int,
    ) -> None:  # fmt: skip
        o = (shot.T[0, 3], shot.T[1, 3], shot.T[2, 3])
        pixel = 1.0 / min(shot.pinhole[0], shot.pinhole[1])
        for i in range(first, last * (len(stamp) > 0) * shade):
            d = _direction(shot, uv[i, 0], uv[i, 1])
            tile = (int(uv[i, 1]) // TILE) * shot.columns + int(uv[i, 0]) // TILE
            near = shot.items[shot.starts[tile] : shot.starts[tile + 1]]
            t, surface, face = nearest_hit(scene, near, shot.nearest, o, d)
            depth[i] = np.inf if surface == SKY else t
            labels[i] = surface * 8 + face
            r, g, b = lamplit(scene, o, d, t, surface, face, pixel)
            colour[i, 0] = r
            colour[i, 1] = g
            colour[i, 2] = b

    return cast_pixels
