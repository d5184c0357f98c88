"""Images with exact z-depth of a street world."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.appearance import develop
from kdbts_ros.datasets.synthetic.casting import Floats, Shot, cast_rows, smooth_rows
from kdbts_ros.datasets.synthetic.index import TileIndex
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.camera import Array, Camera, check_rigid


@dataclass(frozen=True, eq=False)
class RenderedView:
    """image (H,W,3) uint8 RGB; depth (H,W) float32 z-depth in m at pixel centres, +inf for sky."""

    image: npt.NDArray[np.uint8]
    depth: Floats


def aim(world: StreetWorld, camera: Camera, T_world_cam: Array) -> Shot:
    """What the ray kernels need to know of a posed camera.

    Raises:
        UserError: a pose that is not rigid.
    """
    check_rigid(T_world_cam, "T_world_cam")
    T = np.ascontiguousarray(T_world_cam, np.float64)
    tiles = TileIndex.build(world.table, camera, T)
    pinhole = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
    return Shot(pinhole, T, tiles.columns, tiles.starts, tiles.items, tiles.nearest)


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
    shot, scene = aim(world, camera, T_world_cam), world.arrays
    shape = (camera.height, camera.width)
    linear, depth = np.empty((*shape, 3), np.float32), np.empty(shape, np.float32)
    labels = np.empty(shape, np.int64)
    count = threads or len(os.sched_getaffinity(0))
    _by_bands(count, shape[0], partial(cast_rows, scene, shot, linear, depth, labels))
    image = linear
    if supersample > 1:
        image = linear.copy()
        smooth = partial(smooth_rows, scene, shot, linear, labels, image, supersample)
        _by_bands(count, shape[0], smooth)
    noise_seed = [world.seed, zlib.crc32(shot.T.tobytes())]
    return RenderedView(develop(world.light, image, noise_seed), depth)


def _by_bands(threads: int, rows: int, work: Callable[[int, int], None]) -> None:
    """Run work(first_row, last_row) over bands of rows.

    Plain threads over kernels that release the interpreter lock, not numba's own threading layer:
    that one may be entered neither from several threads nor after a fork, as data loaders do.
    """
    if threads <= 1:
        work(0, rows)
        return
    # Several bands per thread: the street needs more time than the sky.
    cuts = [int(c) for c in np.linspace(0, rows, 4 * threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, cuts[:-1], cuts[1:]))
