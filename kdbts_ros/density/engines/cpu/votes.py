"""Compiled CPU loops of a multi-view head: what one view says of points and columns.

For groups of cells, blocks of votes and the ring they lie in see `fusion_kernels`.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from kdbts_ros.density.engines.cpu.column_geometry import (
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
from kdbts_ros.density.engines.cpu.fast_math import FAST, relu
from kdbts_ros.density.engines.cpu.fusion import MASKED
from kdbts_ros.density.engines.cpu.points import (
    fill_base,
    is_lit,
    is_seen,
    sum_of_six,
    tap,
    tap_table,
)
from kdbts_ros.density.engines.cpu.simd import load_floats, store_floats
from kdbts_ros.density.engines.cpu.upright_columns import LANES
from kdbts_ros.density.fixed_votes import scratch_of, upright_group
from kdbts_ros.density.vote_vectors import pick
from kdbts_ros.loops import njit


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
    """Fill votes (B,2+F,LANES) float32 with what one view says of points q (N,3), eight to a block.

    said (B,): not 0 where the view sees any of them.
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
            votes[b], said[b] = 0, 0
            votes[b, 0, :] = MASKED
            for i in range(b * LANES, min((b + 1) * LANES, q.shape[0])):
                if not is_seen(q[i, 0], q[i, 1], q[i, 2], valid):
                    continue
                said[b] = 1
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
    folded, size, head, fixed, valid, axes, reach, asked, ring, votes, said, threads
):
    """Fill votes (G,C,2+F,cells) with what one view says of the columns of a grid that are asked.

    asked (R,C), in the ring's order; of other columns nothing is written. said (G,C): a bit for
    every row of a group of which the view sees any level. reach (h,w): depth of q over the image up
    to which light gets, empty if nobody asks. For `axes` see `column_geometry`.
    """
    for part in prange(threads):
        # Groups are dealt out in turn: what is in view lies together.
        for group in range(part, votes.shape[0], threads):
            votes_of_row(
                folded, size, head, fixed, valid, axes, reach, group, asked, ring,
                votes[group], said[group],
            )  # fmt: skip


@njit(fastmath=FAST, cache=True)
def votes_of_row(  # type: ignore[no-untyped-def]
    folded, size, head, fixed, valid, axes, reach, group, asked, ring, votes, said
):
    """`column_votes` of a row of groups."""
    columns, kinds, cells = votes.shape
    upright, rows = stands_upright(axes), np.zeros(LANES, np.int64)
    block, shown = np.zeros((kinds, cells), np.float32), np.zeros(cells, np.int32)
    lanes, flat = np.zeros(LANES, np.float32), votes.reshape(-1)
    scratch = scratch_of(head.hidden, kinds - 1, cells // LANES)
    for j in range(columns):
        if choose_rows(asked, group, j, ring, rows, lanes) == 0:
            continue
        column, odd = (j - ring[1]) % columns, False
        shown[:], block[-1, :] = 0, 0
        if upright and fixed.map.size > 0:
            upright_group(
                size, head, fixed, valid, axes, reach, column, rows, scratch, block, shown
            )
        for r in range(LANES):
            if rows[r] >= 0:
                odd = True
                column_in_floats(
                    folded, size, head, valid, axes, reach, column, rows[r], upright, r, block,
                    shown,
                )  # fmt: skip
        at = np.uint64(j) * np.uint64(kinds * cells)
        said[j] = keep(block, shown, lanes, flat, at, said[j])
        if odd:
            # They may have left numbers that are none.
            block[:] = 0


@njit(fastmath=FAST, cache=True)
def choose_rows(asked, group, j, ring, rows, lanes):  # type: ignore[no-untyped-def]
    """How many rows of a group are asked in column j: rows (LANES,) of the grid, -1: not asked.

    lanes (LANES,): not 0 where they are.
    """
    height, many = asked.shape[0], 0
    for r in range(LANES):
        i = group * LANES + r
        wanted = i < height and asked[min(i, height - 1), j]
        rows[r], lanes[r] = (i - ring[0]) % height if wanted else -1, wanted
        many += wanted
    return many


@njit(fastmath=FAST, cache=True)
def keep(block, shown, lanes, flat, at, said):  # type: ignore[no-untyped-def]
    """Write a block (2+F,cells) into flat from `at` on, the rows in lanes (LANES,) alone.

    Returns said, the bits of rows that the view sees, as it is then; nothing is written for none.
    """
    step, cells, source = np.uint64(LANES), shown.shape[0], block.reshape(-1)
    whole = np.uint8(0)
    for r in range(LANES):
        bit = np.uint8(1 << r)
        if lanes[r] != 0 or not said & bit:
            # Of a row that the view does not see, votes of long ago may be left.
            lanes[r], whole, said = 1, whole | bit, said & ~bit
            for k in range(r, cells, LANES):
                said |= np.uint8(shown[k] << r)
    if said == 0:
        return said
    for k in range(cells):
        block[0, k] = block[0, k] if shown[k] != 0 else MASKED
    mask, i = load_floats(lanes, np.uint64(0)), np.uint64(0)
    while i < np.uint64(source.shape[0]):
        values = load_floats(source, i)
        if whole != 255:
            values = pick(mask, values, load_floats(flat, at + i))
        store_floats(flat, at + i, values)
        i += step
    return said


@njit(fastmath=FAST, cache=True)
def column_in_floats(  # type: ignore[no-untyped-def]
    folded, size, head, valid, axes, reach, column, row, upright, lane, block, shown
):
    """`fixed_votes.upright_group` of one column in floats, whether it stands upright or not."""
    u_table, v_table, z_table, z_low, steps = head.u, head.v, head.z, head.z_low, head.steps
    waves, octaves, levels = head.z_waves, head.octaves, shown.shape[0] // LANES
    right, down = np.uint64(head.hidden), np.uint64(head.hidden * size[1])
    base, hidden = np.empty(head.hidden, np.float32), np.empty(head.hidden, np.float32)
    whole, part = np.zeros((INTEGERS, BLOCK), np.int32), np.zeros((FLOATS, BLOCK), np.float32)
    based = False
    for begin in range(0, levels, BLOCK):
        count = min(BLOCK, levels - begin)
        place(
            whole, part, axes, valid, size, head.slope, head.shift, steps,
            np.float32(column), np.float32(row), np.float32(begin), count,
        )  # fmt: skip
        for k in range(count):
            cell = (begin + k) * LANES + lane
            if whole[SEEN, k] == 0:
                # Another column may have left there what is none of this one's.
                block[:, cell] = 0
                continue
            shown[cell] = 1
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
            last_layer(hidden, head.out, head.out_bias, block, cell)
            if reach.size > 0:
                qx, qy, qz = position(
                    axes, np.float32(column), np.float32(row), np.float32(begin + k)
                )
                block[-1, cell] = is_lit(qx, qy, qz, reach)
