"""Compiled CPU loops of a multi-view head: what one view says of columns.

For groups of cells, blocks of votes and the ring they lie in see `fusion`; `int16`: `int16_map`.
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
from kdbts_ros.density.engines.cpu.int16_loops import (
    code_heights,
    fill_int16_base,
    fill_int16_hidden,
    pixel_code,
    row_code,
)
from kdbts_ros.density.engines.cpu.points import fill_base, is_visible, mapped_depth, sum_of_six
from kdbts_ros.density.engines.cpu.simd import LANES as CHANNELS
from kdbts_ros.density.engines.cpu.simd import (
    add_product,
    add_wide,
    dot_pairs,
    load,
    load_floats,
    nothing,
    pick,
    store_floats,
    to_floats,
    total,
    totals,
    turn,
)
from kdbts_ros.density.engines.cpu.upright_columns import LANES, mark_visible, stand
from kdbts_ros.loops import njit

_CHANNELS, _EIGHT = np.uint64(CHANNELS), np.uint64(LANES)
# Scratch of a column by level: in view, those in view in turn, codes on the map and of v, visible.
_SHOWN, _ORDER, _Y, _V, _VISIBLE, _INTEGERS = range(6)


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
    """Fill hidden (C,) with the rectified hidden layer; arguments as of `points.dot_relu`."""
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


@njit(parallel=True, nogil=True, cache=True, fastmath=FAST)
def column_votes(  # type: ignore[no-untyped-def]
    folded, size, head, int16, valid, axes, visibility, stale, ring, votes, seen_rows, threads
):
    """Fill votes (G,C,2+F,cells) with what one view says of the stale columns of a grid.

    stale (R,C), in the ring's order; of other columns nothing is written. seen_rows (G,C): a bit
    for every row of a group of which the view sees any level. visibility (h,w): depth of q over the
    image up to which light gets, empty if nobody asks. For `axes` see `column_geometry`.
    """
    for thread in prange(threads):
        # Groups are dealt out in turn: what is in view lies together.
        for group in range(thread, votes.shape[0], threads):
            votes_of_row(
                folded, size, head, int16, valid, axes, visibility, group, stale, ring,
                votes[group], seen_rows[group],
            )  # fmt: skip


@njit(fastmath=FAST, cache=True)
def votes_of_row(  # type: ignore[no-untyped-def]
    folded, size, head, int16, valid, axes, visibility, group, stale, ring, votes, seen_rows
):
    """`column_votes` of a row of groups."""
    columns, kinds, cells = votes.shape
    upright, rows = stands_upright(axes), np.zeros(LANES, np.int64)
    block, shown = np.zeros((kinds, cells), np.float32), np.zeros(cells, np.int32)
    lanes, flat = np.zeros(LANES, np.float32), votes.reshape(-1)
    scratch = scratch_of(head.hidden, kinds - 1, cells // LANES)
    for j in range(columns):
        if choose_rows(stale, group, j, ring, rows, lanes) == 0:
            continue
        column, odd = (j - ring[1]) % columns, False
        shown[:], block[-1, :] = 0, 0
        if upright and int16.features.size > 0:
            upright_group(
                size, head, int16, valid, axes, visibility, column, rows, scratch, block, shown
            )
        for r in range(LANES):
            if rows[r] >= 0:
                odd = True
                column_in_floats(
                    folded, size, head, valid, axes, visibility, column, rows[r], upright, r, block,
                    shown,
                )  # fmt: skip
        at = np.uint64(j) * np.uint64(kinds * cells)
        seen_rows[j] = keep(block, shown, lanes, flat, at, seen_rows[j])
        if odd:
            # They may have left numbers that are none.
            block[:] = 0


@njit(fastmath=FAST, cache=True)
def choose_rows(stale, group, j, ring, rows, lanes):  # type: ignore[no-untyped-def]
    """How many rows of a group are asked in column j: rows (LANES,) of the grid, -1: not asked.

    lanes (LANES,): not 0 where they are.
    """
    height, many = stale.shape[0], 0
    for r in range(LANES):
        i = group * LANES + r
        wanted = i < height and stale[min(i, height - 1), j]
        rows[r], lanes[r] = (i - ring[0]) % height if wanted else -1, wanted
        many += wanted
    return many


@njit(fastmath=FAST, cache=True)
def keep(block, shown, lanes, flat, at, seen_rows):  # type: ignore[no-untyped-def]
    """Write a block (2+F,cells) into flat from `at` on, the rows in lanes (LANES,) alone.

    Returns seen_rows, the bits of rows that the view sees, afterwards; nothing is written for none.
    """
    step, cells, source = np.uint64(LANES), shown.shape[0], block.reshape(-1)
    rewritten = np.uint8(0)
    for r in range(LANES):
        bit = np.uint8(1 << r)
        if lanes[r] != 0 or not seen_rows & bit:
            # Of a row that the view does not see, votes of long ago may be left.
            lanes[r], rewritten, seen_rows = 1, rewritten | bit, seen_rows & ~bit
            for k in range(r, cells, LANES):
                seen_rows |= np.uint8(shown[k] << r)
    if seen_rows == 0:
        return seen_rows
    for k in range(cells):
        block[0, k] = block[0, k] if shown[k] != 0 else MASKED
    mask, i = load_floats(lanes, np.uint64(0)), np.uint64(0)
    while i < np.uint64(source.shape[0]):
        values = load_floats(source, i)
        if rewritten != 255:
            values = pick(mask, values, load_floats(flat, at + i))
        store_floats(flat, at + i, values)
        i += step
    return seen_rows


@njit(fastmath=FAST, cache=True)
def column_in_floats(  # type: ignore[no-untyped-def]
    folded, size, head, valid, axes, visibility, column, row, upright, lane, block, shown
):
    """`upright_group` of one column in floats, whether it stands upright or not."""
    u_table, v_table, z_table, z_low, steps = head.u, head.v, head.z, head.z_low, head.steps
    waves, octaves, levels = head.z_waves, head.octaves, shown.shape[0] // LANES
    right, down = np.uint64(head.hidden), np.uint64(head.hidden * size[1])
    base, hidden = np.empty(head.hidden, np.float32), np.empty(head.hidden, np.float32)
    indices, numbers = np.zeros((INTEGERS, BLOCK), np.int32), np.zeros((FLOATS, BLOCK), np.float32)
    based = False
    for begin in range(0, levels, BLOCK):
        count = min(BLOCK, levels - begin)
        place(
            indices, numbers, axes, valid, size, head,
            np.float32(column), np.float32(row), np.float32(begin), count,
        )  # fmt: skip
        for k in range(count):
            cell = (begin + k) * LANES + lane
            if indices[SEEN, k] == 0:
                # Another column may have left there what is none of this one's.
                block[:, cell] = 0
                continue
            shown[cell] = 1
            if not (upright and based):
                u, mapped = numbers[U, k], numbers[MAPPED, k]
                fill_base(u_table, z_table, z_low, waves, octaves, steps, u, mapped, base)
                based = True
            left, upper = np.uint64(indices[LEFT, k]), np.uint64(indices[UPPER, k])
            fill_hidden(
                folded, upper * down + left * right, right, down,
                numbers[ACROSS, k], numbers[DOWN, k], v_table,
                indices[ENTRY, k], numbers[BETWEEN, k], base, hidden,
            )  # fmt: skip
            last_layer(hidden, head.out, head.out_bias, block, cell)
            if visibility.size > 0:
                qx, qy, qz = position(
                    axes, np.float32(column), np.float32(row), np.float32(begin + k)
                )
                block[-1, cell] = is_visible(qx, qy, qz, visibility)


@njit(fastmath=FAST, cache=True)
def scratch_of(hidden, kinds, levels):  # type: ignore[no-untyped-def]
    """What `upright_group` needs: heights, integers, the base, hidden layers and answers."""
    padded = (levels + LANES - 1) // LANES * LANES
    return (
        np.zeros(padded, np.float32),
        np.zeros((_INTEGERS, padded + 1), np.int32),
        np.zeros(hidden, np.int16),
        np.zeros((padded, hidden), np.int16),
        np.zeros(levels * (kinds // LANES) * LANES * LANES, np.float32),
    )


@njit(inline="always")
def eight_answers(row, out, at):  # type: ignore[no-untyped-def]
    """Counts of eight answers of the hidden layer row (C,) int16; their weights from `at` on."""
    c, width = np.uint64(0), np.uint64(row.shape[0])
    p1, p2, p3 = at + width, at + width + width, at + width + width + width
    p4, p5, p6, p7 = p3 + width, p3 + width + width, p3 + p3 - at, p3 + p3 + width - at
    a, b, d, e, f, g, h, i = (
        nothing(), nothing(), nothing(), nothing(), nothing(), nothing(), nothing(), nothing(),
    )  # fmt: skip
    while c < width:
        x = load(row, c)
        a = add_wide(a, dot_pairs(x, load(out, at + c)))
        b = add_wide(b, dot_pairs(x, load(out, p1 + c)))
        d = add_wide(d, dot_pairs(x, load(out, p2 + c)))
        e = add_wide(e, dot_pairs(x, load(out, p3 + c)))
        f = add_wide(f, dot_pairs(x, load(out, p4 + c)))
        g = add_wide(g, dot_pairs(x, load(out, p5 + c)))
        h = add_wide(h, dot_pairs(x, load(out, p6 + c)))
        i = add_wide(i, dot_pairs(x, load(out, p7 + c)))
        c += _CHANNELS
    return totals(a, b, d, e, f, g, h, i)


@njit(inline="always")
def one_answer(row, out, at):  # type: ignore[no-untyped-def]
    """Counts of an answer of the hidden layer row (C,) int16; its weights from `at` on."""
    found, c, width = nothing(), np.uint64(0), np.uint64(row.shape[0])
    while c < width:
        found = add_wide(found, dot_pairs(load(row, c), load(out, at + c)))
        c += _CHANNELS
    return total(found)


@njit(fastmath=FAST, cache=True)
def int16_last_layers(hidden, order, found, lane, out, back, bias, answers, block):  # type: ignore[no-untyped-def]
    """The last layer at the first `found` rows of hidden (n,C), which are the levels of order:
    answers by eights into answers, for `turn_answers`, what is left over first into block."""
    width, kinds = np.uint64(hidden.shape[1]), back.shape[0]
    single, eights = kinds % LANES, np.uint64(kinds // LANES)
    for i in range(found):
        row, level = hidden[i], order[i]
        for k in range(single):
            counts = one_answer(row, out, np.uint64(k) * width)
            block[k, level * LANES + lane] = np.float32(counts) * back[k] + bias[k]
        for e in range(eights):
            first = np.uint64(single) + e * _EIGHT
            counts = to_floats(eight_answers(row, out, first * width))
            values = add_product(load_floats(bias, first), counts, load_floats(back, first))
            at = ((np.uint64(level) * eights + e) * _EIGHT + np.uint64(lane)) * _EIGHT
            store_floats(answers, at, values)


@njit(fastmath=FAST, cache=True)
def turn_answers(answers, kinds, shown, block):  # type: ignore[no-untyped-def]
    """Bring the answers of all levels with a cell that is shown (cells,) into block (>=K,cells)."""
    single, eights, flat = kinds % LANES, np.uint64(kinds // LANES), block.reshape(-1)
    cells = np.uint64(shown.shape[0])
    for level in range(shown.shape[0] // LANES):
        any_shown = 0
        for r in range(LANES):
            any_shown += shown[level * LANES + r]
        if any_shown == 0:
            continue
        for e in range(eights):
            at = (np.uint64(level) * eights + e) * _EIGHT * _EIGHT
            to = (np.uint64(single) + e * _EIGHT) * cells + np.uint64(level) * _EIGHT
            turn(answers, at, flat, to, cells)


@njit(fastmath=FAST, cache=True)
def upright_group(size, head, int16, valid, axes, visibility, column, rows, scratch, block, shown):  # type: ignore[no-untyped-def]
    """Fill block (2+F,cells) with what a view says of columns that stand upright.

    rows (LANES,): of the grid; negative: not asked. Those answered become negative, so that what
    remains are columns nearer than the tables begin. Sets shown (cells,) where the view sees.
    """
    heights, indices, base, hidden, answers = scratch
    levels, one, visible = shown.shape[0] // LANES, np.float32(1), indices[_VISIBLE]
    order, ys, vs = indices[_ORDER], indices[_Y], indices[_V]
    counts, u_table, v_table, z_table = int16.features, int16.u, int16.v, int16.z
    ratio, steps, down = int16.ratio, int16.steps, np.uint64(head.hidden * size[1])
    u_rows, z_rows = np.int32(2 * steps + 1), np.int32(z_table.shape[0] // head.hidden)
    for r in range(LANES):
        if rows[r] < 0:
            continue
        found, u, qz = stand(
            heights, indices[_SHOWN], order, axes, valid,
            np.float32(column), np.float32(rows[r]), levels,
        )  # fmt: skip
        depth = (mapped_depth(qz, head) - head.z_low) * steps
        if found > 0 and depth > np.float32(z_rows - 1):
            continue
        rows[r] = -1
        if found == 0:
            continue
        x, code = pixel_code(u, size[1]), row_code((u + one) * steps, u_rows)
        fill_int16_base(u_table, z_table, ratio, code, row_code(depth, z_rows), base)
        code_heights(ys, vs, heights, size[0], steps)
        fill_int16_hidden(counts, v_table, base, down, x, ys, vs, order, found, hidden)
        int16_last_layers(
            hidden, order, found, r, int16.out, int16.back, head.out_bias, answers, block
        )
        if visibility.size > 0:
            mark_visible(visible, heights, order, visibility, u, qz, found)
        for i in range(found):
            cell = order[i] * LANES + r
            shown[cell], block[-1, cell] = 1, visible[order[i]] if visibility.size > 0 else 0
    turn_answers(answers, int16.back.shape[0], shown, block)
