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
from kdbts_ros.density.heads import MASKED_LOGIT
from kdbts_ros.density.kernels import fill_base, is_seen, sum_of_six, tap, tap_table
from kdbts_ros.density.numeric import FAST, exp_of_negative, relu, softplus

_MASKED = np.float32(MASKED_LOGIT)


@njit(fastmath=FAST, cache=True)
def last_layer(hidden, weights, bias, answers, i):  # type: ignore[no-untyped-def]
    """Fill answers[i] (K,) with weights (K*C) times hidden (C,) plus bias, four rows at a time."""
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
        answers[i, k], answers[i, k + 1] = a + bias[k], b + bias[k + 1]
        answers[i, k + 2], answers[i, k + 3] = c + bias[k + 2], d + bias[k + 3]
        k += 4
    while k < rows:
        p0, a = np.uint64(k) * channels, np.float32(0)
        for x in range(channels):
            a += hidden[x] * weights[p0 + x]
        answers[i, k] = a + bias[k]
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
    """Fill votes (N,1+F) with one view's confidence logit and vote on points q (N,3).

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
                votes[i, 0] = _MASKED
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
def column_votes(folded, size, head, valid, axes, levels, rows, columns, votes, threads):  # type: ignore[no-untyped-def]
    """`view_votes` of rows (first, last) of a grid; votes (rows,columns,levels,1+F).

    For `axes` see `column_geometry`. Where the view does not see a cell only the logit is written.
    """
    u_table, v_table, z_table, z_low, steps = head.u, head.v, head.z, head.z_low, head.steps
    waves, octaves = head.z_waves, head.octaves
    right, down = np.uint64(head.hidden), np.uint64(head.hidden * size[1])
    weights, bias = head.out, head.out_bias
    upright, first = stands_upright(axes), rows[0]
    for t in prange(threads):
        base, hidden = np.empty(head.hidden, np.float32), np.empty(head.hidden, np.float32)
        whole, part = np.zeros((INTEGERS, BLOCK), np.int32), np.zeros((FLOATS, BLOCK), np.float32)
        # Rows are dealt out in turn: what is in view lies together.
        for row in range(first + t, rows[1], threads):
            for column in range(columns):
                answers, based = votes[row - first, column], False
                for begin in range(0, levels, BLOCK):
                    count = min(BLOCK, levels - begin)
                    place(
                        whole, part, axes, valid, size, head.slope, head.shift, steps,
                        np.float32(column), np.float32(row), np.float32(begin), count,
                    )  # fmt: skip
                    for k in range(count):
                        if whole[SEEN, k] == 0:
                            answers[begin + k, 0] = _MASKED
                            continue
                        if not (upright and based):
                            u, mapped = part[U, k], part[MAPPED, k]
                            fill_base(
                                u_table, z_table, z_low, waves, octaves, steps, u, mapped, base
                            )
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
    """Densities (N,) 1/m from the votes (V,N,1+F) of all views; NaN where no view sees.

    fusion = (weights (H*F), bias (H,), weights (H,), bias) of the perceptron over the fused vote.
    """
    views, points, width = votes.shape
    w_in, b_in, w_out, b_out = fusion
    features = np.uint64(width - 1)
    out = np.empty(points, np.float32)
    for part in prange(threads):
        fused = np.empty(width - 1, np.float32)
        for i in range(part * points // threads, (part + 1) * points // threads):
            best = _MASKED
            for k in range(views):
                best = max(best, votes[k, i, 0])
            if best <= _MASKED:
                out[i] = np.nan
                continue
            fused[:] = 0
            total = np.float32(0)
            for k in range(views):
                if votes[k, i, 0] <= _MASKED:
                    continue
                weight = exp_of_negative(votes[k, i, 0] - best)
                total += weight
                for f in range(width - 1):
                    fused[f] += weight * votes[k, i, 1 + f]
            pre, scale = b_out, np.float32(1) / total
            for h in range(b_in.shape[0]):
                inner, p = np.float32(0), np.uint64(h) * features
                for f in range(features):
                    inner += fused[f] * w_in[p + f]
                pre += relu(inner * scale + b_in[h]) * w_out[h]
            out[i] = softplus(pre)
    return out
