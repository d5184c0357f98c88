"""Compiled CPU loops of a multi-view head: what each view says of a point, and what follows.

Two steps, because views do not lie in one array: each view's votes from its own folded map, then
the fusion of all views' votes into densities.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from kdbts_ros.density.column_geometry import (
    ACROSS,
    BETWEEN,
    BLOCK,
    DOWN,
    ENTRY,
    FLOATS,
    INTEGERS,
    LEFT,
    MAPPED,
    SEEN,
    UPPER,
    U,
    place,
    stands_upright,
)
from kdbts_ros.density.fixed_votes import upright_votes
from kdbts_ros.density.heads import MASKED_LOGIT
from kdbts_ros.density.kernels import fill_base, is_seen, sum_of_six, tap, tap_table
from kdbts_ros.density.numeric import FAST, exp_of_negative, relu, softplus

_MASKED = np.float32(MASKED_LOGIT)
# Rows of a grid that are answered together, see `upright_kernels.upright_rows`.
TILE = 6
# Points whose votes are fused together.
TOGETHER = 64


@njit(fastmath=FAST, cache=True)
def last_layer(hidden, weights, bias, answers, i):  # type: ignore[no-untyped-def]
    """Fill answers[:, i] (K,) with weights (K*C) times hidden (C,) plus bias, four at a time."""
    rows, channels = bias.shape[0], np.uint64(hidden.shape[0])
    k = 0
    while k + 4 <= rows:
        p0 = np.uint64(k) * channels
        p1, p2, p3 = p0 + channels, p0 + channels + channels, p0 + channels + channels + channels
        a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for x in range(channels):
            h = hidden[x]
            a += h * weights[p0 + x]
            b += h * weights[p1 + x]
            c += h * weights[p2 + x]
            d += h * weights[p3 + x]
        answers[k, i], answers[k + 1, i] = a + bias[k], b + bias[k + 1]
        answers[k + 2, i], answers[k + 3, i] = c + bias[k + 2], d + bias[k + 3]
        k += 4
    while k < rows:
        p0, a = np.uint64(k) * channels, np.float32(0)
        for x in range(channels):
            a += hidden[x] * weights[p0 + x]
        answers[k, i] = a + bias[k]
        k += 1


@njit(inline="always")
def fill_hidden(folded, corner, right, down, fx, fy, v_table, j, g, base, hidden):  # type: ignore[no-untyped-def]
    """Fill hidden (C,) with the rectified hidden layer; arguments as of `kernels.dot_relu`."""
    width, one = np.uint64(base.shape[0]), np.float32(1)
    w = (one - fx) * (one - fy), fx * (one - fy), (one - fx) * fy, fx * fy
    beside, below, across = corner + right, corner + down, corner + right + down
    p = np.uint64(j) * width
    for c in range(width):
        h = sum_of_six(
            base[c], w, folded[corner + c], folded[beside + c], folded[below + c],
            folded[across + c], g, v_table[p + c], v_table[p + width + c],
        )  # fmt: skip
        hidden[c] = relu(h)


@njit(parallel=True, cache=True, fastmath=FAST)
def view_votes(folded, size, head, valid, q, votes, threads):  # type: ignore[no-untyped-def]
    """Fill votes (1+F,N) with one view's confidence logit and vote on points q (N,3).

    Where the view does not see a point only the logit is written, which leaves it no weight.
    """
    height, width = size
    u_table, v_table, z_table, z_low, steps = head.u, head.v, head.z, head.z_low, head.steps
    waves, octaves, slope, shift = head.z_waves, head.octaves, head.slope, head.shift
    right, down, one = np.uint64(head.hidden), np.uint64(head.hidden * width), np.float32(1)
    last = np.int32(2 * steps) - np.int32(1)
    weights, bias = head.out, head.out_bias
    for part in prange(threads):
        base, hidden = np.empty(head.hidden, np.float32), np.empty(head.hidden, np.float32)
        for i in range(part * q.shape[0] // threads, (part + 1) * q.shape[0] // threads):
            if not is_seen(q[i, 0], q[i, 1], q[i, 2], valid):
                votes[0, i] = _MASKED
                continue
            inverse_z = one / q[i, 2]
            u, v, mapped = q[i, 0] * inverse_z, q[i, 1] * inverse_z, slope * inverse_z + shift
            fill_base(u_table, z_table, z_low, waves, octaves, steps, u, mapped, base)
            left, fx = tap(u, width)
            upper, fy = tap(v, height)
            j, g = tap_table((v + one) * steps, last)
            corner = np.uint64(upper) * down + np.uint64(left) * right
            fill_hidden(folded, corner, right, down, fx, fy, v_table, j, g, base, hidden)
            last_layer(hidden, weights, bias, votes, i)


@njit(parallel=True, cache=True, fastmath=FAST)
def column_votes(folded, size, head, fixed, valid, axes, levels, rows, columns, votes, threads):  # type: ignore[no-untyped-def]
    """`view_votes` of rows (first, last) of a grid; votes (1+F,rows,columns,levels).

    For `axes` see `column_geometry`. Where the view does not see a cell only the logit is written.
    """
    whole_numbers, begin, end = fixed.map.size > 0 and stands_upright(axes), rows[0], rows[1]
    for t in prange(threads):
        asked = np.ones((TILE, columns), np.bool_)
        # Tiles are dealt out in turn: what is in view lies together.
        for first in range(begin + t * TILE, end, threads * TILE):
            count = min(TILE, end - first)
            answers = votes[:, first - begin : first - begin + count]
            if whole_numbers:
                upright_votes(size, head, fixed, valid, axes, first, _MASKED, answers, asked)
            for row in range(count):
                row_votes(folded, size, head, valid, axes, first + row, asked[row], answers[:, row])


@njit(fastmath=FAST, cache=True)
def row_votes(folded, size, head, valid, axes, row, asked, votes):  # type: ignore[no-untyped-def]
    """One row of `column_votes`, columns that are asked (columns,) alone."""
    _, columns, levels = votes.shape
    u_table, v_table, z_table, z_low, steps = head.u, head.v, head.z, head.z_low, head.steps
    waves, octaves = head.z_waves, head.octaves
    right, down = np.uint64(head.hidden), np.uint64(head.hidden * size[1])
    weights, bias, upright = head.out, head.out_bias, stands_upright(axes)
    base, hidden = np.empty(head.hidden, np.float32), np.empty(head.hidden, np.float32)
    whole, part = np.zeros((INTEGERS, BLOCK), np.int32), np.zeros((FLOATS, BLOCK), np.float32)
    for column in range(columns):
        if not asked[column]:
            continue
        answers, based = votes[:, column], False
        for begin in range(0, levels, BLOCK):
            count = min(BLOCK, levels - begin)
            place(
                whole, part, axes, valid, size, head.slope, head.shift, steps,
                np.float32(column), np.float32(row), np.float32(begin), count,
            )  # fmt: skip
            for k in range(count):
                if whole[SEEN, k] == 0:
                    answers[0, begin + k] = _MASKED
                    continue
                if not (upright and based):
                    u, mapped = part[U, k], part[MAPPED, k]
                    fill_base(u_table, z_table, z_low, waves, octaves, steps, u, mapped, base)
                    based = True
                left, upper = np.uint64(whole[LEFT, k]), np.uint64(whole[UPPER, k])
                fill_hidden(
                    folded, upper * down + left * right, right, down,
                    part[ACROSS, k], part[DOWN, k], v_table,
                    whole[ENTRY, k], part[BETWEEN, k], base, hidden,
                )  # fmt: skip
                last_layer(hidden, weights, bias, answers, begin + k)


@njit(parallel=True, cache=True, fastmath=FAST)
def fused_densities(votes, fusion, threads):  # type: ignore[no-untyped-def]
    """Densities (N,) 1/m from the votes (V,1+F,N) of all views; NaN where no view sees.

    fusion = (weights (H*F), bias (H,), weights (H,), bias) of the perceptron over the fused vote.
    """
    points, (w_in, b_in, w_out, b_out) = votes.shape[2], fusion
    out = np.empty(points, np.float32)
    for part in prange(threads):
        begin, end = part * points // threads, (part + 1) * points // threads
        shares = np.empty((votes.shape[0] + 1, TOGETHER), np.float32)
        fused = np.empty((votes.shape[1] - 1, TOGETHER), np.float32)
        inner = np.empty(TOGETHER, np.float32)
        for first in range(begin, end, TOGETHER):
            last = min(first + TOGETHER, end)
            share_votes(votes, first, last, shares)
            fuse_votes(votes, first, last, shares, fused)
            answers = out[first:last]
            answers[:] = b_out
            for h in range(b_in.shape[0]):
                inner[:] = b_in[h]
                add_products(inner, fused, w_in[h * fused.shape[0] : (h + 1) * fused.shape[0]])
                for i in range(last - first):
                    answers[i] += relu(inner[i]) * w_out[h]
            for i in range(last - first):
                answers[i] = softplus(answers[i])
            for i in range(last - first):
                if shares[votes.shape[0], i] <= _MASKED:
                    answers[i] = np.nan
    return out


@njit(fastmath=FAST, cache=True)
def add_products(sums, rows, factors):  # type: ignore[no-untyped-def]
    """sums (N,) += factors (F,) times rows (F,N), four rows at a time."""
    f = 0
    while f + 4 <= factors.shape[0]:
        a, b, c, d = rows[f], rows[f + 1], rows[f + 2], rows[f + 3]
        p, q, r, s = factors[f], factors[f + 1], factors[f + 2], factors[f + 3]
        for i in range(sums.shape[0]):
            sums[i] += (p * a[i] + q * b[i]) + (r * c[i] + s * d[i])
        f += 4
    while f < factors.shape[0]:
        for i in range(sums.shape[0]):
            sums[i] += factors[f] * rows[f, i]
        f += 1


@njit(fastmath=FAST, cache=True)
def share_votes(votes, first, last, shares):  # type: ignore[no-untyped-def]
    """Fill shares (V+1,TOGETHER) with each view's weight at points first to last.

    The last row: the largest logit.
    """
    views, count = votes.shape[0], last - first
    best, total = shares[views], np.zeros(TOGETHER, np.float32)
    best[:] = _MASKED
    for k in range(views):
        logits = votes[k, 0, first:last]
        for i in range(count):
            best[i] = max(best[i], logits[i])
    for k in range(views):
        logits, weights = votes[k, 0, first:last], shares[k]
        for i in range(count):
            # Where no view sees, all weigh something, and nothing is read of it.
            weights[i] = exp_of_negative(logits[i] - best[i])
            total[i] += weights[i]
    for k in range(views):
        weights = shares[k]
        for i in range(count):
            weights[i] /= total[i]


@njit(fastmath=FAST, cache=True)
def fuse_votes(votes, first, last, shares, fused):  # type: ignore[no-untyped-def]
    """Fill fused (F,TOGETHER) with the weighted mean of the votes at points first to last."""
    fused[:] = 0
    for k in range(votes.shape[0]):
        logits, weights = votes[k, 0, first:last], shares[k]
        for f in range(fused.shape[0]):
            values, sums = votes[k, 1 + f, first:last], fused[f]
            for i in range(last - first):
                # What a view that does not see would have said was never written.
                value = values[i]
                sums[i] += weights[i] * (value if logits[i] > _MASKED else np.float32(0))
