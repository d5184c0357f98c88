"""A textured box seen from inside: images with exact depth in a few lines, for any pose."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Array, Camera, View

CAMERA = Camera(160, 96, 120.0, 120.0, 80.0, 48.0)
# Corners of the box in the world (x forward, y left, z up), metres.
LOW, HIGH = np.array([-6.0, -3.0, 0.0]), np.array([14.0, 3.0, 4.0])


def room_view(T_world_cam: Array, camera: Camera = CAMERA) -> View:
    """The box from inside."""
    points, _, wall = _hits(T_world_cam, camera)
    return View(_paint(points, wall), camera, T_world_cam)


def room_depth(T_world_cam: Array, camera: Camera = CAMERA) -> npt.NDArray[np.float32]:
    """(H,W) z-depth in m."""
    return _hits(T_world_cam, camera)[1].astype(np.float32)


def _hits(T: Array, camera: Camera) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """(H,W,3) points, (H,W) z-depths, (H,W) walls."""
    rays = camera.rays().astype(np.float64) @ T[:3, :3].T
    origin = T[:3, 3]
    with np.errstate(divide="ignore"):
        distances = np.where(rays > 0, (HIGH - origin) / rays, (LOW - origin) / rays)
    distances[rays == 0] = np.inf
    depth = distances.min(-1)
    axis = distances.argmin(-1)
    wall = axis * 2 + (np.take_along_axis(rays, axis[..., None], -1)[..., 0] > 0)
    return origin + rays * depth[..., None], depth, wall


def _paint(points: Array, wall: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Blotches of many sizes in fixed places of every wall."""
    rng = np.random.default_rng(7)
    value = np.zeros(wall.shape)
    for octave in range(5):
        frequency = 1.3 * 1.9**octave
        waves = rng.normal(size=(6, 4, 3)) * frequency
        phases = rng.uniform(0, 6.3, (6, 4))
        phase = np.einsum("hwc,hwkc->hwk", points, waves[wall]) + phases[wall]
        value += np.sin(phase).sum(-1) / (1 + 0.4 * octave)
    shade = 128 + 28 * value
    tint = np.array([[1, 0.8, 0.7], [0.7, 1, 0.8], [0.8, 0.7, 1]])[wall // 2]
    return np.clip(shade[..., None] * tint, 0, 255).astype(np.uint8)
