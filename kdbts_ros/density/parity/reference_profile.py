"""The reference's bird's-eye profile, for parity and for pictures beside published ones."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.parity.reference_rendering import ReferenceScene
from kdbts_ros.density.scene import SceneCompleter

# The profile counts levels whose summed raw density stays below this (spec: BTS demo script).
DENSITY_SUM_LIMIT = 8.0
KITTI_360_PITCH = math.radians(5.0)


def profile_points(cells: int, levels: int, pitch: float) -> Tensor:
    """(levels*cells*cells, 3) points in the frame of camera 0, layout [y, z, x], row 0 far.

    x in -9..9 m, y in 0..0.75 m below the camera, z from 21 down to 3 m; a pitched camera gets the
    slab turned parallel to the road.
    """
    x = torch.linspace(-9, 9, cells)
    y = torch.linspace(0, 0.75, levels)
    z = torch.linspace(21, 3, cells)
    Y, Z, X = torch.meshgrid(y, z, x, indexing="ij")
    turned_y = math.cos(pitch) * Y - math.sin(pitch) * Z
    turned_z = math.sin(pitch) * Y + math.cos(pitch) * Z
    return torch.stack([X, turned_y, turned_z], dim=-1).reshape(-1, 3)


def profile_grid(cells: int, levels: int, pitch: float, T_world_cam: Array) -> AffineGrid:
    """The points of `profile_points` in the world, rows along z and levels along y."""
    turned = np.array(
        [[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]]
    )
    R = T_world_cam[:3, :3] @ turned
    first = R @ np.array([-9.0, 0, 21]) + T_world_cam[:3, 3]
    sizes = np.array([18 / (cells - 1), -18 / (cells - 1), 0.75 / max(1, levels - 1)])
    steps = (R[:, [0, 2, 1]] * sizes).T
    return AffineGrid(first, steps, (levels, cells, cells))


def fast_profile(
    scene: SceneCompleter, cells: int = 256, levels: int = 64, pitch: float = KITTI_360_PITCH
) -> Floats:
    """`birds_eye_profile` (cells,cells) of the scene's views, by its queries."""
    grid = profile_grid(cells, levels, pitch, scene.views[0].T_world_cam)
    found = scene.queries.transparent_levels(grid, DENSITY_SUM_LIMIT)
    return np.asarray(found / np.float32(levels), np.float32)


@torch.inference_mode()
def birds_eye_profile(
    scene: ReferenceScene,
    cells: int = 256,
    levels: int = 64,
    pitch: float = KITTI_360_PITCH,
    chunk: int = 1 << 16,
) -> Tensor:
    """Share of levels (cells,cells) that stay transparent from the top: high free, low occupied.

    The reference sets the density of points without a valid colour to 1 and sums raw densities
    without their spacing; both are kept here and nowhere else.
    """
    densities = []
    for points in torch.split(profile_points(cells, levels, pitch), chunk):
        found = scene.points(points)
        densities.append(torch.where(found.invalid.any(1), 1.0, found.sigma))
    summed = torch.cat(densities).view(levels, cells, cells).cumsum(0)
    return (summed <= DENSITY_SUM_LIMIT).float().mean(0)
