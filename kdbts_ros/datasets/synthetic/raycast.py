"""Images with exact z-depth of a street world."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.appearance import EXPOSURE, develop
from kdbts_ros.datasets.synthetic.casting import Floats, Shot, aim, cast
from kdbts_ros.datasets.synthetic.index import Ints
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.geometry.camera import Array, Camera

# Rays further than 80 degrees from the axis are not drawn: a plane hardly holds them.
MIN_FORWARD = np.cos(np.radians(80))


@dataclass(frozen=True, eq=False)
class RenderedView:
    """image (H,W,3) uint8 RGB; depth (H,W) float32 z-depth in m at pixel centres, +inf for sky.

    Pixels without a ray, in the corners of a fisheye, are black and have no depth (NaN).
    """

    image: npt.NDArray[np.uint8]
    depth: Floats


def render(
    world: StreetWorld,
    camera: Camera | Lens,
    T_world_cam: Array,
    supersample: int = 2,
    threads: int | None = None,
) -> RenderedView:
    """Draw the world as the camera sees it.

    Args:
        world: the street.
        camera: a pinhole, or a lens, which is drawn along its own rays.
        T_world_cam: (4,4) optical frame to world.
        supersample: where neighbouring pixels differ, average supersample x supersample rays.
        threads: number of threads; by default those this process may use.

    Raises:
        UserError: a pose that is not rigid.
    """
    sight = _sight(camera)
    shot = aim(world.arrays, sight.pinhole, T_world_cam)
    height, width = sight.size
    uv, lit = sight.place(_centres(height, width))
    hits = cast(world.arrays, shot, uv, True, threads)
    linear, labels = hits.colour.reshape(height, width, 3), hits.labels.reshape(height, width)
    if supersample > 1:
        _smooth_edges(world, shot, sight.place, linear, labels, supersample, threads)
    noise_seed = [world.seed, zlib.crc32(shot.T.tobytes())]
    image = develop(world.light, linear, noise_seed)
    depth = hits.depth.astype(np.float32)
    if not lit.all():
        image[~lit.reshape(height, width)] = 0
        depth[~lit] = np.nan
    return RenderedView(image, depth.reshape(height, width))


def exact_depth(
    world: StreetWorld, camera: Camera, T_world_cam: Array, threads: int | None = None
) -> Floats:
    """(H,W) float32 z-depth in m at the pixel centres of a pinhole, +inf for sky, without an image.

    Raises:
        UserError: a pose that is not rigid.
    """
    shot = aim(world.arrays, camera, T_world_cam)
    hits = cast(world.arrays, shot, _centres(camera.height, camera.width), False, threads)
    return hits.depth.reshape(camera.height, camera.width).astype(np.float32)


def _centres(height: int, width: int) -> Array:
    v, u = np.mgrid[0:height, 0:width] + 0.5
    return np.stack([u, v], -1).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class _Sight:
    """A pinhole whose image holds all rays of a camera, and where the camera's pixels lie in it.

    place: (N,2) pixels of the camera to (N,2) pixels of the pinhole, and (N,) which have a ray.
    """

    pinhole: Camera
    size: tuple[int, int]
    place: Callable[[Array], tuple[Array, npt.NDArray[np.bool_]]]


def _sight(camera: Camera | Lens) -> _Sight:
    if isinstance(camera, Camera):
        everywhere = np.ones(1, np.bool_)
        return _Sight(camera, (camera.height, camera.width), lambda uv: (uv, everywhere))
    size = (camera.camera.height, camera.camera.width)
    rays = camera.unproject(_centres(*size))
    with np.errstate(invalid="ignore"):
        slopes = rays[rays[:, 2] > MIN_FORWARD, :2] / rays[rays[:, 2] > MIN_FORWARD, 2:]
    # A pixel beyond the outermost centres, for the finer rays at the edges.
    focal = min(camera.camera.fx, camera.camera.fy)
    low, high = slopes.min(0) - 2 / focal, slopes.max(0) + 2 / focal
    width, height = (int(n) for n in np.ceil((high - low) * focal))
    pinhole = Camera(width, height, focal, focal, -low[0] * focal, -low[1] * focal)

    def place(uv: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
        rays = camera.unproject(uv)
        with np.errstate(invalid="ignore"):
            lit = rays[:, 2] > MIN_FORWARD
        seen = np.where(lit[:, None], rays, [0.0, 0.0, 1.0])
        at, _ = pinhole.project(seen)
        return np.clip(at, 0, [width - 1e-6, height - 1e-6]), lit

    return _Sight(pinhole, size, place)


def _smooth_edges(
    world: StreetWorld,
    shot: Shot,
    place: Callable[[Array], tuple[Array, npt.NDArray[np.bool_]]],
    linear: Floats,
    labels: Ints,
    n: int,
    threads: int | None,
) -> None:
    """Replace the pixels of `linear` on edges by means of n x n rays.

    Light beyond saturation counts as saturated, else a bright sky would eat into every outline.
    """
    saturation = np.float32(1.2 / world.light[EXPOSURE])
    rows, columns = np.nonzero(_edges(linear[..., 1], labels, saturation))
    offsets = (np.arange(n) + 0.5) / n
    sub_v, sub_u = (a.ravel() for a in np.meshgrid(offsets, offsets, indexing="ij"))
    uv, _ = place(np.stack([columns[:, None] + sub_u, rows[:, None] + sub_v], -1).reshape(-1, 2))
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
