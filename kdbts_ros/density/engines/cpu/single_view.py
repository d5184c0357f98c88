"""Queries answered by compiled loops on the CPU, for heads that read one view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kdbts_ros.density.engines.answers import Bools, Floats, FrameGrids
from kdbts_ros.density.engines.cpu import columns
from kdbts_ros.density.engines.cpu import points as point_loops
from kdbts_ros.density.engines.cpu.int16_map import (
    ABSENT,
    MOST_PIXELS,
    Int16Map,
    Int16Tables,
    read_by,
    to_int16_map,
)
from kdbts_ros.density.engines.cpu.rays import int16_ray_depths, int16_ray_visibility, ray_depths
from kdbts_ros.density.engines.encoded_view import EncodedView, projection
from kdbts_ros.density.engines.folding import FoldedHead
from kdbts_ros.density.engines.interface import HALF_LIGHT, ColumnSums, RayDepths, transparent
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.network.volume_rendering import HALF_THICKNESS, begun, lengths

EVERYWHERE = np.ones((1, 1), np.uint8)


class CompiledViews:
    """Views as compiled loops take them: flat feature maps, projections, valid pixels."""

    def __init__(
        self,
        head: FoldedHead,
        views: Sequence[EncodedView],
        feature_maps: Sequence[Tensor],
        tables: Int16Tables | None = None,
    ) -> None:
        """tables: the head's as integers; None asks through floats."""
        self.arrays, self.views, self._tables = head.arrays, views, tables
        self._head = head
        self._size = (feature_maps[0].shape[1], feature_maps[0].shape[2])
        self._feature_maps = [m.permute(1, 2, 0).flatten().numpy() for m in feature_maps]
        self._valid = [
            EVERYWHERE if v.valid is None else np.ascontiguousarray(v.valid, np.uint8)
            for v in views
        ]
        self._P = [projection(view) for view in views]
        self._scale = np.float32(views[0].scale)

    def seen(self, points: Array) -> Bools:
        world, out = np.ascontiguousarray(points, np.float64), np.zeros(len(points), np.bool_)
        for P, valid in zip(self._P, self._valid, strict=True):
            point_loops.mark_seen(P, world, valid, out)
        return out

    def visible(self, points: Array, visibility: Sequence[Floats]) -> Bools:
        world, out = np.ascontiguousarray(points, np.float64), np.zeros(len(points), np.bool_)
        for P, valid, view, depth in zip(self._P, self._valid, self.views, visibility, strict=True):
            point_loops.mark_visible(P, world, valid, depth * np.float32(view.scale), out)
        return out

    def finished(
        self, grid: AffineGrid, visibility: Sequence[Floats], params: Floats
    ) -> FrameGrids | None:
        return None

    def _int16(self, view: int) -> Int16Map:
        """A view's map as integers, made when first asked for and kept with the view."""
        if self._tables is None or max(self._size) > MOST_PIXELS:
            return ABSENT
        kept, name = cast("dict[str, Int16Map]", self.views[view].kept), self._head.name
        if name not in kept:
            if self._head.spec.shared_hidden and kept:
                kept[name] = read_by(next(iter(kept.values())), self.arrays)
            else:
                kept[name] = to_int16_map(
                    self._feature_maps[view], self.arrays, self._tables, threads()
                )
        return kept[name]


class CompiledQueries(CompiledViews):
    """See `Queries`; for heads of one perceptron over the first view."""

    def point_densities(self, points: Array) -> Floats:
        q = positions(self._P[0], points)
        sigma = point_loops.point_densities(
            self._feature_maps[0], self._size, self.arrays, self._valid[0], q, threads()
        )
        return np.asarray(sigma * self._scale, np.float32)

    def grid_densities(self, grid: AffineGrid) -> Floats:
        sigma = self._ask(columns.grid_densities, grid)
        if self._scale != 1:
            sigma *= self._scale
        return np.asarray(sigma)

    def grid_occupancy(
        self, grid: AffineGrid, visibility: Sequence[Floats], length: float
    ) -> tuple[Floats, Bools]:
        probability, observed = self._ask(
            columns.grid_occupancy,
            grid,
            visibility[0] * self._scale,
            np.float32(length) * self._scale,
        )
        return np.asarray(probability), np.asarray(observed)

    def column_sums(self, grid: AffineGrid, visibility: Sequence[Floats]) -> ColumnSums:
        total, seen, visible = self._ask(columns.column_sums, grid, visibility[0] * self._scale)
        return ColumnSums(total * self._scale, seen, visible)

    def transparent_levels(self, grid: AffineGrid, limit: float) -> npt.NDArray[np.int32]:
        if self._scale != 1:
            return transparent(self.grid_densities(grid), limit)
        found = self._ask(columns.transparent_levels, grid, np.float32(limit))
        return np.asarray(found)

    def depths(
        self,
        view: int,
        t: Floats,
        size: tuple[int, int],
        stop: float,
        thickness: float = HALF_THICKNESS,
    ) -> RayDepths:
        scale = np.float32(self.views[view].scale)
        expected, surface, opacity = self._shown_depths(view, t * scale, size, stop, thickness)
        return RayDepths(expected / scale, surface / scale, opacity)

    def _shown_depths(
        self, view: int, shown: Floats, size: tuple[int, int], stop: float, thickness: float
    ) -> tuple[Floats, Floats, Floats]:
        """`depths` as the network is shown: the product of density and step, and so the opacity, is
        the same at any scale."""
        halves = self._head.flat_ray_halves(shown, size)
        lights = np.float32(stop), np.float32(np.exp(-thickness))
        rays = halves, shown, lengths(shown), size, *lights, threads()
        folded, int16 = self._feature_maps[view], self._int16(view)
        if int16.features.size:
            return int16_ray_depths(folded, self._size, self.arrays, int16, *rays)
        return ray_depths(folded, self._size, self.arrays, *rays)

    def visibility(self, view: int, t: Floats, size: tuple[int, int]) -> Floats:
        scale, int16 = np.float32(self.views[view].scale), self._int16(view)
        shown = t * scale
        if not int16.features.size:
            half = HALF_LIGHT, HALF_THICKNESS
            _, surface, _ = self._shown_depths(view, shown, size, *half)
            return np.asarray(begun(surface, shown) / scale)
        halves = self._head.flat_ray_halves(shown, size)
        found = int16_ray_visibility(
            self._size, self.arrays, int16, halves, shown, lengths(shown), size, threads()
        )
        return np.asarray(found / scale)

    def _ask(self, loop: Callable[..., Any], grid: AffineGrid, *further: Any) -> Any:
        """Ask a loop over columns about a grid before the only view."""
        return loop(
            self._feature_maps[0],
            self._size,
            self.arrays,
            self._int16(0),
            self._valid[0],
            grid.seen_by(self._P[0]),
            *grid.shape,
            *further,
            threads(),
        )


def threads() -> int:
    return torch.get_num_threads()


def positions(P: Array, points: Array) -> Floats:
    """(N,3) float32 homogeneous positions of world points (N,3), projected in float64."""
    return np.asarray(point_loops.project_points(P, np.ascontiguousarray(points, np.float64)))
