"""What an exact world teaches about one image: labelled points and rays of known depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.camera import Array, Camera, View, inverse, transform

Occupied = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.bool_]]

NEAR, FAR = 3.0, 80.0
# The part of the frustum a robot plans in: ranges and heights above the ground, metres.
USEFUL_RANGE = (3.0, 30.0)
USEFUL_HEIGHT = (0.0, 2.5)
# Shares of the points: near visible surfaces, in the useful band, and anywhere.
SURFACE_SHARE, USEFUL_SHARE = 0.5, 0.3
# What stands this high above the ground and this near is an obstacle. Half of the surfaces that
# are asked for are obstacles: most pixels show road and sky, which are learnt in no time.
OBSTACLE_HEIGHT, OBSTACLE_RANGE = 0.25, 50.0
OBSTACLE_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class LabelledFrame:
    """One image with everything its world says about it, in the camera's optical frame.

    Attributes:
        image: (H,W,3) uint8 RGB.
        K_ndc: (3,3) float32, optical frame to [-1,1]^2.
        z: (H,W) float16 z-depth in metres, `FAR` where nothing nearer is hit.
        obstacle: (H,W) bool, whether the pixel shows something that stands on the ground.
        points: (M,3) float32, all inside the image.
        occupied: (M,) bool.
    """

    image: npt.NDArray[np.uint8]
    K_ndc: npt.NDArray[np.float32]
    z: npt.NDArray[np.float16]
    obstacle: npt.NDArray[np.bool_]
    points: npt.NDArray[np.float32]
    occupied: npt.NDArray[np.bool_]


def label_frame(
    view: View,
    depth: npt.NDArray[np.floating],
    T_world_base: Array,
    occupied: Occupied,
    count: int,
    rng: np.random.Generator,
) -> LabelledFrame:
    """Choose and label about `count` points of a view of an exact world.

    Args:
        depth: (H,W) z-depth in metres; infinity or NaN where nothing is hit.
        occupied: (N,3) world points to (N,) whether they are inside something.
    """
    z = np.where(np.isfinite(depth), depth, FAR)
    obstacle = obstacle_pixels(view, z, T_world_base)
    near_surfaces = round(count * SURFACE_SHARE)
    useful = round(count * USEFUL_SHARE)
    points = np.concatenate(
        [
            surface_points(view.camera, z, obstacle, near_surfaces, rng),
            useful_points(view, T_world_base, useful, rng),
            frustum_points(view.camera, count - near_surfaces - useful, rng),
        ]
    )
    # Pooled frames hand out slices, so that every slice must be a fair mixture.
    points = rng.permutation(points)
    return LabelledFrame(
        image=view.image,
        K_ndc=view.camera.ndc.astype(np.float32),
        z=np.clip(z, 0, FAR).astype(np.float16),
        obstacle=obstacle,
        points=points.astype(np.float32),
        occupied=occupied(transform(view.T_world_cam, points)),
    )


def level_base(T_world_cam: Array) -> Array:
    """(4,4) base to world below a camera of a world whose ground is z = 0, x where it looks."""
    forward = T_world_cam[:2, 2] / np.linalg.norm(T_world_cam[:2, 2])
    T = np.eye(4)
    T[:2, 0] = forward
    T[:2, 1] = -forward[1], forward[0]
    T[:2, 3] = T_world_cam[:2, 3]
    return T


def obstacle_pixels(
    view: View, z: npt.NDArray[np.floating], T_world_base: Array
) -> npt.NDArray[np.bool_]:
    """(H,W) bool: pixels whose surface lies above the ground and not too far away."""
    up = (inverse(T_world_base) @ view.T_world_cam)[2]
    height = (view.camera.rays() @ up[:3]) * z + up[3]
    return np.asarray((height > OBSTACLE_HEIGHT) & (z < OBSTACLE_RANGE))


def draw_pixels(
    obstacle: npt.NDArray[np.bool_], count: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns of `count` pixels: half of them obstacles where there are any."""
    pixels = rng.integers(obstacle.size, size=count)
    candidates = np.flatnonzero(obstacle)
    if len(candidates):
        wanted = round(count * OBSTACLE_SHARE)
        pixels[:wanted] = candidates[rng.integers(len(candidates), size=wanted)]
    rows, columns = np.divmod(pixels, obstacle.shape[1])
    return rows, columns


def surface_points(
    camera: Camera,
    z: npt.NDArray[np.floating],
    obstacle: npt.NDArray[np.bool_],
    count: int,
    rng: np.random.Generator,
) -> Array:
    """(count,3) points around what is seen: just before, just behind, and far behind it."""
    rows, columns = draw_pixels(obstacle, count, rng)
    surface = np.asarray(z, np.float64)[rows, columns]
    kind = rng.random(count)
    # Uncertainty of depth grows with depth, so the shell in which it is asked does too.
    scale = 0.3 + 0.02 * surface
    offset = np.select(
        [kind < 0.35, kind < 0.7],
        [-rng.exponential(scale), rng.exponential(scale)],
        rng.uniform(0.5, 12.0, count),
    )
    distance = np.clip(surface + offset, 0.5, FAR)
    return _along_rays(camera, columns + rng.random(count), rows + rng.random(count), distance)


def frustum_points(camera: Camera, count: int, rng: np.random.Generator) -> Array:
    """(count,3) points uniform over the image and over inverse depth."""
    distance = 1 / rng.uniform(1 / FAR, 1 / NEAR, count)
    columns, rows = rng.random(count) * camera.width, rng.random(count) * camera.height
    return _along_rays(camera, columns, rows, distance)


def useful_points(view: View, T_world_base: Array, count: int, rng: np.random.Generator) -> Array:
    """At most `count` points of the height band a robot drives through, all inside the image."""
    camera = view.camera
    T_base_cam = inverse(T_world_base) @ view.T_world_cam
    wanted = 4 * count
    distance = rng.uniform(*USEFUL_RANGE, wanted)
    height = rng.uniform(*USEFUL_HEIGHT, wanted)
    columns = rng.random(wanted) * camera.width
    x = (columns - camera.cx) / camera.fx * distance
    # Solve the base-frame height of (x, y, distance) for y, which points down in the image.
    up = T_base_cam[2]
    y = (height - up[3] - up[0] * x - up[2] * distance) / up[1]
    points = np.stack([x, y, distance], axis=-1)
    rows = y / distance * camera.fy + camera.cy
    return np.asarray(points[(rows >= 0) & (rows <= camera.height)][:count])


def _along_rays(camera: Camera, columns: Array, rows: Array, z: Array) -> Array:
    x = (columns - camera.cx) / camera.fx
    y = (rows - camera.cy) / camera.fy
    return np.stack([x * z, y * z, z], axis=-1)
