"""Occupancy cell by cell, of the band that the bird's-eye map sums up.

What the newest image observes is told as it observes it, as on the map (`birds_eye_map`): a cell
that its light reaches is never less occupied than it says alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.birds_eye_map import within_range
from kdbts_ros.density.engines.answers import Bools, Floats
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.lattice import Lattice
from kdbts_ros.density.maps.grid import MapArea, Pose, band_columns
from kdbts_ros.density.scene import OPACITY_LENGTH, SceneCompleter, Speaker

UNKNOWN, OBSERVED, COMPLETED = 0, 1, 2


@dataclass(frozen=True, eq=False)
class CellVolume:
    """Occupancy of a box of cells that stands on the ground.

    Attributes:
        lattice: the cells; its corner is the origin of its own frame.
        T_fixed_lattice: (4,4). Axes are those of the fixed frame where the ground is level, and
            tilted with it, without a turn, where it is not.
        probability: (Z,Y,X) opacity over `OPACITY_LENGTH`, 0..1, NaN unknown.
        state: (Z,Y,X) uint8 `UNKNOWN`, `OBSERVED` or `COMPLETED`.
    """

    lattice: Lattice
    T_fixed_lattice: Pose
    probability: Floats
    state: npt.NDArray[np.uint8]


def volume_around(scene: SceneCompleter, area: MapArea) -> CellVolume:
    """The cells of the map's columns over its height band, of the views the scene has in use."""
    columns, _ = band_columns(*area)
    lattice, T_fixed_lattice = box_over(columns)
    grid = AffineGrid.of_lattice(lattice, T_fixed_lattice)
    probability, observed = cells_of(scene, grid)
    state = np.where(observed, np.uint8(OBSERVED), np.uint8(COMPLETED))
    state[np.isnan(probability)] = UNKNOWN
    return CellVolume(lattice, T_fixed_lattice, probability, state)


def cells_of(scene: SceneCompleter, grid: AffineGrid) -> tuple[Floats, Bools]:
    """(levels,rows,columns): opacity over `OPACITY_LENGTH`, NaN unknown, and whether light of a
    view reaches the cell; of the views the scene has in use."""
    near = scene.spec.depth_near
    together, reached = _cells_by(scene.together, near, grid)
    if len(scene.views) == 1:
        return together, reached
    alone, heard = _cells_by(scene.alone, near, grid)
    # Of what is not a number nothing is said.
    return np.where(heard, np.fmax(alone, together), together), reached | heard


def _cells_by(speaker: Speaker, depth_near: float, grid: AffineGrid) -> tuple[Floats, Bools]:
    opacity, visible = speaker.queries.grid_occupancy(grid, speaker.visibility, OPACITY_LENGTH)
    # Too near to every view: plausible densities that nobody has ever learnt.
    known = within_range(speaker.views, depth_near, grid) & np.isfinite(opacity)
    return np.where(known, opacity, np.float32(np.nan)), known & visible


def box_over(columns: AffineGrid) -> tuple[Lattice, Pose]:
    """The box that holds a band's columns: the same cells where the ground is level.

    Columns are vertical whatever the ground does; a box is not sheared, and leans with the ground.
    """
    along_x, along_y, up = columns.steps
    normal = np.cross(along_x, along_y)
    normal /= np.linalg.norm(normal)
    T_fixed_lattice = np.eye(4)
    T_fixed_lattice[:3, :3] = _turn_up_to(normal)
    T_fixed_lattice[:3, 3] = columns.origin - (along_x + along_y + up) / 2
    lattice = Lattice((0.0, 0.0, 0.0), columns.shape, float(along_x[0]), float(up[2]))
    return lattice, T_fixed_lattice


def _turn_up_to(normal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(3,3): the smallest rotation of the z axis to a unit vector of the upper half (Rodrigues)."""
    x, y, z = normal
    # The cross product with the axis of rotation, whose length is the sine.
    K = np.array([[0, 0, x], [0, 0, y], [-x, -y, 0]])
    return np.asarray(np.eye(3) + K + K @ K / (1 + z))
