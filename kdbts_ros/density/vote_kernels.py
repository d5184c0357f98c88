"""Compiled CPU loops of a multi-view head: what one view says of points and columns.

For blocks of votes and the ring they lie in see `fusion_kernels`.
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
    position,
    stands_upright,
)
from kdbts_ros.density.fixed_votes import upright_votes
from kdbts_ros.density.fusion_kernels import silence
from kdbts_ros.density.kernels import fill_base, is_lit, is_seen, sum_of_six, tap, tap_table
from kdbts_ros.density.numeric import FAST, relu
from kdbts_ros.density.upright_kernels import LANES

# Rows of a grid that are answered together, see `upright_kernels.upright_rows`.
TILE = 6


@njit(fastmath=FAST, cache=True)
def last_layer(hidden, weights, bias, answers, i):  # type: ignore[no-untyped-def]
    """Fill answers[:K, i] with weights (K*C) times hidden (C,) plus bias (K,), four at a time."""
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
def point_votes(folded, size, head, valid, q, votes, said, threads):  # type: ignore[no-untyped-def]
    """Fill votes (B,2+F,LANES) with what one view says of points q (N,3), eight to a block.

    said (B,): whether the view sees any of them.
    """
    height, width = size
    u_table, v_table, z_table, z_low, steps = head.u, head.v, head.z, head.z_low, head.steps
    waves, octaves, slope, shift = head.z_waves, head.octaves, head.slope, head.shift
    right, down, one = np.uint64(head.hidden), np.uint64(head.hidden * width), np.float32(1)
    last = np.int32(2 * steps) - np.int32(1)
    weights, bias = head.out, head.out_bias
    for part in prange(threads):
        base, hidden = np.empty(head.hidden, np.float32), np.empty(head.hidden, np.float32)
        for b in range(part * votes.shape[0] // threads, (part + 1) * votes.shape[0] // threads):
            silence(votes[b])
            said[b] = False
            for i in range(b * LANES, min((b + 1) * LANES, q.shape[0])):
                if not is_seen(q[i, 0], q[i, 1], q[i, 2], valid):
                    continue
                said[b] = True
                inverse_z = one / q[i, 2]
                u, v, mapped = q[i, 0] * inverse_z, q[i, 1] * inverse_z, slope * inverse_z + shift
                fill_base(u_table, z_table, z_low, waves, octaves, steps, u, mapped, base)
                left, fx = tap(u, width)
                upper, fy = tap(v, height)
                j, g = tap_table((v + one) * steps, last)
                corner = np.uint64(upper) * down + np.uint64(left) * right
                fill_hidden(folded, corner, right, down, fx, fy, v_table, j, g, base, hidden)
                last_layer(hidden, weights, bias, votes[b], i - b * LANES)


@njit(parallel=True, cache=True, fastmath=FAST)
def column_votes(  # type: ignore[no-untyped-def]
    folded, size, head, fixed, valid, axes, reach, levels, rows, columns, asked, ring,
    votes, said, threads,
):  # fmt: skip
    """Fill votes (R,C,2+F,lanes) with what one view says of rows (first, last) of a grid.

    asked, said (R,C), in the ring's order: which columns to answer, and, of these, of which the
    view sees any level; of the others nothing is written. reach (h,w): depth of q over the image up
    to which light gets, empty if nobody asks. For `axes` see `column_geometry`.
    """
    whole_numbers, begin, end = fixed.map.size > 0 and stands_upright(axes), rows[0], rows[1]
    height, width = asked.shape
    for t in prange(threads):
        left = np.zeros((TILE, columns), np.bool_)
        # Tiles are dealt out in turn: what is in view lies together.
        for first in range(begin + t * TILE, end, threads * TILE):
            rest = left[: min(TILE, end - first)]
            if whole_numbers:
                upright_votes(
                    size, head, fixed, valid, axes, reach, levels, first, asked, ring,
                    votes, said, rest,
                )  # fmt: skip
            else:
                for row in range(rest.shape[0]):
                    for column in range(columns):
                        i, j = (first + row + ring[0]) % height, (column + ring[1]) % width
                        rest[row, column] = asked[i, j]
            for row in range(rest.shape[0]):
                i = (first + row + ring[0]) % height
                row_votes(
                    folded, size, head, valid, axes, reach, levels, first + row, rest[row],
                    ring[1], votes[i], said[i],
                )  # fmt: skip


@njit(fastmath=FAST, cache=True)
def row_votes(  # type: ignore[no-untyped-def]
    folded, size, head, valid, axes, reach, levels, row, asked, shift, votes, said
):
    """One row of `column_votes` in floats; asked (columns,), votes (C,2+F,lanes), said (C,)."""
    u_table, v_table, z_table, z_low, steps = head.u, head.v, head.z, head.z_low, head.steps
    waves, octaves, answers = head.z_waves, head.octaves, votes.shape[1] - 1
    right, down = np.uint64(head.hidden), np.uint64(head.hidden * size[1])
    weights, bias, upright = head.out, head.out_bias, stands_upright(axes)
    base, hidden = np.empty(head.hidden, np.float32), np.empty(head.hidden, np.float32)
    whole, part = np.zeros((INTEGERS, BLOCK), np.int32), np.zeros((FLOATS, BLOCK), np.float32)
    for column in range(asked.shape[0]):
        if not asked[column]:
            continue
        j, based = (column + shift) % votes.shape[0], False
        block, said[j] = votes[j], False
        silence(block)
        for begin in range(0, levels, BLOCK):
            count = min(BLOCK, levels - begin)
            place(
                whole, part, axes, valid, size, head.slope, head.shift, steps,
                np.float32(column), np.float32(row), np.float32(begin), count,
            )  # fmt: skip
            for k in range(count):
                if whole[SEEN, k] == 0:
                    continue
                said[j] = True
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
                last_layer(hidden, weights, bias, block, begin + k)
                if reach.size > 0:
                    qx, qy, qz = position(
                        axes, np.float32(column), np.float32(row), np.float32(begin + k)
                    )
                    block[answers, begin + k] = is_lit(qx, qy, qz, reach)
