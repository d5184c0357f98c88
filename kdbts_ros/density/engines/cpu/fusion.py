"""Compiled CPU loops of a multi-view head: from the votes of all views to densities.

Votes lie in blocks, one for each view and group of cells. A group is LANES rows of one column of a
grid, with all their levels: level k of row r is cell k LANES + r. A block is (2+F,cells) float32.
Its rows are the confidence's logit, MASKED where the view does not see a cell, the F numbers of the
vote, and 1 where light of the view reaches. What a masked cell holds besides is finite.

Blocks of one view are kept in a ring: cell (row,column) of a grid (R,C) belongs to row
(row+ring[0]) mod R and column (column+ring[1]) mod C of the ring, so that a window may move without
anything being copied. Groups are those of the ring; the last one may have rows beyond it.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from kdbts_ros.density.engines.cpu.fast_math import FAST, exp_of_negative, softplus
from kdbts_ros.density.engines.cpu.simd import (
    add_product,
    load_floats,
    rectify_floats,
    spread,
    store_floats,
)
from kdbts_ros.density.engines.cpu.upright_columns import LANES, UNSEEN
from kdbts_ros.density.network.heads import MASKED_LOGIT
from kdbts_ros.loops import njit

MASKED = np.float32(MASKED_LOGIT)
_LANES, _ONE = np.uint64(LANES), np.uint64(1)
# Sums that run side by side, as a sum waits for itself.
_TOGETHER = np.uint64(4)
# Rows of scratch of a group: largest logit, sum of weights, whether any view sees a cell, density,
# light.
_BEST, _TOTAL, _KNOWN, _SIGMA, _VISIBLE, _ROWS = range(6)


def groups_of(rows: int) -> int:
    """How many groups a column of so many rows has."""
    return (rows + LANES - 1) // LANES


@njit(fastmath=FAST, cache=True)
def scratch_of(views, votes):  # type: ignore[no-untyped-def]
    """What `fuse_group` needs for so many views: weights, fused votes, rows, starts of blocks."""
    kinds, cells = votes.shape[3], votes.shape[4]
    weights, rows = np.zeros(views * cells, np.float32), np.zeros((_ROWS, cells), np.float32)
    return weights, np.zeros(kinds * LANES, np.float32), rows, np.zeros(views, np.uint64)


@njit(parallel=True, nogil=True, cache=True, fastmath=FAST)
def fused_cells(votes, seen_rows, slots, fusion, rows, threads):  # type: ignore[no-untyped-def]
    """Densities 1/m, NaN where no view sees, and visibility, both (levels,rows,columns), no ring.

    votes (S,G,C,2+F,cells) and seen_rows (S,G,C), not 0 where a view sees any cell of a group;
    slots (V,): which of S are asked. fusion = (weights (H*F), bias (H,), weights (H,), bias) of
    the perceptron over the fused vote.
    """
    _, groups, columns, _, cells = votes.shape
    sigma = np.full((cells // LANES, rows, columns), np.nan, np.float32)
    visible = np.zeros(sigma.shape, np.bool_)
    for thread in prange(threads):
        scratch = scratch_of(slots.shape[0], votes)
        for group in range(thread, groups, threads):
            cells_of_row(votes, seen_rows, slots, fusion, group, scratch, sigma, visible)
    return sigma, visible


@njit(nogil=True, cache=True, fastmath=FAST)
def cells_here(votes, seen_rows, slots, fusion, rows):  # type: ignore[no-untyped-def]
    """Densities of `fused_cells` in the thread that asks, whatever others compute."""
    _, groups, columns, _, cells = votes.shape
    sigma = np.full((cells // LANES, rows, columns), np.nan, np.float32)
    visible, scratch = np.zeros(sigma.shape, np.bool_), scratch_of(slots.shape[0], votes)
    for group in range(groups):
        cells_of_row(votes, seen_rows, slots, fusion, group, scratch, sigma, visible)
    return sigma


@njit(fastmath=FAST, cache=True)
def cells_of_row(votes, seen_rows, slots, fusion, group, scratch, sigma, visible):  # type: ignore[no-untyped-def]
    """`fused_cells` of a row of groups."""
    levels, rows, columns = sigma.shape
    first, flat, found = group * LANES, votes.reshape(-1), scratch[2]
    for column in range(columns):
        if fuse_group(votes, flat, seen_rows, slots, fusion, group, column, scratch) == 0:
            continue
        for k in range(levels):
            for r in range(min(LANES, rows - first)):
                value = found[_SIGMA, k * LANES + r]
                sigma[k, first + r, column] = np.nan if value == UNSEEN else value
                visible[k, first + r, column] = found[_VISIBLE, k * LANES + r] > 0


@njit(parallel=True, nogil=True, cache=True, fastmath=FAST)
def fused_sums(votes, seen_rows, slots, fusion, ring, rows, threads):  # type: ignore[no-untyped-def]
    """Per column (rows,columns): sum of seen densities 1/m, levels seen, and levels visible.

    Arguments as of `fused_cells`.
    """
    columns = votes.shape[2]
    total = np.zeros((rows, columns), np.float32)
    seen, visible = np.zeros((rows, columns), np.int32), np.zeros((rows, columns), np.int32)
    for thread in prange(threads):
        scratch = scratch_of(slots.shape[0], votes)
        for group in range(thread, votes.shape[1], threads):
            sums_of_row(votes, seen_rows, slots, fusion, ring, group, scratch, total, seen, visible)
    return total, seen, visible


@njit(fastmath=FAST, cache=True)
def sums_of_row(votes, seen_rows, slots, fusion, ring, group, scratch, total, seen, visible):  # type: ignore[no-untyped-def]
    """`fused_sums` of a row of groups of the ring."""
    (rows, columns), levels = total.shape, votes.shape[4] // LANES
    first, flat, found = group * LANES, votes.reshape(-1), scratch[2]
    sums = np.zeros((3, LANES), np.float32)
    for j in range(columns):
        if fuse_group(votes, flat, seen_rows, slots, fusion, group, j, scratch) == 0:
            continue
        sums[:] = 0
        for k in range(levels):
            for r in range(LANES):
                sigma = found[_SIGMA, k * LANES + r]
                known = np.float32(1) if sigma != UNSEEN else np.float32(0)
                sums[0, r] += sigma if sigma != UNSEEN else np.float32(0)
                sums[1, r] += known
                sums[2, r] += known if found[_VISIBLE, k * LANES + r] > 0 else np.float32(0)
        column = (j - ring[1]) % columns
        for r in range(min(LANES, rows - first)):
            row = (first + r - ring[0]) % rows
            total[row, column] = sums[0, r]
            seen[row, column], visible[row, column] = np.int32(sums[1, r]), np.int32(sums[2, r])


@njit(fastmath=FAST, cache=True)
def fuse_group(votes, flat, seen_rows, slots, fusion, group, column, scratch):  # type: ignore[no-untyped-def]
    """Leave densities and light of a group in scratch; returns how many views see any of it."""
    weights, fused, found, starts = scratch
    _, groups, columns, kinds, cells = votes.shape
    views = np.uint64(0)
    for s in range(slots.shape[0]):
        if seen_rows[slots[s], group, column] != 0:
            at = (slots[s] * groups + group) * columns + column
            starts[views] = np.uint64(at) * np.uint64(kinds * cells)
            views += _ONE
    if views > 0:
        known, sigma, visible = found[_KNOWN], found[_SIGMA], found[_VISIBLE]
        share(flat, starts, views, weights, found[_BEST], found[_TOTAL], known)
        fuse(flat, starts, views, weights, fused, fusion, sigma, visible)
        for k in range(cells):
            sigma[k] = softplus(sigma[k])
        for k in range(cells):
            sigma[k] = sigma[k] if known[k] != 0 else UNSEEN
    return views


@njit(fastmath=FAST, cache=True)
def share(flat, starts, views, weights, best, total, known):  # type: ignore[no-untyped-def]
    """Fill weights (>=V*cells) with each view's weight at all cells of a group.

    known (cells): not 0 where a view sees a cell. One that a view does not see gets no weight
    beside one that sees it. best and total are scratch.
    """
    cells = best.shape[0]
    best[:], total[:], known[:] = MASKED, 0, 0
    for v in range(views):
        mine, k = weights[v * cells : (v + 1) * cells], np.uint64(0)
        while k < np.uint64(cells):
            store_floats(mine, k, load_floats(flat, starts[v] + k))
            k += _LANES
        for i in range(cells):
            best[i] = max(best[i], mine[i])
        for i in range(cells):
            # Also where it is not a number.
            known[i] = known[i] if mine[i] <= MASKED else np.float32(1)
    for v in range(views):
        mine = weights[v * cells : (v + 1) * cells]
        for i in range(cells):
            mine[i] = exp_of_negative(mine[i] - best[i])
        for i in range(cells):
            total[i] += mine[i]
    for i in range(cells):
        total[i] = np.float32(1) / total[i]
    for v in range(views):
        mine = weights[v * cells : (v + 1) * cells]
        for i in range(cells):
            mine[i] *= total[i]


@njit(fastmath=FAST, cache=True)
def fuse(flat, starts, views, weights, fused, fusion, raw, visible):  # type: ignore[no-untyped-def]
    """Fill raw (cells,) with pre-densities, and visible with how many views' light gets there."""
    w_in, b_in, w_out, b_out = fusion
    cells, numbers = np.uint64(raw.shape[0]), np.uint64(w_in.shape[0] // b_in.shape[0])
    first = np.uint64(0)
    while first < cells:
        mix(flat, starts, views, weights, first, cells, numbers, fused)
        answer = spread(b_out)
        h, last = np.uint64(0), np.uint64(b_in.shape[0])
        while h + _TOGETHER <= last:
            p0 = h * numbers
            p1, p2, p3 = p0 + numbers, p0 + numbers + numbers, p0 + numbers + numbers + numbers
            a, b = spread(b_in[h]), spread(b_in[h + _ONE])
            c, d = spread(b_in[h + _ONE + _ONE]), spread(b_in[h + _ONE + _ONE + _ONE])
            for f in range(numbers):
                vote = load_floats(fused, f * _LANES)
                a = add_product(a, spread(w_in[p0 + f]), vote)
                b = add_product(b, spread(w_in[p1 + f]), vote)
                c = add_product(c, spread(w_in[p2 + f]), vote)
                d = add_product(d, spread(w_in[p3 + f]), vote)
            answer = add_product(answer, rectify_floats(a), spread(w_out[h]))
            answer = add_product(answer, rectify_floats(b), spread(w_out[h + _ONE]))
            answer = add_product(answer, rectify_floats(c), spread(w_out[h + _ONE + _ONE]))
            answer = add_product(answer, rectify_floats(d), spread(w_out[h + _ONE + _ONE + _ONE]))
            h += _TOGETHER
        while h < last:
            p0, a = h * numbers, spread(b_in[h])
            for f in range(numbers):
                a = add_product(a, spread(w_in[p0 + f]), load_floats(fused, f * _LANES))
            answer = add_product(answer, rectify_floats(a), spread(w_out[h]))
            h += _ONE
        store_floats(raw, first, answer)
        light, at = spread(np.float32(0)), first + (numbers + _ONE) * cells
        for v in range(views):
            light = add_product(light, spread(np.float32(1)), load_floats(flat, starts[v] + at))
        store_floats(visible, first, light)
        first += _LANES


@njit(inline="always")
def mix(flat, starts, views, weights, first, cells, numbers, fused):  # type: ignore[no-untyped-def]
    """Fill fused (>=F*LANES) with the weighed votes on eight cells from `first` on."""
    f = np.uint64(0)
    while f + _TOGETHER <= numbers:
        at, to = first + (f + _ONE) * cells, f * _LANES
        a, b = spread(np.float32(0)), spread(np.float32(0))
        c, d = spread(np.float32(0)), spread(np.float32(0))
        for v in range(views):
            mine, p = load_floats(weights, v * cells + first), starts[v] + at
            a = add_product(a, mine, load_floats(flat, p))
            b = add_product(b, mine, load_floats(flat, p + cells))
            c = add_product(c, mine, load_floats(flat, p + cells + cells))
            d = add_product(d, mine, load_floats(flat, p + cells + cells + cells))
        store_floats(fused, to, a)
        store_floats(fused, to + _LANES, b)
        store_floats(fused, to + _LANES + _LANES, c)
        store_floats(fused, to + _LANES + _LANES + _LANES, d)
        f += _TOGETHER
    while f < numbers:
        a, at = spread(np.float32(0)), first + (f + _ONE) * cells
        for v in range(views):
            mine = load_floats(weights, v * cells + first)
            a = add_product(a, mine, load_floats(flat, starts[v] + at))
        store_floats(fused, f * _LANES, a)
        f += _ONE
