"""Grids that are affine in the world: a lattice, the columns of a map, a slab before the camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.geometry.lattice import Lattice


@dataclass(frozen=True, eq=False)
class AffineGrid:
    """Points origin + column * steps[0] + row * steps[1] + level * steps[2], world frame, metres.

    shape (levels,rows,columns). origin (3,), steps (3,3). Kept in this form, a grid costs nothing
    to move, and a projection of it is affine again up to its division.
    """

    origin: Array
    steps: Array
    shape: tuple[int, int, int]

    @classmethod
    def of_lattice(cls, lattice: Lattice, T_world_lattice: Array | None) -> AffineGrid:
        """The cell centres of a lattice posed in the world."""
        T = np.eye(4) if T_world_lattice is None else T_world_lattice
        sizes = np.array([lattice.resolution, lattice.resolution, lattice.height_step])
        origin = T[:3, :3] @ (np.array(lattice.low) + sizes / 2) + T[:3, 3]
        return cls(origin, (T[:3, :3] * sizes).T, lattice.shape)

    def seen_by(self, P: Array) -> npt.NDArray[np.float32]:
        """Homogeneous image positions (4,3): of the origin and of the steps; P (3,4) in float64.

        Rounded to float32 only after the projection: world coordinates may be kilometres.
        """
        origin = P[:, :3] @ self.origin + P[:, 3]
        return np.vstack([origin, self.steps @ P[:, :3].T]).astype(np.float32)

    def rows(self, part: slice) -> AffineGrid:
        """Some of its rows, one after the other."""
        levels, _, columns = self.shape
        origin = self.origin + part.start * self.steps[1]
        return AffineGrid(origin, self.steps, (levels, part.stop - part.start, columns))

    def points(self) -> Array:
        """(levels*rows*columns,3) in the world."""
        levels, rows, columns = (np.arange(n)[:, None] for n in self.shape)
        x, y, z = columns * self.steps[0], rows * self.steps[1], levels * self.steps[2]
        points = self.origin + z[:, None, None] + y[:, None] + x
        return np.asarray(points.reshape(-1, 3))
