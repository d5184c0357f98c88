"""Posed LiDAR scans: of a recorded drive, and of a scanner that spins in a synthetic street."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from kdbts_ros.datasets.kitti.drive import KittiDrive
from kdbts_ros.datasets.synthetic.casting import aim, cast
from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.geometry.camera import Array, Camera, inverse
from kdbts_ros.errors import UserError

# The scanner of KITTI's car (Velodyne HDL-64E): rings and range by its data sheet, 1.73 m above the
# ground and 0.27 m behind the cameras. Two directions a degree are what the protocol's bins need.
SCANNER_XYZ = (-0.27, 0.0, 1.73)
_ELEVATIONS = np.radians(np.linspace(2.0, -24.9, 64))
_PER_DEGREE = 2
_RANGE = 120.0
_FOCAL = 400.0


@dataclass(frozen=True, eq=False)
class Scan:
    """xyz (N,3) in the scanner's frame (x forward, y left, z up), and T_world_velo (4,4)."""

    xyz: Array
    T_world_velo: Array


def recorded_scan(drive: KittiDrive, index: int) -> Scan:
    """The scan of one frame.

    Raises:
        UserError: the frame has none.
    """
    points = drive.lidar(index)
    if points is None:
        raise UserError(f"{drive.name} has no LiDAR scan for frame {index}")
    return Scan(points[:, :3].astype(np.float64), drive.T_world_base(index) @ drive.T_base_velo)


def spun_scan(world: StreetWorld, T_world_base: Array) -> Scan:
    """What the scanner would return; a direction without return gives no point."""
    returns = []
    for yaw in np.radians([0.0, 90.0, 180.0, 270.0]).tolist():
        # A quarter of the turn at a time, through a pinhole that is only a way to name directions.
        camera, uv, directions = _quarter()
        T_base_camera = mount(SCANNER_XYZ, yaw)
        shot = aim(world.arrays, camera, T_world_base @ T_base_camera)
        depth = cast(world.arrays, shot, uv, False, None).depth
        hit = np.isfinite(depth)
        xyz = directions[hit] * depth[hit, None]
        xyz = xyz[np.linalg.norm(xyz, axis=1) <= _RANGE]
        T_velo_camera = inverse(mount(SCANNER_XYZ)) @ T_base_camera
        # Both are optical frames at the scanner's place; its own frame has x forward and z up.
        turned = xyz @ T_velo_camera[:3, :3].T
        returns.append(np.stack([turned[:, 2], -turned[:, 0], -turned[:, 1]], -1))
    T_base_velo = np.eye(4)
    T_base_velo[:3, 3] = SCANNER_XYZ
    return Scan(np.concatenate(returns), T_world_base @ T_base_velo)


@cache
def _quarter() -> tuple[Camera, Array, Array]:
    """A camera of 90 degrees, the pixels (N,2) of the rings in it, and their rays (N,3), z = 1."""
    azimuth = np.radians((np.arange(90 * _PER_DEGREE) + 0.5) / _PER_DEGREE - 45)
    angle, elevation = (a.ravel() for a in np.meshgrid(azimuth, _ELEVATIONS))
    rays = np.stack([np.tan(angle), -np.tan(elevation) / np.cos(angle), np.ones_like(angle)], -1)
    top = math.ceil(-rays[:, 1].min() * _FOCAL) + 1
    height = top + math.ceil(rays[:, 1].max() * _FOCAL) + 1
    camera = Camera(2 * int(_FOCAL), height, _FOCAL, _FOCAL, _FOCAL, float(top))
    return camera, rays[:, :2] * _FOCAL + [camera.cx, camera.cy], rays
