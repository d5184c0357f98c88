"""A world small enough for tests: flat ground and one wall across the street."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.camera import R_BODY_OPTICAL, Camera, View
from kdbts_ros.learning.labels import LabelledFrame, label_frame
from kdbts_ros.learning.photometric import Clip
from kdbts_ros.learning.sources import clip_of

HEIGHT = 1.6
WIDTH_PX, HEIGHT_PX = 128, 64


def camera() -> Camera:
    return Camera(WIDTH_PX, HEIGHT_PX, 80.0, 80.0, 60.0, 30.0)


def pose(x: float = 0.0, y: float = 0.0) -> npt.NDArray[np.float64]:
    T = np.eye(4)
    T[:3, :3] = R_BODY_OPTICAL
    T[:3, 3] = x, y, HEIGHT
    return T


def wall_distance(seed: int) -> float:
    return 8.0 + seed % 5


def depth_from(T_world_cam: npt.NDArray[np.float64], wall: float) -> npt.NDArray[np.float64]:
    rays = camera().rays().astype(np.float64)
    with np.errstate(divide="ignore"):
        ground = np.where(rays[..., 1] > 0, HEIGHT / np.maximum(rays[..., 1], 1e-9), np.inf)
    return np.minimum(ground, wall - T_world_cam[0, 3])


def occupied(points: npt.NDArray[np.float64], wall: float) -> npt.NDArray[np.bool_]:
    return np.asarray((points[:, 2] < 0) | (points[:, 0] > wall))


def picture(T_world_cam: npt.NDArray[np.float64], wall: float) -> View:
    """Colours are a smooth function of the world point seen, so that views agree."""
    depth = depth_from(T_world_cam, wall)
    xyz = camera().rays() * depth[..., None]
    world = xyz @ T_world_cam[:3, :3].T + T_world_cam[:3, 3]
    colours = 0.5 + 0.5 * np.sin(world * [1.5, 2.0, 3.0])
    return View((colours * 255).astype(np.uint8), camera(), T_world_cam)


class PlainWorlds:
    """Stands in for the source of a supervised stage."""

    def __init__(
        self, width: int, height: int, points: int, columns: int = 0, extra: int = 0
    ) -> None:
        self._points, self._columns, self._extra = points, columns, extra

    def __call__(self, seed: int) -> LabelledFrame:
        wall, T = wall_distance(seed), pose()
        places = [(-1.0 - k, 0.0) for k in range(self._extra)]
        return label_frame(
            picture(T, wall),
            depth_from(T, wall),
            np.eye(4),
            lambda points: occupied(points, wall),
            self._points,
            np.random.default_rng(seed),
            self._columns,
            [picture(pose(*place), wall) for place in places],
        )


class PlainClips:
    """Stands in for the source of a photometric stage."""

    def __init__(self, width: int, height: int) -> None:
        pass

    def __call__(self, seed: int) -> Clip:
        wall = wall_distance(seed)
        places = [(0.0, 0.0), (0.8, 0.0), (0.0, -0.5), (0.8, -0.5)]
        return clip_of([picture(pose(*place), wall) for place in places])
