"""Queries of heads that read one view, by kernels on a GPU: arrays there, launches, answers.

Needs Triton: imported only where `support.available()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import triton
from torch import Tensor

from kdbts_ros.density.engines.answers import Bools, Floats
from kdbts_ros.density.engines.cuda import frame_params
from kdbts_ros.density.engines.cuda.kernels import columns_and_rays as kernels
from kdbts_ros.density.engines.encoded_view import EncodedView, projection
from kdbts_ros.density.engines.folding import KEPT_RAYS, FoldedHead
from kdbts_ros.density.engines.interface import ColumnSums, RayDepths, opacity
from kdbts_ros.density.engines.plain_torch import TorchQueries
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.network.volume_rendering import HALF_THICKNESS, lengths

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

    Maps are (hidden,H,W), channels last in memory, of any float type. `bare` maps lack the bias
    of the output convolution.
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
        visibility: Tensor,
        shape: tuple[int, int, int],
        output: int,
        floats: Tensor,
        *integers: Tensor,
        precision: str = _PRECISION,
        cells: int = _CELLS,
        warps: int = _WARPS,
    ) -> None:
        """Answer about a grid of `shape` (levels,rows,columns): see `columns_and_rays.columns`.

        params (PARAMS,) float32: see `frame_params`; valid (h,w) uint8; visibility (h,w) as the
        network is shown. floats and integers: what the output kind fills.
        """
        levels, rows, across = shape
        first, second, third = (*integers, *(integers[-1:] * 2))[:3]
        kernels.columns[(triton.cdiv(rows * across, cells),)](
            folded, self.code_weight, self.bias(bare), self.octaves, self.out_weight, params,
            valid, visibility, floats, first, second, third,
            rows, across, folded.shape[1], folded.shape[2], *valid.shape, *visibility.shape,
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
        surface: Tensor,
        expected: Tensor | None = None,
        opacity: Tensor | None = None,
        thickness: float = HALF_THICKNESS,
        block: int = _RAYS,
        warps: int = _WARPS,
    ) -> None:
        """Fill (h,w) depths as the network is shown: the surface, and the rest when asked for, or
        where the surface's sample begins alone."""
        h, w = tables.size
        everything = expected is not None and opacity is not None
        kernels.rays[(triton.cdiv(h * w, block),)](
            folded, tables.u, tables.v, tables.z, self.bias(bare), tables.samples, self.out_weight,
            expected if everything else surface, surface, opacity if everything else surface,
            h, w, folded.shape[1], folded.shape[2], float(np.exp(-thickness)),
            COUNT=tables.samples.shape[1], HIDDEN=self.hidden, ALL=everything, BLOCK=block,
            num_warps=warps,
        )  # fmt: skip


class CudaQueries(TorchQueries):
    """See `Queries`: grids and rays by kernels, scattered points by torch."""

    def __init__(
        self, head: CudaHead, views: Sequence[EncodedView], feature_maps: Sequence[Tensor]
    ) -> None:
        super().__init__(head.head, views, feature_maps)
        self._kernels = head
        self._map = feature_maps[0].permute(1, 2, 0).contiguous().permute(2, 0, 1)
        valid = views[0].valid
        known = np.ones((1, 1), np.uint8) if valid is None else valid.astype(np.uint8)
        self._valid = torch.from_numpy(known).to(self._device)

    def grid_densities(self, grid: AffineGrid) -> Floats:
        return self._volume(grid, None)[0]

    def grid_occupancy(
        self, grid: AffineGrid, visibility: Sequence[Floats], length: float
    ) -> tuple[Floats, Bools]:
        sigma, visible = self._volume(grid, visibility[0])
        return opacity(sigma, length), visible

    def column_sums(self, grid: AffineGrid, visibility: Sequence[Floats]) -> ColumnSums:
        density, *counts = self._empty(grid.shape[1:], torch.float32, torch.int32, torch.int32)
        self._ask(grid, visibility[0], SUMS, density, *counts)
        return ColumnSums(*(a.cpu().numpy() for a in (density, *counts)))

    def depths(
        self,
        view: int,
        t: Floats,
        size: tuple[int, int],
        stop: float,
        thickness: float = HALF_THICKNESS,
    ) -> RayDepths:
        expected, surface, opaque = self._empty(size, *[torch.float32] * 3)
        tables = self._tables(t, size)
        self._kernels.rays(self._map, False, tables, surface, expected, opaque, thickness)
        expected, surface = expected / self._scale, surface / self._scale
        return RayDepths(*(a.cpu().numpy() for a in (expected, surface, opaque)))

    def visibility(self, view: int, t: Floats, size: tuple[int, int]) -> Floats:
        (begun,) = self._empty(size, torch.float32)
        self._kernels.rays(self._map, False, self._tables(t, size), begun)
        return (begun / self._scale).cpu().numpy()

    def _tables(self, t: Floats, size: tuple[int, int]) -> RayTables:
        return self._kernels.ray_tables(t * np.float32(self._scale), size)

    def _volume(self, grid: AffineGrid, visibility: Floats | None) -> tuple[Floats, Bools]:
        sigma, visible = self._empty(grid.shape, torch.float32, torch.int8)
        limits = np.zeros((1, 1), np.float32) if visibility is None else visibility
        self._ask(grid, limits, VOLUME, sigma, visible)
        return sigma.cpu().numpy(), visible.cpu().numpy().astype(np.bool_)

    def _ask(self, grid: AffineGrid, visibility: Floats, output: int, *out: Tensor) -> None:
        arrays, scale = self.head.arrays, self._scale
        params = frame_params.pack_grid(grid, projection(self.views[0]), arrays, scale)
        limits = torch.from_numpy(np.ascontiguousarray(visibility * np.float32(scale)))
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
