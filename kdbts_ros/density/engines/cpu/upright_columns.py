"""Compiled CPU loops over columns that stand upright in the image, for a single-view head.

Columns of the world do so before a level camera. All levels of such a column have one u and one
depth: what these add to the first layer, the base, and which pixels of the map lie beside it, is
found once. For `axes` see `column_geometry`, for `folded` and `size` see `points`.
"""

from __future__ import annotations

import numpy as np

from kdbts_ros.density.engines.cpu.column_geometry import BLOCK, position
from kdbts_ros.density.engines.cpu.fast_math import FAST, relu, softplus
from kdbts_ros.density.engines.cpu.int16_loops import (
    code_heights,
    fill_int16_base,
    fill_int16_rows,
    int16_between,
    int16_upright,
    pixel_code,
    row_code,
)
from kdbts_ros.density.engines.cpu.int16_map import PIXEL_BITS
from kdbts_ros.density.engines.cpu.points import (
    fill_base,
    is_seen,
    mapped_depth,
    sum_of_six,
    tap,
    tap_table,
)
from kdbts_ros.density.network.projection import MIN_DEPTH
from kdbts_ros.loops import njit

_MIN_DEPTH = np.float32(MIN_DEPTH)
_PIXEL_BITS = np.int32(PIXEL_BITS)
LANES = 8
# Levels per row of the map beside them from which rows are worth making once for all.
DENSE = np.float32(1.25)
# Marks levels that no pixel shows. No density is negative, while a density that is not a number
# must stay one: it must not pass for a level nobody asked about.
UNSEEN = np.float32(-1)


@njit(fastmath=FAST, cache=True)
def stand(heights, shown, order, axes, valid, column, row, levels):  # type: ignore[no-untyped-def]
    """Where the levels of a column fall: how many are in view, and the column's u and depth.

    Fills heights with v, harmless out of view, shown with what is in view, and order with the
    levels in view one after the other.
    """
    one, zero = np.float32(1), np.float32(0)
    qx, qy, qz = position(axes, column, row, zero)
    if not (qz > _MIN_DEPTH and abs(qx) <= qz):
        return 0, zero, qz
    step, inverse_z = axes[3, 1], one / qz
    for k in range(heights.shape[0]):
        y = qy + np.float32(k) * step
        heights[k] = min(max(y * inverse_z, -one), one)
        shown[k] = abs(y) <= qz
    found = 0
    for k in range(levels):
        if shown[k] and valid.size > 1:
            shown[k] = is_seen(qx, qy + np.float32(k) * step, qz, valid)
        order[found] = k
        found += shown[k]
    return found, qx * inverse_z, qz


@njit(fastmath=FAST, cache=True)
def mark_visible(visible, heights, order, visibility, u, qz, found):  # type: ignore[no-untyped-def]
    """Set visible of the `found` levels in view: no deeper than the visibility of their pixel."""
    h, w = visibility.shape
    one, half = np.float32(1), np.float32(0.5)
    column = min(np.int32((u + one) * half * np.float32(w)), np.int32(w - 1))
    for i in range(found):
        k = order[i]
        row = min(np.int32((heights[k] + one) * half * np.float32(h)), np.int32(h - 1))
        visible[k] = qz <= visibility[row, column]


@njit(fastmath=FAST, cache=True)
def dot_relu_pair(folded, size, base, weights, v_table, steps, left, fx, va, vb):  # type: ignore[no-untyped-def]
    """`points.dot_relu` at the heights va and vb of a column; its left pixel and fraction given.

    Two at a time and in a function of its own, because a chain of sums waits for itself, and
    because a loop among many others has its numbers moved out of registers.
    """
    width, one = np.uint64(base.shape[0]), np.float32(1)
    down, start = width * np.uint64(size[1]), np.uint64(left) * width
    last = np.int32(2 * steps) - np.int32(1)
    ia, ya = tap(va, size[0])
    ib, yb = tap(vb, size[0])
    ja, ga = tap_table((va + one) * steps, last)
    jb, gb = tap_table((vb + one) * steps, last)
    a0, b0 = start + np.uint64(ia) * down, start + np.uint64(ib) * down
    a1, a2, b1, b2 = a0 + width, a0 + down, b0 + width, b0 + down
    a3, b3 = a2 + width, b2 + width
    wa = (one - fx) * (one - ya), fx * (one - ya), (one - fx) * ya, fx * ya
    wb = (one - fx) * (one - yb), fx * (one - yb), (one - fx) * yb, fx * yb
    p, q = np.uint64(ja) * width, np.uint64(jb) * width
    first, second = np.float32(0), np.float32(0)
    for c in range(width):
        a = sum_of_six(
            base[c], wa, folded[a0 + c], folded[a1 + c], folded[a2 + c], folded[a3 + c],
            ga, v_table[p + c], v_table[p + width + c],
        )  # fmt: skip
        b = sum_of_six(
            base[c], wb, folded[b0 + c], folded[b1 + c], folded[b2 + c], folded[b3 + c],
            gb, v_table[q + c], v_table[q + width + c],
        )  # fmt: skip
        first += relu(a) * weights[c]
        second += relu(b) * weights[c]
    return first, second


@njit(fastmath=FAST, cache=True)
def settle(sigma, raw, shown):  # type: ignore[no-untyped-def]
    """Fill sigma (N,) with the softplus of raw where shown, UNSEEN elsewhere; raw is scratch."""
    # In two loops: a condition on the first would keep it from being vectorised.
    for k in range(sigma.shape[0]):
        raw[k] = softplus(raw[k])
    for k in range(sigma.shape[0]):
        value = raw[k]
        sigma[k] = value if shown[k] != 0 else UNSEEN


@njit(fastmath=FAST, cache=True)
def float_levels(  # type: ignore[no-untyped-def]
    folded, size, base, weights, bias, v_table, steps, left, fx, heights, order, first, last, raw
):
    """Fill raw at order[first:last] with the pre-densities of these levels of a column."""
    for i in range(first, last, 2):
        j, k = order[i], order[min(i + 1, last - 1)]
        a, b = dot_relu_pair(
            folded, size, base, weights, v_table, steps, left, fx, heights[j], heights[k]
        )
        raw[j], raw[k] = a + bias, b + bias


@njit(fastmath=FAST, cache=True)
def span(ys, order, found):  # type: ignore[no-untyped-def]
    """First and last row of the map beside the `found` levels in view of a column."""
    ends = ys[order[0]] >> _PIXEL_BITS, ys[order[found - 1]] >> _PIXEL_BITS
    return min(ends), max(ends) + np.int32(1)


@njit(fastmath=FAST, cache=True)
def int16_levels(  # type: ignore[no-untyped-def]
    counts, v_table, out, back, bias, base, down, x, ys, vs, order, first, last, raw
):
    """The same from a int16 map; x: code of the column, ys and vs of its levels."""
    for i in range(first, last):
        k = order[i]
        found = int16_upright(counts, v_table, out, base, down, x, ys[k], vs[k])
        raw[k] = np.float32(found) * back + bias


@njit(fastmath=FAST, cache=True)
def dense_levels(rows, v_table, out, back, bias, top, ys, vs, order, first, last, raw):  # type: ignore[no-untyped-def]
    """The same of levels that lie closer than the map's rows; rows: those from `top` on."""
    width = np.uint64(out.shape[0])
    for i in range(first, last):
        k = order[i]
        found = int16_between(rows, v_table, out, width, top, ys[k], vs[k])
        raw[k] = np.float32(found) * back + bias


@njit(fastmath=FAST, cache=True)
def upright_rows(folded, size, head, int16, valid, axes, first, limit, visibility, sigma, visible):  # type: ignore[no-untyped-def]
    """`columns.tile_densities` of upright columns.

    Columns beside each other are about as deep, so that they read the same rows of v's table, and
    those one behind the other the same pixels: a few rows at a time find both in a near cache.
    """
    rows, columns, levels = sigma.shape
    padded = (levels + LANES - 1) // LANES * LANES
    heights, raw = np.zeros(padded, np.float32), np.zeros(padded, np.float32)
    shown, order = np.zeros(padded, np.int32), np.zeros(padded + 1, np.int32)
    ys, vs = np.zeros(padded, np.int32), np.zeros(padded, np.int32)
    base, int16_base = np.zeros(head.hidden, np.float32), np.zeros(head.hidden, np.int16)
    beside = np.zeros((padded + 1) * head.hidden, np.int16)
    u_table, z_table, z_low, steps = head.u, head.z, head.z_low, head.steps
    waves, octaves, v_table = head.z_waves, head.octaves, head.v
    weights, bias = head.out, head.out_bias[0]
    counts, int16_u, int16_v, int16_z = int16.features, int16.u, int16.v, int16.z
    ratio, out, int16_steps = int16.ratio, int16.out, int16.steps
    back = int16.back[0] if counts.size > 0 else np.float32(0)
    down, z_rows = np.uint64(head.hidden * size[1]), np.int32(int16_z.shape[0] // head.hidden)
    u_rows, last_z = np.int32(2 * int16_steps + 1), np.float32(z_rows - 1)
    one, dense, top = np.float32(1), False, np.int32(0)
    # Without a limit nothing ends early: the whole column at once.
    block = BLOCK if limit < np.inf else padded
    for column in range(columns):
        for row in range(rows):
            sigma[row, column], visible[row, column] = UNSEEN, 0
            found, u, qz = stand(
                heights, shown, order, axes, valid,
                np.float32(column), np.float32(first + row), levels,
            )  # fmt: skip
            if found == 0:
                continue
            mapped = mapped_depth(qz, head)
            left, fx = tap(u, size[1])
            depth = (mapped - z_low) * int16_steps
            as_int16, x = counts.size > 0 and depth <= last_z, np.int32(0)
            if as_int16:
                x, code = pixel_code(u, size[1]), row_code((u + one) * int16_steps, u_rows)
                depth_code = row_code(depth, z_rows)
                fill_int16_base(int16_u, int16_z, ratio, code, depth_code, int16_base)
                code_heights(ys, vs, heights, size[0], int16_steps)
                top, bottom = span(ys, order, found)
                dense = DENSE * (bottom - top + 1) <= found
                if dense:
                    fill_int16_rows(counts, int16_base, down, x, top, bottom, beside)
            else:
                fill_base(u_table, z_table, z_low, waves, octaves, steps, u, mapped, base)
            if visibility.size > 0:
                mark_visible(visible[row, column], heights, order, visibility, u, qz, found)
            running, at = np.float32(0), 0
            for begin in range(0, levels, block):
                end, start = min(begin + block, levels), at
                while at < found and order[at] < end:
                    at += 1
                if as_int16 and dense:
                    dense_levels(
                        beside, int16_v, out, back, bias, top, ys, vs, order, start, at, raw
                    )
                elif as_int16:
                    int16_levels(
                        counts, int16_v, out, back, bias, int16_base, down,
                        x, ys, vs, order, start, at, raw,
                    )  # fmt: skip
                else:
                    float_levels(
                        folded, size, base, weights, bias, v_table, steps, left, fx,
                        heights, order, start, at, raw,
                    )  # fmt: skip
                settle(sigma[row, column, begin:end], raw[begin:end], shown[begin:end])
                if limit < np.inf:
                    running += np.float32(end - begin - (at - start))
                    for i in range(start, at):
                        running += sigma[row, column, order[i]]
                    if running > limit:
                        break
