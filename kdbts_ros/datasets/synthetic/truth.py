"""Exact occupancy of a street world."""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.ground import KERB, raised
from kdbts_ros.datasets.synthetic.index import grid_cell
from kdbts_ros.datasets.synthetic.primitives import contains
from kdbts_ros.datasets.synthetic.shading import SceneArrays
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.camera import Array

Bools = npt.NDArray[np.bool_]


def occupied(world: StreetWorld, points: npt.ArrayLike) -> Bools:
    """(N,) whether each of (N,3) world points lies inside a solid or below the ground."""
    xyz = np.ascontiguousarray(points, np.float64).reshape(-1, 3)
    return _occupied(world.arrays, xyz)


@nb.njit(cache=True, nogil=True)
def _occupied(scene: SceneArrays, xyz: Array) -> Bools:
    out = np.zeros(len(xyz), np.bool_)
    for i in range(len(xyz)):
        x, y, z = xyz[i]
        if z < 0.0 or (z < scene.ground[KERB] and raised(scene.ground, scene.patches, x, y)):
            out[i] = True
            continue
        cell = grid_cell(scene.up_frame, x, y)
        for k in range(scene.up_starts[cell], scene.up_starts[cell + 1]):
            if contains(scene.table[scene.up_items[k]], x, y, z):
                out[i] = True
                break
    return out
