"""Queries of heads that fuse several views, by a kernel on a GPU: arrays there, launch, answers.

Needs Triton: imported only where `support.available()`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import triton
from torch import Tensor

from kdbts_ros.density.engines.answers import Bools, Floats, FrameGrids, stretched
from kdbts_ros.density.engines.cuda import frame_params
from kdbts_ros.density.engines.cuda.answer import CELL_BYTES, answer_grids, grids_of
from kdbts_ros.density.engines.cuda.kernels.fused_columns import fused_columns
from kdbts_ros.density.engines.cuda.single_view import MAP, SUMS, VOLUME, CodeArrays
from kdbts_ros.density.engines.encoded_view import EncodedView, projection
from kdbts_ros.density.engines.folding import FoldedHead
from kdbts_ros.density.engines.interface import ColumnSums, opacity
from kdbts_ros.density.engines.plain_torch import TorchQueries
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.network.heads import MultiViewHead, SimpleMultiViewHead

# Cells of a program, and its warps.
_CELLS, _WARPS = 32, 4
# What a side of a product on the matrix units is at least.
_LEAST_SIDE = 16
# See `single_view`.
_PRECISION = "tf32x3"


class CudaFusion:
    """Launches on the current stream; nothing here waits or copies to the host."""

    def __init__(self, head: FoldedHead) -> None:
        self.head, self.hidden = head, head.arrays.hidden
        device = head.code_weight.device
        self._code = CodeArrays.of(head)
        self._bias = head.code_bias.float().contiguous()
        last = head.last
        numbers = last.weight.shape[0]
        self._votes = max(_LEAST_SIDE, triton.next_power_of_2(numbers))
        self._vote_weight = torch.zeros(self.hidden, self._votes, device=device)
        self._vote_weight[:, :numbers] = last.weight.detach().T
        self._vote_bias = torch.zeros(self._votes, device=device)
        self._vote_bias[:numbers] = last.bias.detach()
        w_in, b_in, w_out, b_out = _reader(head)
        second = len(b_in)
        self._second = max(_LEAST_SIDE, triton.next_power_of_2(second))
        self._second_weight = torch.zeros(self._votes, self._second, device=device)
        # The first number of a vote is its confidence, which is not read.
        self._second_weight[1:numbers, :second] = w_in.T
        self._second_bias = torch.zeros(self._second, device=device)
        self._second_bias[:second] = b_in
        self._out_weight = torch.zeros(self._second + 1, device=device)
        self._out_weight[:second], self._out_weight[-1] = w_out, b_out

    def columns(
        self,
        feature_maps: Tensor,
        params: Tensor,
        valid: Tensor,
        visibility: Tensor,
        shape: tuple[int, int, int],
        output: int,
        floats: Tensor,
        *integers: Tensor,
        precision: str = _PRECISION,
        cells: int = _CELLS,
        warps: int = _WARPS,
    ) -> None:
        """Answer about a grid of `shape` (levels,rows,columns): see `kernels.fused_columns`.

        feature_maps (V,H,W,hidden) with their bias, contiguous; params (V,PARAMS) float32: see
        `frame_params`; valid (V,h,w) uint8; visibility (V,h,w) as the network is shown. floats and
        integers: what the output kind fills.
        """
        levels, rows, across = shape
        first, second, third = (*integers, *(integers[-1:] * 2))[:3]
        fused_columns[(triton.cdiv(rows * across, cells),)](
            feature_maps, self._code.weight, self._bias, self._code.octaves,
            self._vote_weight, self._vote_bias, self._second_weight, self._second_bias,
            self._out_weight, params, valid, visibility, floats, first, second, third,
            len(feature_maps), rows, across, *feature_maps.shape[1:3], *valid.shape[1:],
            *visibility.shape[1:],
            LEVELS=levels, HIDDEN=self.hidden, VOTES=self._votes, SECOND=self._second,
            OUTPUT=output, PRECISION=precision, BLOCK=cells, num_warps=warps,
        )  # fmt: skip


def _reader(head: FoldedHead) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights (H,F), biases (H,), weights (H,) and bias of what reads the fused vote (F,)."""
    if isinstance(head.head, SimpleMultiViewHead):
        # x = relu(x) - relu(-x): the fused vote is the pre-density itself.
        signs = torch.tensor([1.0, -1.0], device=head.code_weight.device)
        return signs[:, None], torch.zeros_like(signs), signs, torch.zeros_like(signs[0])
    assert isinstance(head.head, MultiViewHead)
    reader = head.head.mlp2
    w_in, b_in = reader.lin_in.weight.detach(), reader.lin_in.bias.detach()
    return w_in, b_in, reader.lin_out.weight.detach()[0], reader.lin_out.bias.detach()[0]


class CudaFusedQueries(TorchQueries):
    """See `Queries`: grids by a kernel; rays, which leave their own view, and points by torch."""

    def __init__(
        self, fusion: CudaFusion, views: Sequence[EncodedView], feature_maps: Sequence[Tensor]
    ) -> None:
        # Pixel by pixel, as feature maps lie in memory.
        self._stacked = torch.stack([m.permute(1, 2, 0) for m in feature_maps])
        self.head, self.views, self._fusion = fusion.head, views, fusion
        self._device, self._scale = feature_maps[0].device, views[0].scale
        self._feature_maps = self._stacked.permute(0, 3, 1, 2)
        self._valid = torch.from_numpy(shown(views)).to(self._device)

    def grid_densities(self, grid: AffineGrid) -> Floats:
        return self._volume(grid, None)[0]

    def grid_occupancy(
        self, grid: AffineGrid, visibility: Sequence[Floats], length: float
    ) -> tuple[Floats, Bools]:
        sigma, visible = self._volume(grid, visibility)
        return opacity(sigma, length), visible

    def column_sums(self, grid: AffineGrid, visibility: Sequence[Floats]) -> ColumnSums:
        density, *counts = self._empty(grid.shape[1:], torch.float32, torch.int32, torch.int32)
        self._ask(grid, visibility, SUMS, density, *counts)
        return ColumnSums(*(a.cpu().numpy() for a in (density, *counts)))

    def finished(
        self, grid: AffineGrid, visibility: Sequence[Floats], params: Floats
    ) -> FrameGrids:
        """See `Queries`."""
        shape = grid.shape[1], grid.shape[2]
        cells = shape[0] * shape[1]
        (answer,) = self._empty((cells * CELL_BYTES,), torch.uint8)
        self._ask(grid, visibility, MAP, *answer_grids(answer, cells), finish=params)
        return grids_of(answer.cpu().numpy(), shape)

    def _volume(
        self, grid: AffineGrid, visibility: Sequence[Floats] | None
    ) -> tuple[Floats, Bools]:
        sigma, visible = self._empty(grid.shape, torch.float32, torch.int8)
        limits = (
            [np.zeros((1, 1), np.float32)] * len(self.views) if visibility is None else visibility
        )
        self._ask(grid, limits, VOLUME, sigma, visible)
        return sigma.cpu().numpy(), visible.cpu().numpy().astype(np.bool_)

    def _ask(
        self,
        grid: AffineGrid,
        visibility: Sequence[Floats],
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
            limits * np.float32(view.scale)
            for limits, view in zip(visibility, self.views, strict=True)
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
