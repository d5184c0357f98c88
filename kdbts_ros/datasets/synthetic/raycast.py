"""Images with exact z-depth of a street world."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.appearance import EXPOSURE, develop
from kdbts_ros.datasets.synthetic.casting import Floats, Shot, aim, cast
from kdbts_ros.datasets.synthetic.index import Ints
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.camera import Array, Camera


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
    shot = aim(world.table, camera, T_world_cam)
    height, width = camera.height, camera.width
    v, u = np.mgrid[0:height, 0:width] + 0.5
    hits = cast(world.arrays, shot, np.stack([u, v], -1).reshape(-1, 2), True, threads)
    linear, labels = hits.colour.reshape(height, width, 3), hits.labels.reshape(height, width)
    if supersample > 1:
        _smooth_edges(world, shot, linear, labels, supersample, threads)
    noise_seed = [world.seed, zlib.crc32(shot.T.tobytes())]
    image = develop(world.light, linear, noise_seed)
    return RenderedView(image, hits.depth.reshape(height, width).astype(np.float32))


def _smooth_edges(
    world: StreetWorld, shot: Shot, linear: Floats, labels: Ints, n: int, threads: int | None
) -> None:
    """Replace the pixels of `linear` on edges by means of n x n rays.

    Light beyond saturation counts as saturated, else a bright sky would eat into every outline.
    """
    saturation = np.float32(1.2 / world.light[EXPOSURE])
    rows, columns = np.nonzero(_edges(linear[..., 1], labels, saturation))
    offsets = (np.arange(n) + 0.5) / n
    sub_v, sub_u = (a.ravel() for a in np.meshgrid(offsets, offsets, indexing="ij"))
    uv = np.stack([columns[:, None] + sub_u, rows[:, None] + sub_v], -1).reshape(-1, 2)
    colour = np.minimum(cast(world.arrays, shot, uv, True, threads).colour, saturation)
    linear[rows, columns] = colour.reshape(-1, n * n, 3).mean(1)


def _edges(green: Floats, labels: Ints, saturation: np.float32) -> npt.NDArray[np.bool_]:
    """(H,W) pixels that border on another surface or on a visibly different brightness."""
    light = np.minimum(green, saturation)
    marks = np.zeros(light.shape, np.bool_)
    for axis in (0, 1):
        first = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
        second = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        a, b = light[first], light[second]
        step = np.abs(a - b) > np.float32(0.05) * saturation + np.float32(0.2) * np.minimum(a, b)
        step |= (labels[first] != labels[second]) & (a != b)
        marks[first] |= step
        marks[second] |= step
    return marks
