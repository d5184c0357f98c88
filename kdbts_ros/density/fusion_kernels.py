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
_LANES, _ONE = np.uint64(LANES), np.uint64(1)
# Hidden units of the last perceptron whose sums run side by side, as a sum waits for itself.
_TOGETHER = np.uint64(4)
# Rows of scratch behind the views' weights: seen by any, largest logit, sum of weights.
_ROWS = np.uint64(3)


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
    flat, block, whole = votes.reshape(-1), np.uint64(kinds * lanes), np.uint64(lanes)
    sigma = np.empty((end - begin, columns, lanes), np.float32)
    lit = np.empty((end - begin, columns, lanes), np.uint8)
    densities, light = sigma.reshape(-1), lit.reshape(-1)
    for part in prange(threads):
        starts = np.empty(slots.shape[0], np.uint64)
        scratch = np.empty((slots.shape[0] + kinds + 3) * LANES, np.float32)
        for row in range(begin + part, end, threads):
            i = (row + ring[0]) % height
            for column in range(columns):
                j, views = (column + ring[1]) % width, np.uint64(0)
                for s in range(slots.shape[0]):
                    if said[slots[s], i, j]:
                        starts[views] = block * np.uint64((slots[s] * height + i) * width + j)
                        views += np.uint64(1)
                out = np.uint64((row - begin) * columns + column) * whole
                if views == 0:
                    for k in range(whole):
                        densities[out + k], light[out + k] = UNSEEN, 0
                    continue
                first = np.uint64(0)
                while first < whole:
                    share(flat, starts, views, first, scratch)
                    fuse(
                        flat, starts, views, first, whole, scratch, fusion,
                        densities, light, out + first,
                    )  # fmt: skip
                    first += _LANES
    return sigma, lit


@njit(fastmath=FAST, cache=True)
def fuse(flat, starts, views, first, lanes, scratch, fusion, sigma, lit, out):  # type: ignore[no-untyped-def]
    """Densities and light of eight levels from `first` on, written from element `out` on.

    starts (>=V,): where blocks begin. scratch: as `share` left it.
    """
    w_in, b_in, w_out, b_out = fusion
    numbers = np.uint64(w_in.shape[0] // b_in.shape[0])
    known, fused = views * _LANES, (views + _ROWS) * _LANES
    for f in range(numbers):
        vote, at = spread(np.float32(0)), first + (f + np.uint64(1)) * lanes
        for v in range(views):
            mine = load_floats(scratch, v * _LANES)
            vote = add_product(vote, mine, load_floats(flat, starts[v] + at))
        store_floats(scratch, fused + f * _LANES, vote)
    answer = spread(b_out)
    h, last = np.uint64(0), np.uint64(b_in.shape[0])
    while h + _TOGETHER <= last:
        p0 = h * numbers
        p1, p2, p3 = p0 + numbers, p0 + numbers + numbers, p0 + numbers + numbers + numbers
        a, b = spread(b_in[h]), spread(b_in[h + _ONE])
        c, d = spread(b_in[h + _ONE + _ONE]), spread(b_in[h + _ONE + _ONE + _ONE])
        for f in range(numbers):
            vote = load_floats(scratch, fused + f * _LANES)
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
            a = add_product(a, spread(w_in[p0 + f]), load_floats(scratch, fused + f * _LANES))
        answer = add_product(answer, rectify_floats(a), spread(w_out[h]))
        h += _ONE
    store_floats(scratch, fused, answer)
    for k in range(_LANES):
        value = softplus(scratch[fused + k])
        sigma[out + k] = value if scratch[known + k] != 0 else UNSEEN
    light, at = spread(np.float32(0)), first + (numbers + _ONE) * lanes
    for v in range(views):
        light = add_product(light, spread(np.float32(1)), load_floats(flat, starts[v] + at))
    store_floats(scratch, fused, light)
    for k in range(_LANES):
        lit[out + k] = scratch[fused + k] > 0


@njit(fastmath=FAST, cache=True)
def share(flat, starts, views, first, scratch):  # type: ignore[no-untyped-def]
    """Fill scratch with each view's weight at eight levels, and behind them _ROWS rows.

    The first of these says whether any view sees a level. A level that a view does not see gets no
    weight beside one that sees it.
    """
    known = views * _LANES
    best, total = known + _LANES, known + _LANES + _LANES
    for k in range(_LANES):
        scratch[known + k], scratch[best + k], scratch[total + k] = 0, MASKED, 0
    for v in range(views):
        at = starts[v] + first
        for k in range(_LANES):
            logit = flat[at + k]
            scratch[best + k] = max(scratch[best + k], logit)
            # Also where it is not a number.
            scratch[known + k] = scratch[known + k] if logit <= MASKED else np.float32(1)
    for v in range(views):
        at, mine = starts[v] + first, v * _LANES
        for k in range(_LANES):
            scratch[mine + k] = exp_of_negative(flat[at + k] - scratch[best + k])
        for k in range(_LANES):
            scratch[total + k] += scratch[mine + k]
    for v in range(views):
        mine = v * _LANES
        for k in range(_LANES):
            scratch[mine + k] /= scratch[total + k]


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
