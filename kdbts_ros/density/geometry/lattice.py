"""The box of cells an occupancy query fills."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.errors import UserError


@dataclass(frozen=True)
class Lattice:
    """An axis-aligned box of cells in a REP-103 frame (x forward, y left, z up), in metres.

    `low` is the corner with the smallest coordinates; a cell is `resolution` wide in x and y and
    `height_step` tall in z. Values over a lattice have shape (Z, Y, X) = `shape`.
    """

    low: tuple[float, float, float]
    shape: tuple[int, int, int]
    resolution: float
    height_step: float

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise UserError(f"lattice shape must be positive in every axis, got {self.shape}")
        if not (self.resolution > 0 and self.height_step > 0):
            raise UserError("lattice resolution and height_step must be positive metres")
        if not np.isfinite(self.low).all():
            raise UserError("lattice corner must be finite")

    @classmethod
    def from_bounds(
        cls,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        resolution: float,
        height_step: float | None = None,
    ) -> Lattice:
        """Cover [x0,x1] x [y0,y1] x [z0,z1] m; the last cell of an axis may reach beyond."""
        if resolution <= 0 or (height_step is not None and height_step <= 0):
            raise UserError("lattice resolution and height_step must be positive metres")
        step = height_step or resolution
        if not all(lo < hi for lo, hi in (x, y, z)):
            raise UserError(f"lattice bounds must increase, got x={x} y={y} z={z}")
        # 1e-9: 20 m / 0.1 m is 200 cells, not 201, whatever the rounding.
        cells = [
            int(np.ceil((hi - lo) / s - 1e-9))
            for (lo, hi), s in zip((z, y, x), (step, resolution, resolution), strict=True)
        ]
        return cls((x[0], y[0], z[0]), (cells[0], cells[1], cells[2]), resolution, step)

    def centres(self) -> npt.NDArray[np.float32]:
        """(Z,Y,X,3) cell centres in the lattice frame."""
        nz, ny, nx = self.shape
        x = self.low[0] + (np.arange(nx) + 0.5) * self.resolution
        y = self.low[1] + (np.arange(ny) + 0.5) * self.resolution
        z = self.low[2] + (np.arange(nz) + 0.5) * self.height_step
        Z, Y, X = np.meshgrid(z, y, x, indexing="ij")
        return np.stack([X, Y, Z], axis=-1).astype(np.float32)
