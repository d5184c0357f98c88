"""Exact occupancy and visibility of a street world."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.casting import aim, cast
from kdbts_ros.datasets.synthetic.compiled import entry_point, kernel
from kdbts_ros.datasets.synthetic.ground import KERB, raised
from kdbts_ros.datasets.synthetic.hill import rise
from kdbts_ros.datasets.synthetic.index import grid_cell
from kdbts_ros.datasets.synthetic.leaves import leaf_density
from kdbts_ros.datasets.synthetic.primitives import KIND, LEAVES, contains
from kdbts_ros.datasets.synthetic.shading import SceneArrays
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.geometry.camera import Array, Camera, inverse, transform
from kdbts_ros.errors import UserError

Bools = npt.NDArray[np.bool_]
# Of a column, before those that are occupied are left out.
_LEVELS_AT_ONCE = 8


def occupied(world: StreetWorld, points: npt.ArrayLike) -> Bools:
    """(N,) whether each of (N,3) world points lies inside a solid or below the ground."""
    xyz = np.ascontiguousarray(points, np.float64).reshape(-1, 3)
    inside: Bools = _occupied(world.arrays, xyz)
    return inside


def visible(world: StreetWorld, camera: Camera, T_world_cam: Array, points: npt.ArrayLike) -> Bools:
    """(N,) whether each of (N,3) world points is inside the image with nothing before it.

    A point on the visible surface counts as visible (up to a millionth of its distance).

    Raises:
        UserError: a pose that is not rigid.
    """
    shot = aim(world.arrays, camera, T_world_cam)
    uv, z = camera.project(transform(inverse(T_world_cam), points))
    inside = (z > 0) & (uv >= 0).all(1) & (uv < [camera.width, camera.height]).all(1)
    out = np.zeros(len(z), np.bool_)
    hits = cast(world.arrays, shot, np.ascontiguousarray(uv[inside]), False, None)
    out[inside] = hits.depth >= z[inside] * (1 - 1e-6)
    return out


def column_truth(
    world: StreetWorld,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    low: float,
    high: float,
    step: float | None = None,
    T_world_grid: Array | None = None,
    where: Bools | None = None,
) -> Bools:
    """(H,W) whether anything stands over each cell between two heights above z = 0.

    Along streets cells are looked at in their centres; in places all over, more finely than the
    walls of rooms are thick. On a hill these are heights above the street as it rises there,
    whatever the tilt of the grid.

    Args:
        world: the street.
        x: (W,) cell centres, m, equally far apart; one alone has no width.
        y: (H,) cell centres, m, as far apart.
        low: lower end of the band, m.
        high: upper end of the band, m.
        step: distance of the sampled heights, m; by default 0.1 m along streets, and in places as
            fine as the top of a table.
        T_world_grid: (4,4) frame of x, y and the heights to world; identity by default.
        where: (H,W) cells that are looked at; False of all others. None: all.

    Raises:
        UserError: a band that is empty or a step that is not positive.
    """
    step = world.column_step_m if step is None else step
    if not (low < high and step > 0):
        raise UserError(f"a height band needs low < high and step > 0, got {low}, {high}, {step}")
    columns, rows = np.asarray(x, np.float64), np.asarray(y, np.float64)
    levels = np.linspace(low, high, max(2, int(np.ceil((high - low) / step)) + 1))
    found = np.zeros((len(rows), len(columns)), np.bool_)
    asked = ~found if where is None else where
    for dx, dy in product(_within(columns, world.cell_step_m), _within(rows, world.cell_step_m)):
        for part in np.array_split(levels, max(1, len(levels) // _LEVELS_AT_ONCE)):
            # What is known to be occupied is not looked at again.
            row, column = np.nonzero(asked & ~found)
            at = columns[column] + dx, rows[row] + dy
            found[row, column] = _stands_over(world, *at, part, T_world_grid)
    return found


def _within(centres: Array, step: float) -> Array:
    """Where cells of these centres are looked at, m from the centre."""
    side = abs(float(centres[1] - centres[0])) if len(centres) > 1 else 0.0
    places = max(1, int(np.ceil(side / step)))
    return ((np.arange(places) + 0.5) / places - 0.5) * side


def _stands_over(
    world: StreetWorld, x: Array, y: Array, levels: Array, T_world_grid: Array | None
) -> Bools:
    """(N,) whether anything stands over points x, y (N,) at any of the levels."""
    xyz = np.empty((len(x), len(levels), 3))
    xyz[..., 0], xyz[..., 1], xyz[..., 2] = x[:, None], y[:, None], levels
    points = xyz.reshape(-1, 3)
    if T_world_grid is not None:
        points = transform(T_world_grid, points)
    if world.hill.slope:
        points[:, 2] = np.tile(levels, len(x)) + world.hill.rise(points[:, 0])
    return np.asarray(occupied(world, points).reshape(xyz.shape[:2]).any(-1))


@kernel
def _is_occupied(scene: SceneArrays, x: float, y: float, z: float) -> bool:
    z -= rise(scene.hill, x)
    if z < 0.0 or (z < scene.ground[KERB] and raised(scene.ground, scene.patches, x, y)):
        return True
    cell = grid_cell(scene.up_frame, x, y)
    for k in range(scene.up_starts[cell], scene.up_starts[cell + 1]):
        p = scene.table[scene.up_items[k]]
        if contains(p, x, y, z) and (p[KIND] != LEAVES or leaf_density(p, x, y, z) > 0):
            return True
    return False


@entry_point
def _occupied(stamp: str) -> Callable[..., Bools]:
    def inside(scene: SceneArrays, xyz: Array) -> Bools:
        out = np.zeros(len(xyz) * (len(stamp) > 0), np.bool_)
        for i in range(len(xyz)):
            out[i] = _is_occupied(scene, xyz[i, 0], xyz[i, 1], xyz[i, 2])
        return out

    return inside
