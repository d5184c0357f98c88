"""Queries answered by kernels on a GPU, for heads that read one view.

Needs Triton: imported only where `cuda_engine.available()`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kdbts_ros.density.engines.answers import Bools, Floats
from kdbts_ros.density.engines.cuda import frame_params
from kdbts_ros.density.engines.cuda.single_view import SUMS, VOLUME, CudaHead, RayTables
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.interface import ColumnSums, RayDepths, opacity, projection
from kdbts_ros.density.engines.plain_torch import TorchQueries
from kdbts_ros.density.geometry.affine_grid import AffineGrid


class CudaQueries(TorchQueries):
    """See `Queries`: grids and rays by kernels, scattered points by torch."""

    def __init__(
        self, head: CudaHead, views: Sequence[EncodedView], maps: Sequence[Tensor]
    ) -> None:
        super().__init__(head.head, views, maps)
        self._kernels = head
        self._map = maps[0].permute(1, 2, 0).contiguous().permute(2, 0, 1)
        valid = views[0].valid
        known = np.ones((1, 1), np.uint8) if valid is None else valid.astype(np.uint8)
        self._valid = torch.from_numpy(known).to(self._device)

    def grid_densities(self, grid: AffineGrid) -> Floats:
        return self._volume(grid, None)[0]

    def grid_occupancy(
        self, grid: AffineGrid, reach: Sequence[Floats], length: float
    ) -> tuple[Floats, Bools]:
        sigma, lit = self._volume(grid, reach[0])
        return opacity(sigma, length), lit

    def column_sums(self, grid: AffineGrid, reach: Sequence[Floats]) -> ColumnSums:
        density, *counts = self._empty(grid.shape[1:], torch.float32, torch.int32, torch.int32)
        self._ask(grid, reach[0], SUMS, density, *counts)
        return ColumnSums(*(a.cpu().numpy() for a in (density, *counts)))

    def depths(self, view: int, t: Floats, size: tuple[int, int], stop: float) -> RayDepths:
        expected, median, opaque = self._empty(size, *[torch.float32] * 3)
        self._kernels.rays(self._map, False, self._tables(t, size), median, expected, opaque)
        expected, median = expected / self._scale, median / self._scale
        return RayDepths(*(a.cpu().numpy() for a in (expected, median, opaque)))

    def reach(self, view: int, t: Floats, size: tuple[int, int]) -> Floats:
        (median,) = self._empty(size, torch.float32)
        self._kernels.rays(self._map, False, self._tables(t, size), median)
        return (median / self._scale).cpu().numpy()

    def _tables(self, t: Floats, size: tuple[int, int]) -> RayTables:
        return self._kernels.ray_tables(t * np.float32(self._scale), size)

    def _volume(self, grid: AffineGrid, reach: Floats | None) -> tuple[Floats, Bools]:
        sigma, lit = self._empty(grid.shape, torch.float32, torch.int8)
        limits = np.zeros((1, 1), np.float32) if reach is None else reach
        self._ask(grid, limits, VOLUME, sigma, lit)
        return sigma.cpu().numpy(), lit.cpu().numpy().astype(np.bool_)

    def _ask(self, grid: AffineGrid, reach: Floats, output: int, *out: Tensor) -> None:
        arrays, scale = self.head.arrays, self._scale
        params = frame_params.pack_grid(grid, projection(self.views[0]), arrays, scale)
        limits = torch.from_numpy(np.ascontiguousarray(reach * np.float32(scale)))
        self._kernels.columns(
            self._map,
            False,
            torch.from_numpy(params).to(self._device),
            self._valid,
            limits.to(self._device),
            grid.shape,
            output,
            *out,
        )

    def _empty(self, shape: tuple[int, ...], *kinds: torch.dtype) -> list[Tensor]:
        return [torch.empty(shape, dtype=kind, device=self._device) for kind in kinds]
