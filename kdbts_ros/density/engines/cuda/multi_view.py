"""A folded multi-view head on a GPU: its arrays there, and the launch of its kernel.

Needs Triton: imported only where `cuda_engine.available()`.
"""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from kdbts_ros.density.engines.cuda.kernels.fused_columns import fused_columns
from kdbts_ros.density.engines.cuda.single_view import CodeArrays
from kdbts_ros.density.engines.folding import FoldedHead
from kdbts_ros.density.network.heads import MultiViewHead, SimpleMultiViewHead

# Cells of a program, and its warps.
_CELLS, _WARPS = 32, 4
# What a side of a product on the matrix units is at least.
_LEAST_SIDE = 16
# See `cuda_head`.
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
        maps: Tensor,
        params: Tensor,
        valid: Tensor,
        reach: Tensor,
        shape: tuple[int, int, int],
        output: int,
        floats: Tensor,
        *integers: Tensor,
        precision: str = _PRECISION,
        cells: int = _CELLS,
        warps: int = _WARPS,
    ) -> None:
        """Answer about a grid of `shape` (levels,rows,columns): see `triton_fusion.fused_columns`.

        maps (V,H,W,hidden) with their bias, contiguous; params (V,PARAMS) float32: see
        `frame_params`; valid (V,h,w) uint8; reach (V,h,w) as the network is shown. floats and
        integers: what the output kind fills.
        """
        levels, rows, across = shape
        first, second, third = (*integers, *(integers[-1:] * 2))[:3]
        fused_columns[(triton.cdiv(rows * across, cells),)](
            maps, self._code.weight, self._bias, self._code.octaves,
            self._vote_weight, self._vote_bias, self._second_weight, self._second_bias,
            self._out_weight, params, valid, reach, floats, first, second, third,
            len(maps), rows, across, *maps.shape[1:3], *valid.shape[1:], *reach.shape[1:],
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
