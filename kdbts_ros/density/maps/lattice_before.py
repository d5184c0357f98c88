"""A square lattice that lies on the ground before a camera, and maps carried to it and back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.geometry.camera import Array, inverse
from kdbts_ros.density.maps.grid import GridWindow, Pose

# Rows and columns along the far and the side edges over which what it says fades to nothing.
FADING = 6
# A camera that looks more steeply than this has no ahead; cosine to the ground.
_LEAST_AHEAD = 0.05


@dataclass(frozen=True, eq=False)
class LatticeBefore:
    """Cells of a square that begins under a camera and lies in its direction.

    Column j is j + 1/2 cells ahead; row i is i + 1/2 - cells/2 to the left (REP-103).

    Attributes:
        T_fixed_lattice: (4,4); z = 0 is the ground of the base.
        resolution: side of a cell, m. cells: along each side.
    """

    T_fixed_lattice: Array
    resolution: float
    cells: int

    @classmethod
    def of(
        cls, T_fixed_base: Pose, T_fixed_camera: Pose, resolution: float, cells: int
    ) -> LatticeBefore:
        """On the plane z = 0 of the base. A camera that looks straight up or down has none of its
        own ahead: the base's then."""
        T_base_camera = inverse(T_fixed_base) @ T_fixed_camera
        ahead = T_base_camera[:2, 2]
        length = float(np.hypot(*ahead))
        cosine, sine = ahead / length if length > _LEAST_AHEAD else (1.0, 0.0)
        T_base_lattice = np.eye(4)
        T_base_lattice[:2, :2] = [[cosine, -sine], [sine, cosine]]
        T_base_lattice[:2, 3] = T_base_camera[:2, 3]
        return cls(T_fixed_base @ T_base_lattice, resolution, cells)

    def axes(self, every: int = 1) -> tuple[Array, Array]:
        """Middles of its columns and rows in its own frame, m; of squares of `every` cells."""
        side = self.resolution * every
        ahead = (np.arange(self.cells // every, dtype=np.float64) + 0.5) * side
        return ahead, ahead - self.cells * self.resolution / 2

    def points(self, heights: npt.ArrayLike, every: int = 1) -> Array:
        """(levels,rows,columns,3) in the fixed frame, of squares of `every` cells."""
        x, y = self.axes(every)
        Z, Y, X = np.meshgrid(np.asarray(heights, np.float64), y, x, indexing="ij")
        T = self.T_fixed_lattice
        return np.stack([X, Y, Z], -1) @ T[:3, :3].T + T[:3, 3]

    def carried(self, planes: Floats, window: GridWindow) -> Floats:
        """Planes (H,W,C) of a window's cells on this lattice (n,n,C); 0 outside of the window."""
        shrink = max(1, round(self.resolution / window.resolution))
        if shrink > 1:
            below, beside = -planes.shape[0] % shrink, -planes.shape[1] % shrink
            padded = cv2.copyMakeBorder(planes, 0, below, 0, beside, cv2.BORDER_CONSTANT, value=0)
            size = padded.shape[1] // shrink, padded.shape[0] // shrink
            planes = cv2.resize(padded, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        found = cv2.warpAffine(
            planes, self._to_pixels(window, shrink), (self.cells, self.cells),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT,
        )  # fmt: skip
        return np.asarray(found, np.float32).reshape(self.cells, self.cells, -1)

    def returned(self, plane: Floats, window: GridWindow) -> Floats:
        """A plane (n,n) of this lattice on a window's cells (H,W), fading to 0 at its edges."""
        back = cv2.invertAffineTransform(self._to_pixels(window, 1))
        found = cv2.warpAffine(
            plane * self._fading(), back, (window.width, window.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT,
        )  # fmt: skip
        return np.asarray(found, np.float32)

    def _to_pixels(self, window: GridWindow, shrink: int) -> Array:
        """(2,3) from the middles of cells here, (column, row), to those of a window shrunk."""
        R, t = self.T_fixed_lattice[:2, :2] * self.resolution, self.T_fixed_lattice[:2, 3]
        first = R @ [0.5, 0.5 - self.cells / 2] + t - [window.x0, window.y0]
        side = window.resolution * shrink
        return np.column_stack([R / side, first / side - 0.5])

    def _fading(self) -> Floats:
        ends = np.clip((np.arange(self.cells, 0, -1) - 0.5) / FADING, 0, 1)
        return (np.minimum(ends, ends[::-1])[:, None] * ends).astype(np.float32)
