"""Images with exact z-depth of a street world."""

from __future__ import annotations

import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numba as nb
import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.appearance import EXPOSURE, develop
from kdbts_ros.datasets.synthetic.index import TILE, Ints, TileIndex
from kdbts_ros.datasets.synthetic.shading import SKY, SceneArrays, nearest_hit, radiance
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.camera import Array, Camera, check_rigid

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RenderedView:
    """image (H,W,3) uint8 RGB; depth (H,W) float32 z-depth in m at pixel centres, +inf for sky."""

    image: npt.NDArray[np.uint8]
    depth: Floats


def render(
    world: StreetWorld,
    camera: Camera,
    T_world_cam: Array,
    supersample: int = 2,
    threads: int | None = None,
) -> RenderedView:
    """Draw the world as the camera sees it.

    Args:
        world: the street.
        camera: pinhole camera.
        T_world_cam: (4,4) optical frame to world.
        supersample: where neighbouring pixels differ, average supersample x supersample rays.
        threads: number of threads; by default those this process may use.

    Raises:
        UserError: a pose that is not rigid.
    """
    check_rigid(T_world_cam, "T_world_cam")
    T_world_cam = np.ascontiguousarray(T_world_cam, np.float64)
    scene = world.arrays
    tiles = TileIndex.build(scene.table, camera, T_world_cam)
    pinhole = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
    shape = (camera.height, camera.width)
    linear, depth = np.empty((*shape, 3), np.float32), np.empty(shape, np.float32)
    labels = np.empty(shape, np.int64)
    index = (tiles.columns, tiles.starts, tiles.items, tiles.nearest)
    count = threads or len(os.sched_getaffinity(0))
    _by_bands(
        count,
        camera.height,
        partial(_cast_rows, scene, *index, pinhole, T_world_cam, linear, depth, labels),
    )
    image = linear
    if supersample > 1:
        image = linear.copy()
        smooth = partial(_smooth_rows, scene, *index, pinhole, T_world_cam)
        _by_bands(count, camera.height, partial(smooth, linear, labels, image, supersample))
    noise_seed = [world.seed, zlib.crc32(T_world_cam.tobytes())]
    return RenderedView(develop(world.light, image, noise_seed), depth)


def _by_bands(threads: int, rows: int, work: partial[None]) -> None:
    """Run work(first_row, last_row) over bands of rows.

    Plain threads over kernels that release the interpreter lock, not numba's own threading layer:
    that one may be entered neither from several threads nor after a fork, as data loaders do.
    """
    if threads <= 1:
        work(0, rows)
        return
    # Several bands per thread: the street needs more time than the sky.
    cuts = np.linspace(0, rows, 4 * threads + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, cuts[:-1], cuts[1:]))


@nb.njit(cache=True, fastmath=True)
def _direction(pinhole: Array, T: Array, u: float, v: float) -> tuple[float, float, float]:
    """World direction of pixel (u, v) with z-depth 1 per unit parameter."""
    x, y = (u - pinhole[2]) / pinhole[0], (v - pinhole[3]) / pinhole[1]
    return (
        T[0, 0] * x + T[0, 1] * y + T[0, 2],
        T[1, 0] * x + T[1, 1] * y + T[1, 2],
        T[2, 0] * x + T[2, 1] * y + T[2, 2],
    )


@nb.njit(cache=True, fastmath=True, nogil=True)
def _cast_rows(
    scene: SceneArrays, columns: int, starts: Ints, items: Ints, nearest: Array,
    pinhole: Array, T: Array, linear: Floats, depth: Floats, labels: Ints, first: int, last: int,
) -> None:  # fmt: skip
    """One ray through each pixel centre of rows first..last-1."""
    o = (T[0, 3], T[1, 3], T[2, 3])
    pixel = 1.0 / min(pinhole[0], pinhole[1])
    for row in range(first, last):
        for column in range(depth.shape[1]):
            tile = (row // TILE) * columns + column // TILE
            d = _direction(pinhole, T, column + 0.5, row + 0.5)
            t, surface, face = nearest_hit(
                scene, items[starts[tile] : starts[tile + 1]], nearest, o, d
            )
            r, g, b = radiance(scene, o, d, t, surface, face, pixel)
            linear[row, column, 0] = r
            linear[row, column, 1] = g
            linear[row, column, 2] = b
            depth[row, column] = np.inf if surface == SKY else t
            labels[row, column] = surface * 8 + face


@nb.njit(cache=True, fastmath=True)
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


@nb.njit(cache=True, fastmath=True, nogil=True)
def _smooth_rows(
    scene: SceneArrays, columns: int, starts: Ints, items: Ints, nearest: Array,
    pinhole: Array, T: Array, linear: Floats, labels: Ints, out: Floats, n: int,
    first: int, last: int,
) -> None:  # fmt: skip
    """Average n x n rays in the pixels on edges. Light beyond saturation counts as saturated."""
    o = (T[0, 3], T[1, 3], T[2, 3])
    pixel = 1.0 / min(pinhole[0], pinhole[1])
    saturation = 1.2 / scene.light[EXPOSURE]
    for row in range(first, last):
        for column in range(labels.shape[1]):
            if not _differs(linear, labels, row, column, saturation):
                continue
            tile = (row // TILE) * columns + column // TILE
            near = items[starts[tile] : starts[tile + 1]]
            red, green, blue = 0.0, 0.0, 0.0
            for k in range(n * n):
                u, v = column + (k % n + 0.5) / n, row + (k // n + 0.5) / n
                d = _direction(pinhole, T, u, v)
                t, surface, face = nearest_hit(scene, near, nearest, o, d)
                r, g, b = radiance(scene, o, d, t, surface, face, pixel)
                red += min(r, saturation)
                green += min(g, saturation)
                blue += min(b, saturation)
            out[row, column, 0] = red / (n * n)
            out[row, column, 1] = green / (n * n)
            out[row, column, 2] = blue / (n * n)
