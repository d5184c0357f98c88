"""Queries answered by compiled loops on the CPU, for heads that fuse several views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from kdbts_ros.density.engines.answers import Bools, Floats
from kdbts_ros.density.engines.cpu import fusion
from kdbts_ros.density.engines.cpu import point_votes as point_loops
from kdbts_ros.density.engines.cpu import votes as vote_loops
from kdbts_ros.density.engines.cpu.fusion import groups_of
from kdbts_ros.density.engines.cpu.int16_map import Int16Tables
from kdbts_ros.density.engines.cpu.rays import DARK, composite_rays
from kdbts_ros.density.engines.cpu.single_view import CompiledViews, positions, threads
from kdbts_ros.density.engines.cpu.upright_columns import LANES
from kdbts_ros.density.engines.cpu.vote_cache import Ring, VoteStore
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.folding import FoldedHead
from kdbts_ros.density.engines.interface import (
    HALF_LIGHT,
    ColumnSums,
    RayDepths,
    opacity,
    transparent,
)
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.network.heads import MultiViewHead, SimpleMultiViewHead
from kdbts_ros.density.network.volume_rendering import HALF_THICKNESS, begun, lengths

Fusion = tuple[Floats, Floats, Floats, np.float32]
Bytes = npt.NDArray[np.uint8]
Slots = npt.NDArray[np.int64]

NOWHERE = np.zeros((0, 0), np.float32)
# Points whose votes are held at a time: a few megabytes per view.
VOTE_CHUNK = 1 << 16
# Samples that rays of several views take together before those that met something drop out.
SLAB = 8


class FusedQueries(CompiledViews):
    """See `Queries`; for heads of one perceptron per view and one over their votes.

    Args:
        tables: see `CompiledViews`.
        store: votes of earlier maps; None to keep none.
    """

    def __init__(
        self,
        head: FoldedHead,
        views: Sequence[EncodedView],
        feature_maps: Sequence[Tensor],
        tables: Int16Tables | None = None,
        store: VoteStore | None = None,
    ) -> None:
        super().__init__(head, views, feature_maps, tables)
        self._fusion = fusion_of(head)
        self._store = store

    @staticmethod
    def supports(head: FoldedHead) -> bool:
        """Whether compiled loops know this kind of head."""
        return isinstance(head.head, MultiViewHead | SimpleMultiViewHead)

    def point_densities(self, points: Array) -> Floats:
        chunks = [points[i : i + VOTE_CHUNK] for i in range(0, len(points), VOTE_CHUNK)]
        found = [self._fused([positions(P, chunk) for P in self._P]) for chunk in chunks]
        return np.concatenate([*found, np.empty(0, np.float32)]) * self._scale

    def grid_densities(self, grid: AffineGrid) -> Floats:
        return self._whole_grid(grid, [NOWHERE] * len(self.views))[0]

    def grid_occupancy(
        self, grid: AffineGrid, visibility: Sequence[Floats], length: float
    ) -> tuple[Floats, Bools]:
        sigma, visible = self._whole_grid(grid, visibility)
        return opacity(sigma, length), visible

    def column_sums(self, grid: AffineGrid, visibility: Sequence[Floats]) -> ColumnSums:
        store, rows = self._store, grid.shape[1]
        if store is not None and store.open(grid, self.views, visibility):
            self._vote(grid, visibility, store)
            blocks = store.votes, store.seen_rows, store.slots, self._fusion, store.ring
            total, seen, visible = fusion.fused_sums(*blocks, rows, threads())
        else:
            parts = [
                fusion.fused_sums(*blocks, Ring(0, 0), part.stop - part.start, threads())
                for part, blocks in self._by_rows(grid, visibility)
            ]
            total, seen, visible = (np.concatenate(found) for found in zip(*parts, strict=True))
        return ColumnSums(total * self._scale, seen, visible)

    def transparent_levels(self, grid: AffineGrid, limit: float) -> npt.NDArray[np.int32]:
        return transparent(self.grid_densities(grid), limit)

    def depths(
        self,
        view: int,
        t: Floats,
        size: tuple[int, int],
        stop: float,
        thickness: float = HALF_THICKNESS,
    ) -> RayDepths:
        stop, (h, w) = max(stop, float(DARK)), size
        own = self.views[view]
        rays = own.camera.resized(w, h).rays().reshape(-1, 3).astype(np.float64)
        # Along a ray a position in any image is affine in the depth.
        starts = [P @ own.T_world_cam[:, 3] for P in self._P]
        steps = [rays @ (P @ own.T_world_cam[:, :3]).T for P in self._P]
        states = np.zeros((len(rays), 3), np.float32)
        states[:, 0] = 1
        step_lengths, light = lengths(t), np.float32(np.exp(-thickness))
        for begin in range(0, len(t), SLAB):
            alive = np.flatnonzero(states[:, 0] > stop)
            for part in np.array_split(alive, len(alive) * SLAB // VOTE_CHUNK + 1):
                depths = t[begin : begin + SLAB, None]
                by_view = [
                    (start + depths * step[part, None]).reshape(-1, 3).astype(np.float32)
                    for start, step in zip(starts, steps, strict=True)
                ]
                sigma = np.nan_to_num(self._fused(by_view)) * self._scale
                state = states[part]
                sigma = sigma.reshape(len(part), len(depths))
                composite_rays(sigma, step_lengths, t, begin, state, light, threads())
                states[part] = state
        expected = states[:, 1] + states[:, 0] * t[-1]
        surface = np.where(states[:, 2] > 0, states[:, 2], t[-1])
        return RayDepths(
            expected.reshape(size), surface.reshape(size), (1 - states[:, 0]).reshape(size)
        )

    def visibility(self, view: int, t: Floats, size: tuple[int, int]) -> Floats:
        return begun(self.depths(view, t, size, HALF_LIGHT).surface, t)

    def _fused(self, by_view: Sequence[Floats]) -> Floats:
        """Densities (N,) of points at positions (N,3) of every view, NaN where none sees."""
        blocks = groups_of(len(by_view[0]))
        votes = np.empty((len(by_view), 1, blocks, self._kinds, LANES), np.float32)
        seen_rows = np.empty(votes.shape[:3], np.uint8)
        for k, q in enumerate(by_view):
            point_loops.point_votes(
                self._feature_maps[k],
                self._size,
                self.arrays,
                self._valid[k],
                q,
                votes[k, 0],
                seen_rows[k, 0],
                threads(),
            )
        sigma, _ = fusion.fused_cells(
            votes, seen_rows, np.arange(len(by_view)), self._fusion, LANES, threads()
        )
        return np.asarray(sigma[0].T.reshape(-1)[: len(by_view[0])])

    def _whole_grid(self, grid: AffineGrid, visibility: Sequence[Floats]) -> tuple[Floats, Bools]:
        """Densities 1/m, NaN where no view sees, and light, both (levels,rows,columns)."""
        sigma, visible = np.empty(grid.shape, np.float32), np.empty(grid.shape, np.bool_)
        for rows, blocks in self._by_rows(grid, visibility):
            found = fusion.fused_cells(*blocks, rows.stop - rows.start, threads())
            sigma[:, rows], visible[:, rows] = found
        sigma *= self._scale
        return sigma, visible

    def _by_rows(
        self, grid: AffineGrid, visibility: Sequence[Floats]
    ) -> Iterator[tuple[slice, tuple[Floats, Bytes, Slots, Fusion]]]:
        """Rows of a grid with what fuses their votes, a few at a time."""
        levels, rows, columns = grid.shape
        # A group of rows for every thread: its votes are read again before they leave the cache.
        step = LANES * threads()
        slots: Slots = np.arange(len(self.views), dtype=np.int64)
        shape = len(slots), groups_of(step), columns, self._kinds, levels * LANES
        votes, seen_rows = np.empty(shape, np.float32), np.zeros(shape[:3], np.uint8)
        for first in range(0, rows, step):
            part = slice(first, min(first + step, rows))
            shown = grid.rows(part)
            stale = np.ones(shown.shape[1:], np.bool_)
            for k in range(len(slots)):
                self._vote_columns(
                    k, shown, visibility[k], stale, Ring(0, 0), votes[k], seen_rows[k]
                )
            yield part, (votes, seen_rows, slots, self._fusion)

    def _vote(self, grid: AffineGrid, visibility: Sequence[Floats], store: VoteStore) -> None:
        """Complete the votes kept of earlier maps."""
        for k, slot in enumerate(store.slots):
            stale = store.stale(slot)
            votes, seen_rows = store.votes[slot], store.seen_rows[slot]
            self._vote_columns(k, grid, visibility[k], stale, store.ring, votes, seen_rows)
            store.refreshed(slot, stale)

    def _vote_columns(
        self,
        view: int,
        grid: AffineGrid,
        visibility: Floats,
        stale: Bools,
        ring: Ring,
        votes: Floats,
        seen_rows: Bytes,
    ) -> None:
        vote_loops.column_votes(
            self._feature_maps[view],
            self._size,
            self.arrays,
            self._int16(view),
            self._valid[view],
            grid.seen_by(self._P[view]),
            visibility * np.float32(self.views[view].scale),
            stale,
            ring,
            votes,
            seen_rows,
            threads(),
        )

    @property
    def _kinds(self) -> int:
        """Rows of a block of votes: confidence, vote and light."""
        return len(self.arrays.out_bias) + 1


def fusion_of(head: FoldedHead) -> Fusion:
    """The perceptron over the fused vote, as `fusion` takes it."""
    if isinstance(head.head, SimpleMultiViewHead):
        # x = relu(x) - relu(-x): the fused vote is the pre-density itself.
        signs = np.array([1, -1], np.float32)
        return signs.copy(), np.zeros(2, np.float32), signs, np.float32(0)
    assert isinstance(head.head, MultiViewHead)
    second = head.head.mlp2
    w_in, b_in, w_out, b_out = (
        p.detach().cpu().numpy()
        for p in (
            second.lin_in.weight,
            second.lin_in.bias,
            second.lin_out.weight[0],
            second.lin_out.bias[0],
        )
    )
    return w_in.flatten(), b_in.copy(), w_out.copy(), np.float32(b_out)
