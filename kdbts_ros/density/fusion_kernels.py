"""Compiled CPU loops of a multi-view head: from the votes of all views to densities.

Votes lie in blocks, one for each view and column of a grid: (2+F,lanes) float32, where lanes are
the levels of the column rounded up to whole vectors. Its rows are the confidence's logit, MASKED
where the view does not see a level, the F numbers of the vote, and 1 where light of the view
reaches. What a masked level holds besides is finite.

Blocks of one view are kept in a ring: that of cell (row,column) lies at ((row+ring[0]) mod R,
(column+ring[1]) mod C), so that a window may move without anything being copied.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from kdbts_ros.density.heads import MASKED_LOGIT
from kdbts_ros.density.numeric import FAST, exp_of_negative, softplus
from kdbts_ros.density.upright_kernels import LANES, UNSEEN
from kdbts_ros.density.vectors import (
    add_product,
    load_floats,
    rectify_floats,
    spread,
    store_floats,
)

MASKED = np.float32(MASKED_LOGIT)
_LANES = np.uint64(LANES)
# Hidden units of the last perceptron whose sums run side by side, as a sum waits for itself.
_TOGETHER = 4


def lanes_of(levels: int) -> int:
    """Levels of a column, rounded up to whole vectors."""
    return (levels + LANES - 1) // LANES * LANES


@njit(inline="always")
def silence(block):  # type: ignore[no-untyped-def]
    """Make a block (2+F,lanes) one of a view that sees no level."""
    block[:] = 0
    block[0, :] = MASKED


@njit(parallel=True, cache=True, fastmath=FAST)
def fused_columns(votes, said, slots, ring, rows, columns, fusion, threads):  # type: ignore[no-untyped-def]
    """Densities 1/m and light (rows,columns,lanes) of rows (first, last) of a grid.

    votes (S,R,C,2+F,lanes) and said (S,R,C), whether a view sees any level of a column; slots (V,):
    which of S are asked. Densities are UNSEEN where no view sees. fusion = (weights (H*F),
    bias (H,), weights (H,), bias) of the perceptron over the fused vote.
    """
    begin, end = rows
    _, height, width, kinds, lanes = votes.shape
    flat, block = votes.reshape(-1), np.uint64(kinds * lanes)
    sigma = np.empty((end - begin, columns, lanes), np.float32)
    lit = np.empty((end - begin, columns, lanes), np.uint8)
    for part in prange(threads):
        starts = np.empty(slots.shape[0], np.uint64)
        shares = np.empty((slots.shape[0] + 3) * LANES, np.float32)
        fused = np.empty(kinds * LANES, np.float32)
        for row in range(begin + part, end, threads):
            i = (row + ring[0]) % height
            for column in range(columns):
                j = (column + ring[1]) % width
                views = 0
                for s in range(slots.shape[0]):
                    if said[slots[s], i, j]:
                        starts[views] = block * np.uint64((slots[s] * height + i) * width + j)
                        views += 1
                out, light = sigma[row - begin, column], lit[row - begin, column]
                if views == 0:
                    out[:], light[:] = UNSEEN, 0
                    continue
                for first in range(0, lanes, LANES):
                    fuse(
                        flat, starts[:views], np.uint64(first), np.uint64(lanes),
                        shares, fused, fusion, out, light,
                    )  # fmt: skip
    return sigma, lit


@njit(fastmath=FAST, cache=True)
def fuse(flat, starts, first, lanes, shares, fused, fusion, sigma, lit):  # type: ignore[no-untyped-def]
    """Densities and light of eight levels from `first` on; starts (V,): where blocks begin."""
    w_in, b_in, w_out, b_out = fusion
    numbers = np.uint64(w_in.shape[0] // b_in.shape[0])
    share(flat, starts, first, shares)
    for f in range(numbers):
        vote, at = spread(np.float32(0)), first + np.uint64(f + 1) * lanes
        for v in range(starts.shape[0]):
            mine = load_floats(shares, np.uint64(v) * _LANES)
            vote = add_product(vote, mine, load_floats(flat, starts[v] + at))
        store_floats(fused, np.uint64(f) * _LANES, vote)
    answer = spread(b_out)
    h, last = 0, b_in.shape[0]
    while h + _TOGETHER <= last:
        p0 = np.uint64(h) * numbers
        p1, p2, p3 = p0 + numbers, p0 + numbers + numbers, p0 + numbers + numbers + numbers
        a, b = spread(b_in[h]), spread(b_in[h + 1])
        c, d = spread(b_in[h + 2]), spread(b_in[h + 3])
        for f in range(numbers):
            vote = load_floats(fused, np.uint64(f) * _LANES)
            a = add_product(a, spread(w_in[p0 + f]), vote)
            b = add_product(b, spread(w_in[p1 + f]), vote)
            c = add_product(c, spread(w_in[p2 + f]), vote)
            d = add_product(d, spread(w_in[p3 + f]), vote)
        answer = add_product(answer, rectify_floats(a), spread(w_out[h]))
        answer = add_product(answer, rectify_floats(b), spread(w_out[h + 1]))
        answer = add_product(answer, rectify_floats(c), spread(w_out[h + 2]))
        answer = add_product(answer, rectify_floats(d), spread(w_out[h + 3]))
        h += _TOGETHER
    while h < last:
        p0, a = np.uint64(h) * numbers, spread(b_in[h])
        for f in range(numbers):
            vote = load_floats(fused, np.uint64(f) * _LANES)
            a = add_product(a, spread(w_in[p0 + f]), vote)
        answer = add_product(answer, rectify_floats(a), spread(w_out[h]))
        h += 1
    store_floats(fused, np.uint64(0), answer)
    known = shares[starts.shape[0] * LANES :]
    for k in range(LANES):
        value = softplus(fused[k])
        sigma[first + k] = value if known[k] != 0 else UNSEEN
    light, at = np.zeros(LANES, np.float32), first + (numbers + np.uint64(1)) * lanes
    for v in range(starts.shape[0]):
        for k in range(_LANES):
            light[k] = max(light[k], flat[starts[v] + at + k])
    for k in range(LANES):
        lit[first + k] = light[k] > 0


@njit(fastmath=FAST, cache=True)
def share(flat, starts, first, shares):  # type: ignore[no-untyped-def]
    """Fill shares with each view's weight at eight levels; behind them whether any sees a level.

    A level that a view does not see gets no weight beside one that sees it.
    """
    views = starts.shape[0]
    known, best = shares[views * LANES :], shares[(views + 1) * LANES :]
    total = shares[(views + 2) * LANES :]
    for k in range(LANES):
        known[k], best[k], total[k] = 0, MASKED, 0
    for v in range(views):
        at = starts[v] + first
        for k in range(_LANES):
            logit = flat[at + k]
            best[k] = max(best[k], logit)
            # Also where it is not a number.
            known[k] = known[k] if logit <= MASKED else np.float32(1)
    for v in range(views):
        mine, at = shares[v * LANES :], starts[v] + first
        for k in range(_LANES):
            mine[k] = exp_of_negative(flat[at + k] - best[k])
        for k in range(LANES):
            total[k] += mine[k]
    for v in range(views):
        mine = shares[v * LANES :]
        for k in range(LANES):
            mine[k] /= total[k]


@njit(parallel=True, cache=True, fastmath=FAST)
def summed_columns(sigma, lit, levels, threads):  # type: ignore[no-untyped-def]
    """Per column (rows,columns): sum of seen densities 1/m, levels seen, and levels lit."""
    rows, columns, _ = sigma.shape
    total = np.zeros((rows, columns), np.float32)
    seen = np.zeros((rows, columns), np.int32)
    light = np.zeros((rows, columns), np.int32)
    for part in prange(threads):
        for row in range(part, rows, threads):
            for column in range(columns):
                for k in range(levels):
                    if sigma[row, column, k] != UNSEEN:
                        total[row, column] += sigma[row, column, k]
                        seen[row, column] += 1
                        light[row, column] += lit[row, column, k]
    return total, seen, light
