"""What a scene on a GPU has kernels for. Light to import: Triton comes with the first scene."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kdbts_ros.density.engines.cuda import support
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.folding import FoldedField
from kdbts_ros.density.engines.interface import Queries


class GpuKernels:
    """The kernels of every head that they know, and its maps in half precision."""

    def __init__(self, field: FoldedField, half: torch.dtype | None) -> None:
        from kdbts_ros.density.cuda_field import CudaField
        from kdbts_ros.density.engines.cuda.multi_view import CudaFusion
        from kdbts_ros.density.engines.cuda.single_view import CudaHead

        self._heads = {
            k: CudaHead(head) for k, head in enumerate(field.heads) if support.supports(head)
        }
        self._fusions = {
            k: CudaFusion(head) for k, head in enumerate(field.heads) if support.fuses(head)
        }
        if half is not None:
            field.packed = CudaField(field.network, field.own, half)

    def knows(self, index: int) -> bool:
        """Whether there are kernels for the head of that index."""
        return index in self._heads or index in self._fusions

    def forget_fusion(self) -> None:
        """Leave heads of several views to torch."""
        self._fusions.clear()

    def queries(self, index: int, views: Sequence[EncodedView], maps: Sequence[Tensor]) -> Queries:
        """Queries of the head of that index, which is one it knows."""
        from kdbts_ros.density.cuda_fused_queries import CudaFusedQueries
        from kdbts_ros.density.cuda_queries import CudaQueries

        if index in self._fusions:
            return CudaFusedQueries(self._fusions[index], views, maps)
        return CudaQueries(self._heads[index], views, maps)
