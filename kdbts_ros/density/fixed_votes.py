"""Compiled CPU loops of a multi-view head over a fixed-point map: one view's votes on columns.

For `fixed` see `fixed_point`, for columns `upright_kernels`, for blocks of votes `fusion_kernels`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kdbts_ros.density.fixed_kernels import (
    code_heights,
    fill_fixed_base,
    fill_fixed_hidden,
    pixel_code,
    row_code,
)
from kdbts_ros.density.fusion_kernels import silence
from kdbts_ros.density.numeric import FAST
from kdbts_ros.density.upright_kernels import light, stand
from kdbts_ros.density.vectors import LANES as CHANNELS
from kdbts_ros.density.vectors import (
    add_wide,
    dot_pairs,
    load,
    load_pair,
    nothing,
    store_wide,
    total,
)

_CHANNELS, _PAIR, _EIGHT = np.uint64(CHANNELS), np.uint64(2), np.uint64(8)
# Items whose last layers are taken together: weights are read once for all of them.
TOGETHER = 4


@njit(fastmath=FAST, cache=True)
def sixteen_answers(hidden, first, out, at, sums, k):  # type: ignore[no-untyped-def]
    """Fill sums (TOGETHER,K) int32 from answer k on for the items at hidden[first:] (n,C) int16.

    out: see `FixedMap`, the weights of these answers from element `at` on. Two channels after the
    other, so that no sum goes across a vector's lanes.
    """
    h0, h1, h2, h3 = hidden[first], hidden[first + 1], hidden[first + 2], hidden[first + 3]
    a0, a1, a2, a3 = nothing(), nothing(), nothing(), nothing()
    b0, b1, b2, b3 = nothing(), nothing(), nothing(), nothing()
    c, width = np.uint64(0), np.uint64(hidden.shape[1])
    while c < width:
        low, high = load(out, at), load(out, at + _CHANNELS)
        p0, p1, p2, p3 = load_pair(h0, c), load_pair(h1, c), load_pair(h2, c), load_pair(h3, c)
        a0, b0 = add_wide(a0, dot_pairs(p0, low)), add_wide(b0, dot_pairs(p0, high))
        a1, b1 = add_wide(a1, dot_pairs(p1, low)), add_wide(b1, dot_pairs(p1, high))
        a2, b2 = add_wide(a2, dot_pairs(p2, low)), add_wide(b2, dot_pairs(p2, high))
        a3, b3 = add_wide(a3, dot_pairs(p3, low)), add_wide(b3, dot_pairs(p3, high))
        c += _PAIR
        at += _CHANNELS + _CHANNELS
    p, q = np.uint64(k), np.uint64(k) + _EIGHT
    store_wide(sums[0], p, a0)
    store_wide(sums[0], q, b0)
    store_wide(sums[1], p, a1)
    store_wide(sums[1], q, b1)
    store_wide(sums[2], p, a2)
    store_wide(sums[2], q, b2)
    store_wide(sums[3], p, a3)
    store_wide(sums[3], q, b3)


@njit(fastmath=FAST, cache=True)
def one_answer(row, out, at):  # type: ignore[no-untyped-def]
    """Counts of an answer of the hidden layer row (C,) int16; its weights from `at` on."""
    found, c, width = nothing(), np.uint64(0), np.uint64(row.shape[0])
    while c < width:
        found = add_wide(found, dot_pairs(load(row, c), load(out, at + c)))
        c += _CHANNELS
    return total(found)


@njit(fastmath=FAST, cache=True)
def fixed_last_layers(hidden, found, out, back, bias, sums, order, answers):  # type: ignore[no-untyped-def]
    """Fill answers (>=K,n) at the items of order; hidden (>=found+TOGETHER-1,C) int16 by rows."""
    width, kinds = np.uint64(hidden.shape[1]), back.shape[0]
    single = kinds % CHANNELS
    for first in range(0, found, TOGETHER):
        for k in range(single):
            for i in range(TOGETHER):
                sums[i, k] = one_answer(hidden[first + i], out, np.uint64(k) * width)
        for k in range(single, kinds, CHANNELS):
            sixteen_answers(hidden, first, out, np.uint64(k) * width, sums, k)
        for i in range(min(TOGETHER, found - first)):
            item, counts = order[first + i], sums[i]
            for k in range(kinds):
                answers[k, item] = np.float32(counts[k]) * back[k] + bias[k]


@njit(fastmath=FAST, cache=True)
def upright_votes(  # type: ignore[no-untyped-def]
    size, head, fixed, valid, axes, reach, levels, first, asked, ring, votes, said, left
):
    """`vote_kernels.column_votes` of rows `first` on, of columns that stand upright.

    Sets left (rows,columns) where a column is nearer than the tables begin: it is left out. For the
    order of columns see `upright_kernels.upright_rows`.
    """
    height, width, kinds, whole = votes.shape
    answers, one = kinds - 1, np.float32(1)
    heights, shown = np.zeros(whole, np.float32), np.zeros(whole, np.int32)
    order = np.zeros(whole + 1, np.int32)
    ys, vs = np.zeros(whole, np.int32), np.zeros(whole, np.int32)
    base = np.zeros(head.hidden, np.int16)
    hidden = np.zeros((whole + TOGETHER, head.hidden), np.int16)
    sums = np.zeros((TOGETHER, answers), np.int32)
    z_low, slope, shift, bias = head.z_low, head.slope, head.shift, head.out_bias
    counts, u_table, v_table, z_table = fixed.map, fixed.u, fixed.v, fixed.z
    ratio, out, back, steps = fixed.ratio, fixed.out, fixed.back, fixed.steps
    u_rows, z_rows = np.int32(2 * steps + 1), np.int32(z_table.shape[0] // head.hidden)
    down = np.uint64(head.hidden * size[1])
    for column in range(left.shape[1]):
        j = (column + ring[1]) % width
        for row in range(left.shape[0]):
            i, left[row, column] = (first + row + ring[0]) % height, False
            if not asked[i, j]:
                continue
            found, u, qz = stand(
                heights, shown, order, axes, valid,
                np.float32(column), np.float32(first + row), levels,
            )  # fmt: skip
            said[i, j] = found > 0
            if found == 0:
                continue
            depth = (slope / qz + shift - z_low) * steps
            if depth > np.float32(z_rows - 1):
                left[row, column] = True
                continue
            block = votes[i, j]
            silence(block)
            if reach.size > 0:
                light(block[answers], heights, order, reach, u, qz, found)
            x, code = pixel_code(u, size[1]), row_code((u + one) * steps, u_rows)
            fill_fixed_base(u_table, z_table, ratio, code, row_code(depth, z_rows), base)
            code_heights(ys, vs, heights, size[0], steps)
            fill_fixed_hidden(counts, v_table, ratio, base, down, x, ys, vs, order, found, hidden)
            fixed_last_layers(hidden, found, out, back, bias, sums, order, block)
