"""A folded single-view head on a GPU: its arrays there, and the launches of its kernels.

Needs Triton: imported only where `cuda_engine.available()`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import triton
from torch import Tensor

from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.engines.cuda.kernels import columns_and_rays as kernels
from kdbts_ros.density.engines.folding import KEPT_RAYS, FoldedHead
from kdbts_ros.density.engines.interface import lengths

SUMS, VOLUME, MAP = 0, 1, 2
# Cells, and rays, of a program, and its warps.
_CELLS, _RAYS, _WARPS = 32, 32, 4
# How the code meets its weights on the matrix units: three products of tf32 are as exact as
# float32, and cheap beside the gather.
_PRECISION = "tf32x3"


class CodeArrays(NamedTuple):
    """How the code of a point meets the first layer: weights (CODE,hidden), its first rows the
    code's, and octaves (2,CODE), a frequency and a phase for each."""

    weight: Tensor
    octaves: Tensor

    @classmethod
    def of(cls, head: FoldedHead) -> CodeArrays:
        device, code, width = head.code_weight.device, head.code, head.code_weight.shape[1]
        padded = int(kernels.CODE.value)
        weight = torch.zeros(padded, head.arrays.hidden, device=device)
        weight[:width] = head.code_weight.T
        octaves = torch.zeros(2, padded, device=device)
        octaves[0, 3:width] = code.freqs.repeat_interleave(3)
        octaves[1, 3:width] = code.phases.repeat_interleave(3)
        return cls(weight, octaves)


class RayTables(NamedTuple):
    """What of rays through a grid of `size` (h,w) is constant: the positional half by column u
    (w,hidden), by row v (h,hidden) and by sample z (S,hidden), without bias; samples (2,S) depths
    and lengths as the network is shown."""

    u: Tensor
    v: Tensor
    z: Tensor
    samples: Tensor
    size: tuple[int, int]


class CudaHead:
    """Launches on the current stream; nothing here waits or copies to the host.

    Maps are (hidden,H,W), channels last in memory, of any float type. `bare` maps lack the bias of
    the output convolution.
    """

    def __init__(self, head: FoldedHead) -> None:
        self.head, self.hidden = head, head.arrays.hidden
        self.code_weight, self.octaves = CodeArrays.of(head)
        self._full_bias = head.code_bias.float().contiguous()
        self._bare_bias = (head.code_bias + head.conv_bias).float().contiguous()
        last = head.last
        self.out_weight = torch.cat([last.weight.detach().flatten(), last.bias.detach()]).float()
        self._ray_tables: dict[tuple[tuple[int, int], bytes], RayTables] = {}

    def bias(self, bare: bool) -> Tensor:
        return self._bare_bias if bare else self._full_bias

    def columns(
        self,
        folded: Tensor,
        bare: bool,
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
        """Answer about a grid of `shape` (levels,rows,columns): see `triton_queries.columns`.

        params (PARAMS,) float32: see `frame_params`; valid (h,w) uint8; reach (h,w) as the network
        is shown. floats and integers: what the output kind fills.
        """
        levels, rows, across = shape
        first, second, third = (*integers, *(integers[-1:] * 2))[:3]
        kernels.columns[(triton.cdiv(rows * across, cells),)](
            folded, self.code_weight, self.bias(bare), self.octaves, self.out_weight, params,
            valid, reach, floats, first, second, third,
            rows, across, folded.shape[1], folded.shape[2], *valid.shape, *reach.shape,
            LEVELS=levels, HIDDEN=self.hidden, OUTPUT=output, PRECISION=precision, BLOCK=cells,
            num_warps=warps,
        )  # fmt: skip

    def ray_tables(self, t: Floats, size: tuple[int, int]) -> RayTables:
        """Tables of rays through a grid of `size` (h,w), at depths t (S,) as the network is
        shown; kept, as frames ask for the same ones."""
        key = size, t.tobytes()
        if key not in self._ray_tables:
            if len(self._ray_tables) == KEPT_RAYS:
                self._ray_tables.pop(next(iter(self._ray_tables)))
            self._ray_tables[key] = self._make_ray_tables(t, size)
        return self._ray_tables[key]

    def _make_ray_tables(self, t: Floats, size: tuple[int, int]) -> RayTables:
        device = self.code_weight.device
        samples = torch.from_numpy(np.stack([t, lengths(t)])).to(device)
        with torch.inference_mode():
            u, v, z = self.head.ray_halves(samples[0], size)
            z = z - self.head.code_bias
        return RayTables(u.contiguous(), v.contiguous(), z.contiguous(), samples, size)

    def rays(
        self,
        folded: Tensor,
        bare: bool,
        tables: RayTables,
        median: Tensor,
        expected: Tensor | None = None,
        opacity: Tensor | None = None,
        block: int = _RAYS,
        warps: int = _WARPS,
    ) -> None:
        """Fill (h,w) depths as the network is shown: the median, and the rest when asked for."""
        h, w = tables.size
        everything = expected is not None and opacity is not None
        kernels.rays[(triton.cdiv(h * w, block),)](
            folded, tables.u, tables.v, tables.z, self.bias(bare), tables.samples, self.out_weight,
            expected if everything else median, median, opacity if everything else median,
            h, w, folded.shape[1], folded.shape[2],
            COUNT=tables.samples.shape[1], HIDDEN=self.hidden, ALL=everything, BLOCK=block,
            num_warps=warps,
        )  # fmt: skip
