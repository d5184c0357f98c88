"""The engine of a GPU: kernels of the heads they know. Light to import: Triton comes with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from kdbts_ros.density.engines.cuda import support
from kdbts_ros.density.engines.cuda.frame_plan import FramePlan, Graph
from kdbts_ros.density.engines.cuda.lookups import DownloadedPoints
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.folding import FoldedField
from kdbts_ros.density.engines.interface import Engine, PointQueries, Queries, passed_over
from kdbts_ros.density.engines.plain_torch import PlainTorch, TorchQueries
from kdbts_ros.density.network.precision import HALF


class CudaEngine:
    """See `Engine`. What its kernels do not know is left to torch."""

    def __init__(self, field: FoldedField, precision: str) -> None:
        from kdbts_ros.density.engines.cuda.multi_view import CudaFusion
        from kdbts_ros.density.engines.cuda.single_view import CudaHead
        from kdbts_ros.density.engines.cuda.trunk import CudaField

        self.field, self.precision = field, precision
        heads = list(enumerate(field.heads))
        self._heads = {k: CudaHead(head) for k, head in heads if support.supports(head)}
        self._fusions = {k: CudaFusion(head) for k, head in heads if support.fuses(head)}
        half = HALF.get(precision)
        # Of convolutions in float32 torch makes as much.
        self.trunk = None if half is None else CudaField(field.network, field.own, half)
        self._refused: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        return passed_over("several views take longer", self._refused)

    def encode(self, images: Tensor) -> list[Tensor]:
        if self.trunk is None:
            return self.field.encode(images, self.precision)
        return self.field.by_head(self.trunk.encode(images))

    def queries(self, head: int, views: Sequence[EncodedView]) -> Queries:
        feature_maps = [view.feature_maps[head] for view in views]
        if head in self._fusions:
            from kdbts_ros.density.engines.cuda.multi_view import CudaFusedQueries

            return CudaFusedQueries(self._fusions[head], views, feature_maps)
        if head in self._heads:
            from kdbts_ros.density.engines.cuda.single_view import CudaQueries

            return CudaQueries(self._heads[head], views, feature_maps)
        return TorchQueries(self.field.heads[head], views, feature_maps)

    def points(self, head: int, views: Sequence[EncodedView]) -> PointQueries:
        folded, feature_maps = self.field.heads[head], [view.feature_maps[head] for view in views]
        if head in self._fusions or head in self._heads:
            return DownloadedPoints(folded, views, feature_maps)
        return TorchQueries(folded, views, feature_maps)

    def weaker(self, head: int, fault: str) -> Engine:
        if head in self._fusions:
            self._fusions.clear()
            self._refused += (f"their kernel was refused, {fault}",)
            return self
        return PlainTorch(
            self.field, "float32", (*self._refused, f"CUDA kernels were refused, {fault}")
        )

    def frames(self, head: int) -> Callable[[FramePlan], Graph] | None:
        if self.trunk is None or head not in self._heads:
            return None
        from kdbts_ros.density.engines.cuda.frame_graph import GraphedFrame

        # Heads that share a hidden layer share a map as well.
        trunk, index, kernels = self.trunk, self.field.map_index(head), self._heads[head]
        return lambda plan: GraphedFrame(trunk, index, kernels, plan)

    def forget(self) -> None:
        """Nothing is kept."""
