"""Which solids can a ray meet? Image tiles for camera rays, a sheared grid for parallel rays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.compiled import entry_point, kernel
from kdbts_ros.datasets.synthetic.hill import lifted_corners
from kdbts_ros.datasets.synthetic.primitives import corners
from kdbts_ros.density.geometry.camera import Array, Camera, inverse

Ints = npt.NDArray[np.int64]
TILE = 16
NEAR = 0.05  # m; nothing closer to a camera is drawn


@kernel
def _fill(boxes: Ints, order: Ints, rows: int, columns: int) -> tuple[Ints, Ints]:
    """Compressed lists: members of cell c are items[starts[c]:starts[c+1]], in `order`."""
    starts = np.zeros(rows * columns + 1, np.int64)
    for i in order:
        for r in range(boxes[i, 2], boxes[i, 3] + 1):
            for c in range(boxes[i, 0], boxes[i, 1] + 1):
                starts[r * columns + c + 1] += 1
    for k in range(rows * columns):
        starts[k + 1] += starts[k]
    cursor = starts[:-1].copy()
    items = np.empty(starts[-1], np.int64)
    for i in order:
        for r in range(boxes[i, 2], boxes[i, 3] + 1):
            for c in range(boxes[i, 0], boxes[i, 1] + 1):
                items[cursor[r * columns + c]] = i
                cursor[r * columns + c] += 1
    return starts, items


@dataclass(frozen=True, eq=False)
class ShearedGrid:
    """Solids by the ground cell they cover when projected along one direction.

    A ray along that direction keeps its sheared position (x, y) - z * shear, so all solids it can
    meet are listed in one cell. shear = 0 lists the solids above and below a point.
    """

    shear: tuple[float, float]
    frame: Array  # x0, y0, cell size, columns, rows
    starts: Ints
    items: Ints

    @classmethod
    def build(
        cls,
        table: Array,
        shear: tuple[float, float],
        bounds: tuple[float, float, float, float],
        cell: float = 1.0,
    ) -> ShearedGrid:
        """Index (N,COLUMNS) solids over the cells of bounds = (x0, x1, y0, y1), sides `cell` m."""
        x0, x1, y0, y1 = bounds
        columns, rows = int(np.ceil((x1 - x0) / cell)), int(np.ceil((y1 - y0) / cell))
        frame = np.array([x0, y0, cell, columns, rows])
        starts, items = _list_by_cell(table, shear[0], shear[1], frame)
        return cls(shear, frame, starts, items)


@kernel
def _sheared_boxes(table: Array, kx: float, ky: float, frame: Array) -> Ints:
    """(N,4) first and last column and row each solid covers, clamped to the grid's border cells."""
    out = np.empty((len(table), 4), np.int64)
    for i in range(len(table)):
        q = corners(table[i])
        u, v = q[:, 0] - kx * q[:, 2], q[:, 1] - ky * q[:, 2]
        out[i, 0] = _cell(u.min(), frame[0], frame[2], frame[3])
        out[i, 1] = _cell(u.max(), frame[0], frame[2], frame[3])
        out[i, 2] = _cell(v.min(), frame[1], frame[2], frame[4])
        out[i, 3] = _cell(v.max(), frame[1], frame[2], frame[4])
    return out


@kernel
def _cell(value: float, origin: float, size: float, count: float) -> int:
    """Cell along one axis; positions outside belong to the border cells, as do solids there."""
    return int(min(max((value - origin) / size, 0.0), count - 1.0))


@kernel
def grid_cell(frame: Array, u: float, v: float) -> int:
    """Flat index of the cell that holds sheared position (u, v)."""
    column = _cell(u, frame[0], frame[2], frame[3])
    return _cell(v, frame[1], frame[2], frame[4]) * int(frame[3]) + column


@dataclass(frozen=True, eq=False)
class TileIndex:
    """Solids by the 16x16 image tile they may cover, nearest first."""

    columns: int
    starts: Ints
    items: Ints
    nearest: Array  # (N,) smallest z-depth of each solid, m

    @classmethod
    def build(cls, table: Array, hill: Array, camera: Camera, T_world_cam: Array) -> TileIndex:
        """Index (N,COLUMNS) solids on a `Hill.array` for one posed camera."""
        columns = -(-camera.width // TILE)
        pinhole = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
        size = np.array([camera.width, camera.height], np.float64)
        starts, items, nearest = _list_by_tile(table, hill, inverse(T_world_cam), pinhole, size)
        return cls(columns, starts, items, nearest)


@entry_point
def _list_by_cell(stamp: str) -> Callable[..., tuple[Ints, Ints]]:
    def list_by_cell(table: Array, kx: float, ky: float, frame: Array) -> tuple[Ints, Ints]:
        boxes = _sheared_boxes(table, kx, ky, frame)
        return _fill(boxes, np.arange(len(table) * (len(stamp) > 0)), int(frame[4]), int(frame[3]))

    return list_by_cell


@entry_point
def _list_by_tile(stamp: str) -> Callable[..., tuple[Ints, Ints, Array]]:
    def list_by_tile(
        table: Array, hill: Array, T_cam_world: Array, pinhole: Array, size: Array
    ) -> tuple[Ints, Ints, Array]:
        boxes, nearest = _tile_boxes(table, hill, T_cam_world, pinhole, size)
        order = np.argsort(nearest, kind="mergesort")[: len(table) * (len(stamp) > 0)]
        columns, rows = -(-int(size[0]) // TILE), -(-int(size[1]) // TILE)
        starts, items = _fill(boxes, order, rows, columns)
        return starts, items, nearest

    return list_by_tile


@kernel
def _tile_boxes(
    table: Array, hill: Array, T_cam_world: Array, pinhole: Array, size: Array
) -> tuple[Ints, Array]:
    """(N,4) first/last tile column and row (empty when unseen) and (N,) smallest z-depth."""
    out = np.empty((len(table), 4), np.int64)
    nearest = np.empty(len(table))
    for i in range(len(table)):
        q = lifted_corners(table[i], hill)
        c = np.empty((8, 3))
        for k in range(8):
            for a in range(3):
                m = T_cam_world[a]
                c[k, a] = m[0] * q[k, 0] + m[1] * q[k, 1] + m[2] * q[k, 2] + m[3]
        nearest[i] = c[:, 2].min()
        u0, u1, v0, v1 = _image_box(c, pinhole)
        if u1 < 0 or v1 < 0 or u0 > size[0] or v0 > size[1]:
            out[i] = np.array([0, -1, 0, -1])
            continue
        out[i, 0] = int(max(u0 - 1, 0.0)) // TILE
        out[i, 1] = int(min(u1 + 1, size[0] - 1)) // TILE
        out[i, 2] = int(max(v0 - 1, 0.0)) // TILE
        out[i, 3] = int(min(v1 + 1, size[1] - 1)) // TILE
    return out, nearest


@kernel
def _image_box(c: Array, pinhole: Array) -> tuple[float, float, float, float]:
    """Pixel bounds of a box with (8,3) camera-frame corners, clipped to z >= NEAR."""
    u0, u1, v0, v1 = 1e9, -1e9, 1e9, -1e9
    for i in range(8):
        for bit in (0, 1, 2, 4):
            j = i ^ bit
            if bit and j < i:
                continue
            p = c[i].copy()
            if bit == 0:
                if p[2] < NEAR:
                    continue
            else:
                if (c[i, 2] < NEAR) == (c[j, 2] < NEAR):
                    continue
                p += (c[j] - c[i]) * ((NEAR - c[i, 2]) / (c[j, 2] - c[i, 2]))
            u, v = p[0] / p[2] * pinhole[0] + pinhole[2], p[1] / p[2] * pinhole[1] + pinhole[3]
            u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
    return u0, u1, v0, v1
