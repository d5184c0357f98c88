"""Endless labelled frames for training: one random street, camera and light per seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from kdbts_ros.datasets.synthetic.casting import Floats
from kdbts_ros.datasets.synthetic.ground import street_to_world
from kdbts_ros.datasets.synthetic.hill import hill_of
from kdbts_ros.datasets.synthetic.raycast import render
from kdbts_ros.datasets.synthetic.rig import (
    USUAL_HEIGHTS,
    Mounts,
    Rig,
    front_stereo,
    raised,
    training_camera,
)
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.geometry.camera import Array, Camera, View

# A camera's mount T_base_cam, and where its robot is: metres along the street and turn (rad).
Placed: TypeAlias = tuple[Array, float, float]


@dataclass(frozen=True, eq=False)
class TrainingFrame:
    """A view, its z-depth (H,W) float32 m (+inf: sky), and the world to ask for occupancy."""

    view: View
    depth: Floats
    world: StreetWorld

    @property
    def camera(self) -> Camera:
        """The camera of the view."""
        return self.view.camera

    @property
    def T_world_cam(self) -> Array:
        """(4,4) optical frame to world."""
        return self.view.T_world_cam

    @property
    def height(self) -> float:
        """Of the camera above the ground, m."""
        x, _, z = self.view.T_world_cam[:3, 3]
        return float(z - self.world.hill.rise(x))


def _base_pose(world: StreetWorld, x: float, d: float, yaw: float) -> Array:
    """T_world_base (4,4) on the street at (x, d), turned by yaw against the street."""
    wx, wy, angle = street_to_world(world.ground, x, d)
    T = np.eye(4)
    c, s = math.cos(angle + yaw), math.sin(angle + yaw)
    T[:2, :2] = [[c, -s], [s, c]]
    T[:2, 3] = wx, wy
    return world.hill.on_it(T)


def _frame(world: StreetWorld, camera: Camera, T_world_cam: Array, threads: int) -> TrainingFrame:
    drawn = render(world, camera, T_world_cam, threads=threads)
    return TrainingFrame(View(drawn.image, camera, T_world_cam), drawn.depth, world)


def _random_rig(rng: np.random.Generator, camera: Camera) -> Rig:
    """KITTI's stereo rig with the tolerance of a mount and of a car's suspension."""
    pitch, roll = rng.normal(0.0, 0.012), rng.normal(0.0, 0.008)
    height = float(rng.uniform(*USUAL_HEIGHTS))
    return front_stereo(camera, height, float(pitch), float(roll))


def training_frame(
    seed: int, width: int = 640, height: int = 192, threads: int = 1
) -> TrainingFrame:
    """The frame of a seed: a random street seen by a KITTI-like camera; equal seeds, equal bytes.

    Args:
        seed: at least 0.
        width: image width, pixels.
        height: image height, pixels.
        threads: of the renderer.
    """
    rng = np.random.default_rng([21, seed])
    world = StreetWorld.generate(seed)
    camera, T_base_cam = _random_rig(rng, training_camera(width, height))["left"]
    pose = _base_pose(world, 0.0, world.lane_d + rng.normal(0, 0.15), rng.normal(0, 0.04))
    return _frame(world, camera, pose @ T_base_cam, threads)


def training_pair(
    seed: int, width: int = 640, height: int = 192, threads: int = 1
) -> dict[str, TrainingFrame]:
    """Stereo at two instants, 0.8-1.2 m apart: keys "left0", "left1", "right0", "right1".

    All four share one street and one light, as photometric learning needs; see `training_frame`.
    """
    rng = np.random.default_rng([22, seed])
    world = StreetWorld.generate(seed)
    rig = _random_rig(rng, training_camera(width, height))
    d, yaw = world.lane_d + rng.normal(0, 0.15), rng.normal(0, 0.04)
    step, turn = rng.uniform(0.8, 1.2), rng.normal(0, 0.008)
    poses = (
        _base_pose(world, 0.0, d, yaw),
        _base_pose(world, step, d + step * math.tan(yaw), yaw + turn),
    )
    return {
        f"{name}{k}": _frame(world, camera, pose @ T_base_cam, threads)
        for name, (camera, T_base_cam) in rig.items()
        for k, pose in enumerate(poses)
    }


# Where further views of a training frame are taken from, relative to the reference: metres along
# the street (mostly behind, as a moving robot has them), and how far the odd camera looks aside.
ALONG = (-8.0, 4.0)
ASIDE_SHARE, ASIDE_RAD = 0.25, 0.5
AS_ON_CARS = Mounts()
# What a moving robot with one forward camera keeps: images from behind where it is now.
BEHIND = (-10.0, -1.0)


def training_views(
    seed: int,
    extra: int,
    width: int = 640,
    height: int = 192,
    threads: int = 1,
    mounts: Mounts = AS_ON_CARS,
    alone_share: float = 0.0,
    streets: Mapping[str, float] | None = None,
    hills: float = 0.0,
) -> tuple[TrainingFrame, list[View]]:
    """The frame of `training_frame` and `extra` further views of its street.

    The first extra is the other camera of the stereo pair; the rest come from either camera
    elsewhere along the street, some of them turned aside. Equal arguments, equal bytes.

    Args:
        mounts: chances that the rig is mounted lower or higher than on a car.
        alone_share: chance that there is one camera, whose further views are its own from
            `BEHIND`.
        streets: see `StreetWorld.generate`.
        hills: chance that the street lies on one, see `hill_of`.
    """
    rng = np.random.default_rng([21, seed])
    world = StreetWorld.generate(seed, streets=streets, hill=hill_of(seed, hills))
    rig = _random_rig(rng, training_camera(width, height))
    # Draws of their own: without low cameras the frames are those of `training_frame`.
    draws = np.random.default_rng([23, seed])
    if (height_m := mounts.draw(draws)) is not None:
        rig = raised(rig, height_m)
    d, yaw = world.lane_d + rng.normal(0, 0.15), rng.normal(0, 0.04)
    camera, T_base_cam = rig["left"]
    frame = _frame(world, camera, _base_pose(world, 0.0, d, yaw) @ T_base_cam, threads)
    if draws.random() < alone_share:
        poses = _left_behind(rig["left"][1], extra, draws)
    else:
        poses = _from_anywhere(rig, extra, world.clear_m, rng)
    others = [
        _frame(
            world, camera, _base_pose(world, x, d + x * math.tan(yaw), yaw + turn) @ mount, threads
        ).view
        for mount, x, turn in poses
    ]
    return frame, others


def _from_anywhere(rig: Rig, count: int, furthest: float, rng: np.random.Generator) -> list[Placed]:
    """Mounts, metres along the street and turns (rad) of the other camera of the pair, and more."""
    poses = [(rig["right"][1], 0.0, 0.0)]
    for _ in range(count - 1):
        turn = rng.normal(0, ASIDE_RAD) if rng.random() < ASIDE_SHARE else rng.normal(0, 0.02)
        side = rig["right" if rng.random() < 0.3 else "left"][1]
        poses.append((side, min(float(rng.uniform(*ALONG)), furthest), float(turn)))
    return poses[:count]


def _left_behind(mount: Array, count: int, rng: np.random.Generator) -> list[Placed]:
    """The same of where one camera has been, the newest place first."""
    places = np.sort(rng.uniform(*BEHIND, count))[::-1]
    return [(mount, float(x), float(rng.normal(0, 0.02))) for x in places]
