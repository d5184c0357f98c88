"""Queries answered by compiled loops on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kdbts_ros.density import column_kernels, kernels, vote_kernels
from kdbts_ros.density.affine import AffineGrid
from kdbts_ros.density.camera import Array
from kdbts_ros.density.encoded import EncodedView
from kdbts_ros.density.fixed_point import ABSENT, MOST_PIXELS, FixedMap, fix_map
from kdbts_ros.density.fixed_rays import fixed_ray_depths
from kdbts_ros.density.folded import FoldedHead
from kdbts_ros.density.heads import MultiViewHead, SimpleMultiViewHead
from kdbts_ros.density.queries import (
    ColumnSums,
    RayDepths,
    lengths,
    opacity,
    projection,
    transparent,
)
from kdbts_ros.density.results import Bools, Floats

Fusion = tuple[Floats, Floats, Floats, np.float32]

EVERYWHERE = np.ones((1, 1), np.uint8)
WITHOUT_END = np.full((1, 1), np.inf, np.float32)
# Points whose votes are held at a time: a few megabytes per view.
VOTE_CHUNK = 1 << 16
# Samples that rays of several views take together before those that met something drop out.
SLAB = 8
# As in the compiled loops: light below this share cannot move a depth.
DARK = 1e-5


class CompiledQueries:
    """See `Queries`; for heads of one perceptron per view."""

    def __init__(
        self, head: FoldedHead, views: Sequence[EncodedView], maps: Sequence[Tensor]
    ) -> None:
        self.arrays, self.views = head.arrays, views
        self._head = head
        self._size = (maps[0].shape[1], maps[0].shape[2])
        self._maps = [m.permute(1, 2, 0).flatten().numpy() for m in maps]
        self._valid = [
            EVERYWHERE if v.valid is None else np.ascontiguousarray(v.valid, np.uint8)
            for v in views
        ]
        self._P = [projection(view) for view in views]
        self._scale = np.float32(views[0].scale)
        self._fusion = _fusion(head) if head.head.multi_view else None

    @staticmethod
    def supports(head: FoldedHead) -> bool:
        """Whether compiled loops know this kind of head."""
        known = isinstance(head.head, MultiViewHead | SimpleMultiViewHead)
        return known or not head.head.multi_view

    def point_densities(self, points: Array) -> Floats:
        if self._fusion is None:
            q = _positions(self._P[0], points)
            sigma = kernels.point_densities(
                self._maps[0], self._size, self.arrays, self._valid[0], q, _threads()
            )
        else:
            chunks = [points[i : i + VOTE_CHUNK] for i in range(0, len(points), VOTE_CHUNK)]
            found = [self._fused([_positions(P, chunk) for P in self._P]) for chunk in chunks]
            sigma = np.concatenate([*found, np.empty(0, np.float32)])
        return np.asarray(sigma * self._scale, np.float32)

    def grid_densities(self, grid: AffineGrid) -> Floats:
        if self._fusion is not None:
            return self._fused_grid(grid)
        sigma = self._ask(column_kernels.grid_densities, grid)
        if self._scale != 1:
            sigma *= self._scale
        return np.asarray(sigma)

    def grid_occupancy(
        self, grid: AffineGrid, reach: Sequence[Floats], length: float
    ) -> tuple[Floats, Bools]:
        if self._fusion is not None:
            return opacity(self._fused_grid(grid), length), self.lit_grid(grid, reach)
        probability, observed = self._ask(
            column_kernels.grid_occupancy,
            grid,
            reach[0] * self._scale,
            np.float32(length) * self._scale,
        )
        return np.asarray(probability), np.asarray(observed)

    def column_sums(self, grid: AffineGrid, reach: Sequence[Floats]) -> ColumnSums:
        if self._fusion is not None:
            sigma = self._fused_grid(grid)
            seen = self.lit_grid(grid, [WITHOUT_END] * len(self.views))
            lit = self.lit_grid(grid, reach)
            # Not nansum: a density that is not a number must not pass for free space.
            total = np.where(seen, sigma, np.float32(0)).sum(0)
            return ColumnSums(total, seen.sum(0, np.int32), (lit & seen).sum(0, np.int32))
        total, seen, lit = self._ask(column_kernels.column_sums, grid, reach[0] * self._scale)
        return ColumnSums(total * self._scale, seen, lit)

    def transparent_levels(self, grid: AffineGrid, limit: float) -> npt.NDArray[np.int32]:
        if self._fusion is not None or self._scale != 1:
            return transparent(self.grid_densities(grid), limit)
        found = self._ask(column_kernels.transparent_levels, grid, np.float32(limit))
        return np.asarray(found)

    def seen(self, points: Array) -> Bools:
        masks = [
            kernels.seen_points(_positions(P, points), valid)
            for P, valid in zip(self._P, self._valid, strict=True)
        ]
        return np.asarray(np.logical_or.reduce(masks))

    def lit(self, points: Array, reach: Sequence[Floats]) -> Bools:
        masks = [
            kernels.lit_points(_positions(P, points), valid, depth * np.float32(view.scale))
            for P, valid, view, depth in zip(self._P, self._valid, self.views, reach, strict=True)
        ]
        return np.asarray(np.logical_or.reduce(masks))

    def lit_grid(self, grid: AffineGrid, reach: Sequence[Floats]) -> Bools:
        found = np.zeros(grid.shape, np.bool_)
        for P, valid, view, depth in zip(self._P, self._valid, self.views, reach, strict=True):
            column_kernels.add_lit_cells(
                valid, grid.seen_by(P), depth * np.float32(view.scale), found, _threads()
            )
        return found

    def depths(self, view: int, t: Floats, size: tuple[int, int], stop: float) -> RayDepths:
        scale = np.float32(self.views[view].scale)
        if self._fusion is not None:
            return self._fused_depths(view, t, size, max(stop, DARK))
        # The product of density and step, and so the opacity, is the same at any scale.
        shown = t * scale
        parts = self._head.ray_halves(torch.from_numpy(shown), size)
        halves = tuple(part.flatten().numpy() for part in parts)
        asked = halves, shown, lengths(shown), size, np.float32(stop), _threads()
        folded, fixed = self._maps[view], self._fixed(view)
        if fixed.map.size:
            found = fixed_ray_depths(folded, self._size, self.arrays, fixed, *asked)
        else:
            found = kernels.ray_depths(folded, self._size, self.arrays, *asked)
        expected, median, opacity = found
        return RayDepths(expected / scale, median / scale, opacity)

    def _ask(self, loop: Callable[..., Any], grid: AffineGrid, *further: Any) -> Any:
        """Ask a loop over columns about a grid before the only view."""
        return loop(
            self._maps[0],
            self._size,
            self.arrays,
            self._fixed(0),
            self._valid[0],
            grid.seen_by(self._P[0]),
            *grid.shape,
            *further,
            _threads(),
        )

    def _fixed(self, view: int) -> FixedMap:
        """A view's map as integers, made when first asked for and kept with the view."""
        if self._head.fixed_tables is None or max(self._size) > MOST_PIXELS:
            return ABSENT
        kept = self.views[view].fixed
        if self._head.name not in kept:
            kept[self._head.name] = fix_map(
                self._maps[view], self.arrays, self._head.fixed_tables, _threads()
            )
        return kept[self._head.name]

    def _fused(self, positions: Sequence[Floats]) -> Floats:
        """Densities (N,) of points at `positions` (N,3) of every view, NaN where none sees."""
        votes = np.empty((len(positions), len(self.arrays.out_bias), len(positions[0])), np.float32)
        for k, q in enumerate(positions):
            vote_kernels.view_votes(
                self._maps[k], self._size, self.arrays, self._valid[k], q, votes[k], _threads()
            )
        return np.asarray(vote_kernels.fused_densities(votes, self._fusion, _threads()))

    def _fused_grid(self, grid: AffineGrid) -> Floats:
        """Densities (levels,rows,columns), NaN where no view sees, some rows at a time."""
        levels, rows, columns = grid.shape
        axes = [grid.seen_by(P) for P in self._P]
        sigma = np.empty(grid.shape, np.float32)
        # A tile of rows for every thread: its votes are read again before they leave the cache.
        step = vote_kernels.TILE * _threads()
        for first in range(0, rows, step):
            count = min(step, rows - first)
            shape = (len(axes), len(self.arrays.out_bias), count, columns, levels)
            votes = np.empty(shape, np.float32)
            for k, axis in enumerate(axes):
                vote_kernels.column_votes(
                    self._maps[k],
                    self._size,
                    self.arrays,
                    self._fixed(k),
                    self._valid[k],
                    axis,
                    levels,
                    (first, first + count),
                    columns,
                    votes[k],
                    _threads(),
                )
            flat = votes.reshape(*shape[:2], -1)
            fused = vote_kernels.fused_densities(flat, self._fusion, _threads())
            sigma[:, first : first + count] = fused.reshape(count, columns, levels).transpose(
                2, 0, 1
            )
        sigma *= self._scale
        return sigma

    def _fused_depths(self, view: int, t: Floats, size: tuple[int, int], stop: float) -> RayDepths:
        h, w = size
        own = self.views[view]
        rays = own.camera.resized(w, h).rays().reshape(-1, 3).astype(np.float64)
        # Along a ray a position in any image is affine in the depth.
        starts = [P @ own.T_world_cam[:, 3] for P in self._P]
        steps = [rays @ (P @ own.T_world_cam[:, :3]).T for P in self._P]
        states = np.zeros((len(rays), 3), np.float32)
        states[:, 0] = 1
        step_lengths = lengths(t)
        for begin in range(0, len(t), SLAB):
            alive = np.flatnonzero(states[:, 0] > stop)
            for part in np.array_split(alive, len(alive) * SLAB // VOTE_CHUNK + 1):
                depths = t[begin : begin + SLAB, None]
                positions = [
                    (start + depths * step[part, None]).reshape(-1, 3).astype(np.float32)
                    for start, step in zip(starts, steps, strict=True)
                ]
                sigma = np.nan_to_num(self._fused(positions)) * self._scale
                state = states[part]
                kernels.composite_rays(
                    sigma.reshape(len(part), len(depths)), step_lengths, t, begin, state, _threads()
                )
                states[part] = state
        expected = states[:, 1] + states[:, 0] * t[-1]
        median = np.where(states[:, 2] > 0, states[:, 2], t[-1])
        return RayDepths(
            expected.reshape(size), median.reshape(size), (1 - states[:, 0]).reshape(size)
        )


def _threads() -> int:
    return torch.get_num_threads()


def _positions(P: Array, points: Array) -> Floats:
    """(N,3) float32 homogeneous positions of world points (N,3), projected in float64."""
    return np.asarray(points @ P[:, :3].T + P[:, 3], np.float32)


def _fusion(head: FoldedHead) -> Fusion:
    """The perceptron over the fused vote, as `fused_densities` takes it."""
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
