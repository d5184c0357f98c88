"""The engine of a CPU: compiled loops over folded feature maps, as int16 where they can."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from kdbts_ros.density.engines.cpu import simd, trunk
from kdbts_ros.density.engines.cpu.int16_map import Int16Tables, to_int16_tables
from kdbts_ros.density.engines.cpu.lookups import compiled_points
from kdbts_ros.density.engines.cpu.multi_view import FusedQueries
from kdbts_ros.density.engines.cpu.openvino_trunk import OpenVinoField
from kdbts_ros.density.engines.cpu.single_view import CompiledQueries
from kdbts_ros.density.engines.cpu.vote_cache import VoteStore
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.folding import FoldedField
from kdbts_ros.density.engines.interface import Engine, PointQueries, Queries, passed_over
from kdbts_ros.density.engines.plain_torch import PlainTorch, TorchQueries


class CpuEngine:
    """See `Engine`. What compiled loops do not know is left to torch.

    Attributes:
        trunk: convolutions laid out for this processor, by torch or OpenVINO; None leaves them to
            torch as it is.
        tables: by head, its tables as integers; None asks through floats.
        votes: what views of earlier maps said.
    """

    def __init__(
        self, field: FoldedField, precision: str, convolutions: OpenVinoField | None = None
    ) -> None:
        """convolutions: those of OpenVINO; None for torch's."""
        self.field, self.precision = field, precision
        self.trunk: OpenVinoField | trunk.PackedField | None = (
            _packed(field, precision) if convolutions is None else convolutions
        )
        integers = simd.available()
        self.tables: list[Int16Tables | None] = [
            to_int16_tables(head.arrays) if integers else None for head in field.heads
        ]
        self.votes = VoteStore(len(field.heads[0].arrays.out_bias))
        self._refused: tuple[str, ...] = ()
        self._unknown = [
            f"compiled loops do not know the head '{head.name}'"
            for head in field.heads
            if head.head.multi_view and not FusedQueries.supports(head)
        ]

    @property
    def note(self) -> str:
        effect = "slow" if self._unknown else "half as fast"
        return passed_over(effect, (*self._unknown, *self._refused))

    def encode(self, images: Tensor) -> list[Tensor]:
        if self.trunk is None:
            return self.field.encode(images, self.precision)
        return self.field.by_head(self.trunk.encode(images))

    def queries(self, head: int, views: Sequence[EncodedView]) -> Queries:
        folded, tables = self.field.heads[head], self.tables[head]
        feature_maps = [view.feature_maps[head] for view in views]
        if not folded.head.multi_view:
            return CompiledQueries(folded, views, feature_maps, tables)
        if FusedQueries.supports(folded):
            return FusedQueries(folded, views, feature_maps, tables, self.votes)
        return TorchQueries(folded, views, feature_maps)

    def points(self, head: int, views: Sequence[EncodedView]) -> PointQueries:
        folded, tables = self.field.heads[head], self.tables[head]
        feature_maps = [view.feature_maps[head] for view in views]
        found = compiled_points(folded, views, feature_maps, tables)
        return TorchQueries(folded, views, feature_maps) if found is None else found

    def weaker(self, head: int, fault: str) -> Engine:
        if isinstance(self.trunk, OpenVinoField):
            self._refused += (f"OpenVINO's convolutions in {self.precision} were refused, {fault}",)
            self.precision = "float32"
            self.trunk = _packed(self.field, self.precision)
            return self
        if self.tables[head] is not None:
            self.tables[head] = None
            self._refused += (f"16-bit integers were refused, {fault}",)
            return self
        return PlainTorch(
            self.field, "float32", (*self._refused, f"compiled loops were refused, {fault}")
        )

    def frames(self, head: int) -> None:
        return None

    def forget(self) -> None:
        self.votes.clear()


def _packed(field: FoldedField, precision: str) -> trunk.PackedField | None:
    """torch's convolutions laid out; None where it cannot."""
    packs = precision == "float32" and trunk.supported()
    return trunk.PackedField(field.network, field.own) if packs else None
