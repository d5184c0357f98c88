"""Single points, answered in the thread that asks while another one computes frames.

The loops of frames share one pool of threads, which two threads must not ask at once. These loops
take no thread but their caller's, hold no lock meanwhile, and read nothing that a frame writes:
folded maps as they were encoded, their integers, which are made with the snapshot at the latest
and never change, and nothing that is kept of earlier maps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.engines.cpu import fusion
from kdbts_ros.density.engines.cpu import int16_points as int16_loops
from kdbts_ros.density.engines.cpu import point_votes as vote_loops
from kdbts_ros.density.engines.cpu import points as point_loops
from kdbts_ros.density.engines.cpu.fusion import groups_of
from kdbts_ros.density.engines.cpu.int16_map import Int16Tables
from kdbts_ros.density.engines.cpu.multi_view import VOTE_CHUNK, FusedQueries, fusion_of
from kdbts_ros.density.engines.cpu.single_view import CompiledViews, positions
from kdbts_ros.density.engines.cpu.upright_columns import LANES
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.folding import FoldedHead
from kdbts_ros.density.engines.interface import PointQueries
from kdbts_ros.density.geometry.camera import Array


def compiled_points(
    head: FoldedHead,
    views: Sequence[EncodedView],
    feature_maps: Sequence[Tensor],
    tables: Int16Tables | None = None,
) -> PointQueries | None:
    """What a head says of points, by its folded maps in host memory; None: loops do not know it.

    tables: the head's as integers; None asks through floats.
    """
    if not head.head.multi_view:
        return SingleViewPoints(head, views, feature_maps, tables)
    return FusedPoints(head, views, feature_maps, tables) if FusedQueries.supports(head) else None


class SingleViewPoints(CompiledViews):
    """See `PointQueries`; for heads of one perceptron over the first view."""

    def __init__(
        self,
        head: FoldedHead,
        views: Sequence[EncodedView],
        feature_maps: Sequence[Tensor],
        tables: Int16Tables | None = None,
    ) -> None:
        super().__init__(head, views, feature_maps, tables)
        self._map = self._int16(0)

    def point_densities(self, points: Array) -> Floats:
        q, folded, valid = positions(self._P[0], points), self._feature_maps[0], self._valid[0]
        if self._map.features.size:
            sigma = int16_loops.int16_densities_here(
                folded, self._size, self.arrays, self._map, valid, q
            )
        else:
            sigma = point_loops.densities_here(folded, self._size, self.arrays, valid, q)
        return np.asarray(sigma * self._scale, np.float32)


class FusedPoints(CompiledViews):
    """See `PointQueries`; for heads of one perceptron per view and one over their votes."""

    def __init__(
        self,
        head: FoldedHead,
        views: Sequence[EncodedView],
        feature_maps: Sequence[Tensor],
        tables: Int16Tables | None = None,
    ) -> None:
        super().__init__(head, views, feature_maps, tables)
        self._maps = [self._int16(k) for k in range(len(views))]
        self._fusion = fusion_of(head)

    def point_densities(self, points: Array) -> Floats:
        chunks = [points[i : i + VOTE_CHUNK] for i in range(0, len(points), VOTE_CHUNK)]
        found = [self._fused(chunk) for chunk in chunks]
        return np.concatenate([*found, np.empty(0, np.float32)]) * self._scale

    def _fused(self, points: Array) -> Floats:
        blocks, views = groups_of(len(points)), len(self._P)
        votes = np.empty((views, 1, blocks, len(self.arrays.out_bias) + 1, LANES), np.float32)
        seen_rows = np.empty(votes.shape[:3], np.uint8)
        for k, P in enumerate(self._P):
            folded, q, into = (
                self._feature_maps[k],
                positions(P, points),
                (votes[k, 0], seen_rows[k, 0]),
            )
            if self._maps[k].features.size:
                int16_loops.int16_votes_here(
                    folded, self._size, self.arrays, self._maps[k], self._valid[k], q, *into
                )
            else:
                vote_loops.votes_here(folded, self._size, self.arrays, self._valid[k], q, *into)
        sigma = fusion.cells_here(votes, seen_rows, np.arange(views), self._fusion, LANES)
        return np.asarray(sigma[0].T.reshape(-1)[: len(points)])
