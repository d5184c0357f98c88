"""Compiled CPU loops of a multi-view head over a fixed-point map: one view's votes on columns.

For `fixed` see `fixed_point`, for columns `upright_kernels`, for groups and their blocks of votes
`fusion_kernels`.
"""

from __future__ import annotations

import numpy as np

from kdbts_ros.density.engines.cpu.fast_math import FAST
from kdbts_ros.density.engines.cpu.int16_loops import (
    code_heights,
    fill_fixed_base,
    fill_fixed_hidden,
    pixel_code,
    row_code,
)
from kdbts_ros.density.engines.cpu.simd import LANES as CHANNELS
from kdbts_ros.density.engines.cpu.simd import (
    add_product,
    add_wide,
    dot_pairs,
    load,
    load_floats,
    nothing,
    store_floats,
    total,
)
from kdbts_ros.density.engines.cpu.upright_columns import LANES, light, stand
from kdbts_ros.density.vote_vectors import to_floats, totals, turn
from kdbts_ros.loops import njit

_CHANNELS, _EIGHT = np.uint64(CHANNELS), np.uint64(LANES)
# Integers of scratch of a column by level: in view, those in view one after the other, codes down
# the map and of v, and what is lit.
_SHOWN, _ORDER, _Y, _V, _LIT, _INTEGERS = range(6)


@njit(fastmath=FAST, cache=True)
def scratch_of(hidden, kinds, levels):  # type: ignore[no-untyped-def]
    """What `upright_group` needs: heights, integers, the base, hidden layers and answers."""
    whole = (levels + LANES - 1) // LANES * LANES
    return (
        np.zeros(whole, np.float32),
        np.zeros((_INTEGERS, whole + 1), np.int32),
        np.zeros(hidden, np.int16),
        np.zeros((whole, hidden), np.int16),
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
def fixed_last_layers(hidden, order, found, lane, out, back, bias, answers, block):  # type: ignore[no-untyped-def]
    """The last layer at the first `found` rows of hidden (n,C), which are the levels of order.

    Answers come by eights into answers, for `turn_answers`, what is left over first into block.
    """
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
def upright_group(size, head, fixed, valid, axes, reach, column, rows, scratch, block, shown):  # type: ignore[no-untyped-def]
    """Fill block (2+F,cells) with what a view says of columns that stand upright.

    rows (LANES,): of the grid; negative: not asked. Those answered become negative, so that what
    remains are columns nearer than the tables begin. Sets shown (cells,) where the view sees.
    """
    heights, whole, base, hidden, answers = scratch
    levels, one, lit = shown.shape[0] // LANES, np.float32(1), whole[_LIT]
    order, ys, vs = whole[_ORDER], whole[_Y], whole[_V]
    counts, u_table, v_table, z_table = fixed.map, fixed.u, fixed.v, fixed.z
    ratio, steps, down = fixed.ratio, fixed.steps, np.uint64(head.hidden * size[1])
    u_rows, z_rows = np.int32(2 * steps + 1), np.int32(z_table.shape[0] // head.hidden)
    for r in range(LANES):
        if rows[r] < 0:
            continue
        found, u, qz = stand(
            heights, whole[_SHOWN], order, axes, valid,
            np.float32(column), np.float32(rows[r]), levels,
        )  # fmt: skip
        depth = (head.slope / qz + head.shift - head.z_low) * steps
        if found > 0 and depth > np.float32(z_rows - 1):
            continue
        rows[r] = -1
        if found == 0:
            continue
        x, code = pixel_code(u, size[1]), row_code((u + one) * steps, u_rows)
        fill_fixed_base(u_table, z_table, ratio, code, row_code(depth, z_rows), base)
        code_heights(ys, vs, heights, size[0], steps)
        fill_fixed_hidden(counts, v_table, base, down, x, ys, vs, order, found, hidden)
        fixed_last_layers(
            hidden, order, found, r, fixed.out, fixed.back, head.out_bias, answers, block
        )
        if reach.size > 0:
            light(lit, heights, order, reach, u, qz, found)
        for i in range(found):
            cell = order[i] * LANES + r
            shown[cell], block[-1, cell] = 1, lit[order[i]] if reach.size > 0 else 0
    turn_answers(answers, fixed.back.shape[0], shown, block)
