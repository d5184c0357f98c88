"""Queries about several views answered by a kernel on a GPU, for heads that fuse their votes.

Needs Triton: imported only where `cuda_engine.available()`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kdbts_ros.density.engines.answers import Bools, Floats, FrameGrids, stretched
from kdbts_ros.density.engines.cuda import frame_params
from kdbts_ros.density.engines.cuda.answer import CELL_BYTES, answer_grids, grids_of
from kdbts_ros.density.engines.cuda.multi_view import CudaFusion
from kdbts_ros.density.engines.cuda.single_view import MAP, SUMS, VOLUME
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.interface import ColumnSums, opacity, projection
from kdbts_ros.density.engines.plain_torch import TorchQueries
from kdbts_ros.density.geometry.affine_grid import AffineGrid


class CudaFusedQueries(TorchQueries):
    """See `Queries`: grids by a kernel; rays, which leave their own view, and points by torch."""

    def __init__(
        self, fusion: CudaFusion, views: Sequence[EncodedView], maps: Sequence[Tensor]
    ) -> None:
        # Pixel by pixel, as maps lie in memory.
        self._stacked = torch.stack([m.permute(1, 2, 0) for m in maps])
        self.head, self.views, self._fusion = fusion.head, views, fusion
        self._device, self._scale = maps[0].device, views[0].scale
        self._maps = self._stacked.permute(0, 3, 1, 2)
        self._valid = torch.from_numpy(shown(views)).to(self._device)

    def grid_densities(self, grid: AffineGrid) -> Floats:
        return self._volume(grid, None)[0]

    def grid_occupancy(
        self, grid: AffineGrid, reach: Sequence[Floats], length: float
    ) -> tuple[Floats, Bools]:
        sigma, lit = self._volume(grid, reach)
        return opacity(sigma, length), lit

    def column_sums(self, grid: AffineGrid, reach: Sequence[Floats]) -> ColumnSums:
        density, *counts = self._empty(grid.shape[1:], torch.float32, torch.int32, torch.int32)
        self._ask(grid, reach, SUMS, density, *counts)
        return ColumnSums(*(a.cpu().numpy() for a in (density, *counts)))

    def finished(self, grid: AffineGrid, reach: Sequence[Floats], params: Floats) -> FrameGrids:
        """See `FinishesMaps`."""
        shape = grid.shape[1], grid.shape[2]
        cells = shape[0] * shape[1]
        (answer,) = self._empty((cells * CELL_BYTES,), torch.uint8)
        self._ask(grid, reach, MAP, *answer_grids(answer, cells), finish=params)
        return grids_of(answer.cpu().numpy(), shape)

    def _volume(self, grid: AffineGrid, reach: Sequence[Floats] | None) -> tuple[Floats, Bools]:
        sigma, lit = self._empty(grid.shape, torch.float32, torch.int8)
        limits = [np.zeros((1, 1), np.float32)] * len(self.views) if reach is None else reach
        self._ask(grid, limits, VOLUME, sigma, lit)
        return sigma.cpu().numpy(), lit.cpu().numpy().astype(np.bool_)

    def _ask(
        self,
        grid: AffineGrid,
        reach: Sequence[Floats],
        output: int,
        *out: Tensor,
        finish: Floats | None = None,
    ) -> None:
        params = [
            frame_params.pack_grid(grid, projection(view), self.head.arrays, self._scale)
            for view in self.views
        ]
        if finish is not None:
            params[0][frame_params.MAP] = finish[frame_params.MAP]
        scaled = [
            limits * np.float32(view.scale) for limits, view in zip(reach, self.views, strict=True)
        ]
        self._fusion.columns(
            self._stacked,
            torch.from_numpy(np.stack(params)).to(self._device),
            self._valid,
            torch.from_numpy(np.stack(scaled)).to(self._device),
            grid.shape,
            output,
            *out,
        )

    def _empty(self, shape: tuple[int, ...], *kinds: torch.dtype) -> list[Tensor]:
        return [torch.empty(shape, dtype=kind, device=self._device) for kind in kinds]


def shown(views: Sequence[EncodedView]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(V,h,w): `View.valid` of every view on the finest of their grids."""
    masks = [np.ones((1, 1), np.bool_) if v.valid is None else v.valid for v in views]
    size = max(m.shape[0] for m in masks), max(m.shape[1] for m in masks)
    return np.stack([stretched(m, size) for m in masks]).astype(np.uint8)
