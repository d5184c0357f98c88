"""What a scene on a GPU has kernels for. Light to import: Triton comes with the first scene."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kdbts_ros.density import cuda_engine
from kdbts_ros.density.encoded import EncodedView
from kdbts_ros.density.folded import FoldedField
from kdbts_ros.density.queries import Queries


class GpuKernels:
    """The kernels of every head that they know, and its maps in half precision."""

    def __init__(self, field: FoldedField, half: torch.dtype | None) -> None:
        from kdbts_ros.density.cuda_field import CudaField
        from kdbts_ros.density.cuda_head import CudaHead

        self._heads = {
            k: CudaHead(head) for k, head in enumerate(field.heads) if cuda_engine.supports(head)
        }
        if half is not None:
            field.packed = CudaField(field.network, field.own, half)

    def queries(self, index: int, views: Sequence[EncodedView], maps: Sequence[Tensor]) -> Queries:
        """Queries of the head of that index, which is one it supports."""
        from kdbts_ros.density.cuda_queries import CudaQueries

        return CudaQueries(self._heads[index], views, maps)
