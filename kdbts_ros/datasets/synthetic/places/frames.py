"""Endless frames of places for training: one random place, camera and light per seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.places.cameras import random_camera
from kdbts_ros.datasets.synthetic.raycast import exact_depth, render
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.cameras.adapter import CameraAdapter
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.geometry.camera import Array, Camera, View

# How far the lane is free before the camera (m), and how far behind it further views are from.
FREE = (0.5, 7.0)
BACK = (-3.3, -0.2)
# Share of the cameras that look anywhere, to walls right beside them among others.
ANYWHERE = 0.3
# Pixels of the camera for each of the network's, in the middle.
DETAIL = (0.7, 1.3)


@dataclass(frozen=True, eq=False)
class PlaceFrame:
    """What the network is shown of a place, and what is true of it.

    Attributes:
        view: as the training camera would see it, see `CameraAdapter`; scale: see `View`.
        depth: (H,W) float32 z-depth of the view's pixels in m of the world, +inf for sky.
        seen: (H,W) whether the robot's camera sees that pixel.
        others: further views of the place.
        world: to ask for occupancy.
    """

    view: View
    depth: npt.NDArray[np.float32]
    seen: npt.NDArray[np.bool_]
    others: list[View]
    world: StreetWorld


def place_frame(
    place: str,
    seed: int,
    extra: int,
    width: int = 640,
    height: int = 192,
    threads: int = 1,
    training: TrainingCamera | None = None,
    steep_share: float = 0.0,
) -> PlaceFrame:
    """The frame of a place and seed with `extra` further views; equal arguments, equal bytes.

    Args:
        place: one of `PLACES`.
        seed: at least 0.
        extra: further views from where the robot came, the newest place first.
        width: of the network's image, pixels.
        height: of the network's image, pixels.
        threads: of the renderer.
        training: the network's camera; None: the usual one.
        steep_share: how many of the cameras look steeply down, mostly below the horizon.

    Raises:
        UserError: no such place, or a negative seed.
    """
    rng = np.random.default_rng([28, seed])
    world = StreetWorld.of_place(place, seed, float(rng.uniform(*FREE)))
    training = training or TrainingCamera()
    adapter = CameraAdapter(training, (width, height), "on")
    detail = float(rng.uniform(*DETAIL)) * training.camera(width, height).fx
    # A stream of its own: without steep cameras a seed's frame is what it always was.
    steep = bool(np.random.default_rng([31, seed]).random() < steep_share)
    camera, T_base_cam = random_camera(rng, 640, steep)
    wide = 2 * round(0.5 * detail * camera.width / camera.fx)
    camera = camera.resized(wide, 2 * round(0.5 * wide * camera.height / camera.width))
    yaw = float(rng.uniform(-math.pi, math.pi) if rng.random() < ANYWHERE else rng.normal(0, 0.3))
    across = float(rng.uniform(-0.25, 0.25))
    places = [(0.0, across, yaw)] + [
        (float(x), across + float(rng.normal(0, 0.08)), yaw + float(rng.normal(0, 0.08)))
        for x in np.sort(rng.uniform(*BACK, extra))[::-1]
    ]
    part = _needed(camera, adapter, T_base_cam)
    views = [_shown(world, part, T_base_cam, _base(*at), adapter, threads) for at in places]
    depth = exact_depth(world, training.camera(width, height), views[0].T_world_cam, threads)
    seen = views[0].valid if views[0].valid is not None else np.ones(depth.shape, np.bool_)
    return PlaceFrame(views[0], depth, seen, views[1:], world)


def _base(x: float, y: float, yaw: float) -> Array:
    T = np.eye(4)
    T[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    T[:2, 3] = x, y
    return T


def _shown(
    world: StreetWorld, camera: Camera, T_base_cam: Array, T_world_base: Array,
    adapter: CameraAdapter, threads: int,
) -> View:  # fmt: skip
    T_world_cam = T_world_base @ T_base_cam
    image = render(world, camera, T_world_cam, threads=threads).image
    return adapter.view(image, Lens(camera), T_base_cam, T_world_cam)


def _needed(camera: Camera, adapter: CameraAdapter, T_base_cam: Array) -> Camera:
    """The part of a camera's image that the training camera's view is made of: no more is drawn."""
    table = adapter.canonical(Lens(camera), T_base_cam)
    rays = table.warp.camera.resized(80, 24).rays().reshape(-1, 3).astype(np.float64)
    uv, z = camera.project(rays @ table.mounting.R_cam_level.T)
    size = np.array([camera.width, camera.height])
    inside = (z > 0) & (uv >= 0).all(1) & (uv < size).all(1)
    margin = 0.05 * camera.width
    low = np.maximum(uv[inside].min(0) - margin, 0).astype(int)
    high = np.minimum(uv[inside].max(0) + margin, size).astype(int)
    return Camera(
        int(high[0] - low[0]), int(high[1] - low[1]), camera.fx, camera.fy,
        camera.cx - float(low[0]), camera.cy - float(low[1]),
    )  # fmt: skip
