"""Compiled CPU loops over the channels of a int16 map, sixteen at a time.

Where something falls is told as codes, int32: the lower neighbour, and in the low bits how far it
is to the next, PIXEL_BITS of them between pixels and ROW_BITS between rows of a table. See
`int16_map` for `Int16Map`.
"""

from __future__ import annotations

import numpy as np

from kdbts_ros.density.engines.cpu.column_geometry import (
    ACROSS,
    BETWEEN,
    DOWN,
    ENTRY,
    LEFT,
    MAPPED,
    UPPER,
)
from kdbts_ros.density.engines.cpu.column_geometry import U as COLUMN_U
from kdbts_ros.density.engines.cpu.fast_math import FAST
from kdbts_ros.density.engines.cpu.int16_map import PIXEL_BITS, ROW_BITS
from kdbts_ros.density.engines.cpu.simd import (
    LANES,
    add,
    add_wide,
    dot_pairs,
    load,
    nothing,
    rectify,
    scale,
    splat,
    store,
    total,
    touch,
)
from kdbts_ros.loops import njit

# Rows of the codes of a block of levels.
X, Y, V, U, Z, CODES = range(6)
# Numbers of a cache line.
_LINE = np.uint64(32)
_LANES, _ONE = np.uint64(LANES), np.int32(32767)
_PIXEL_BITS, _ROW_BITS = np.int32(PIXEL_BITS), np.int32(ROW_BITS)
_PIXEL_UNIT, _ROW_UNIT = np.float32(1 << PIXEL_BITS), np.float32(1 << ROW_BITS)
_PIXEL_MASK, _ROW_MASK = np.int32((1 << PIXEL_BITS) - 1), np.int32((1 << ROW_BITS) - 1)
# What makes a fraction of it one of 32768.
_PIXEL_SHIFT, _ROW_SHIFT = np.int32(15 - PIXEL_BITS), np.int32(15 - ROW_BITS)


@njit(inline="always")
def pixel_code(position, pixels):  # type: ignore[no-untyped-def]
    """Code of a position in [-1,1] on an axis of `pixels` pixels."""
    half, last = np.float32(0.5), np.float32(pixels - 1) * _PIXEL_UNIT - np.float32(1)
    at = ((position + np.float32(1)) * np.float32(pixels) * half - half) * _PIXEL_UNIT
    return np.int32(min(max(at, np.float32(0)) + half, last))


@njit(inline="always")
def row_code(at, rows):  # type: ignore[no-untyped-def]
    """Code of a position in a table of so many rows; beyond them the nearest."""
    last = np.float32(rows - 1) * _ROW_UNIT - np.float32(1)
    return np.int32(min(max(at * _ROW_UNIT, np.float32(0)) + np.float32(0.5), last))


@njit(fastmath=FAST, cache=True)
def code_heights(down, v, heights, rows, steps):  # type: ignore[no-untyped-def]
    """Fill the codes down the map and of v (N,) of heights (N,) in [-1,1]; rows of the map."""
    # In two loops: the compiler can tell few arrays apart, and does not vectorise otherwise.
    table = np.int32(2 * steps) + np.int32(1)
    for k in range(heights.shape[0]):
        down[k] = pixel_code(heights[k], rows)
    for k in range(heights.shape[0]):
        v[k] = row_code((heights[k] + np.float32(1)) * steps, table)


@njit(fastmath=FAST, cache=True)
def code_block(indices, numbers, codes, z_low, z_rows, finer, steps):  # type: ignore[no-untyped-def]
    """Fill codes (CODES,BLOCK) of levels that `column_geometry.place` has placed.

    finer: rows per unit of the tables they were placed in; steps: of those asked here. Levels
    nearer than the tables begin get what is there.
    """
    one, half, ratio, table = np.float32(1), np.float32(0.5), steps / finer, np.int32(2 * steps) + 1
    for axis, low, between in (
        (X, indices[LEFT], numbers[ACROSS]),
        (Y, indices[UPPER], numbers[DOWN]),
    ):
        code = codes[axis]
        for k in range(code.shape[0]):
            share = min(np.int32(between[k] * _PIXEL_UNIT + half), _PIXEL_MASK)
            code[k] = (low[k] << _PIXEL_BITS) + share
    code, entry, between = codes[V], indices[ENTRY], numbers[BETWEEN]
    for k in range(code.shape[0]):
        code[k] = row_code((np.float32(entry[k]) + between[k]) * ratio, table)
    code, position = codes[U], numbers[COLUMN_U]
    for k in range(code.shape[0]):
        code[k] = row_code((position[k] + one) * steps, table)
    code, position = codes[Z], numbers[MAPPED]
    for k in range(code.shape[0]):
        code[k] = row_code((position[k] - z_low) * steps, z_rows)


@njit(inline="always")
def split(code, width):  # type: ignore[no-untyped-def]
    """First element of a table's lower row of `width` channels, and the shares of both rows."""
    share = (code & _ROW_MASK) << _ROW_SHIFT
    return (
        np.uint64(code >> _ROW_BITS) * width,
        splat(np.int16(_ONE - share)),
        splat(np.int16(share)),
    )


@njit(inline="always")
def corner(x, y, right, down):  # type: ignore[no-untyped-def]
    """First element of the upper left pixel, and the shares of the four."""
    fx = (x & _PIXEL_MASK) << _PIXEL_SHIFT
    fy = (y & _PIXEL_MASK) << _PIXEL_SHIFT
    both = (fx * fy) >> np.int32(15)
    first = np.uint64(y >> _PIXEL_BITS) * down + np.uint64(x >> _PIXEL_BITS) * right
    upper, lower = np.int16(_ONE - fx - fy + both), np.int16(fy - both)
    return first, splat(upper), splat(np.int16(fx - both)), splat(lower), splat(np.int16(both))


@njit(inline="always")
def between_rows(table, at, width, lower, upper):  # type: ignore[no-untyped-def]
    """Sixteen channels of a table from element `at` on, between its row and the next."""
    return add(scale(load(table, at), lower), scale(load(table, at + width), upper))


@njit(inline="always")
def between_pixels(counts, at, right, down, w0, w1, w2, w3):  # type: ignore[no-untyped-def]
    """Sixteen channels of a map from element `at` on, between four pixels."""
    above = add(scale(load(counts, at), w0), scale(load(counts, at + right), w1))
    below = at + down
    return add(above, add(scale(load(counts, below), w2), scale(load(counts, below + right), w3)))


@njit(fastmath=FAST, cache=True)
def fill_int16_base(u_table, z_table, ratio, u, z, base):  # type: ignore[no-untyped-def]
    """Fill base (hidden,) int16 with what u and z of these codes add to the first layer."""
    c, width = np.uint64(0), np.uint64(base.shape[0])
    p, u0, u1 = split(u, width)
    q, z0, z1 = split(z, width)
    while c < width:
        both = add(
            between_rows(u_table, p + c, width, u0, u1), between_rows(z_table, q + c, width, z0, z1)
        )
        store(base, c, scale(both, load(ratio, c)))
        c += _LANES


@njit(fastmath=FAST, cache=True)
def int16_upright(counts, v_table, out, base, down, x, y, v):  # type: ignore[no-untyped-def]
    """Counts of a single answer where a column with this base has these codes."""
    c, width, found = np.uint64(0), np.uint64(base.shape[0]), nothing()
    p, w0, w1, w2, w3 = corner(x, y, width, down)
    q, v0, v1 = split(v, width)
    while c < width:
        h = add(load(base, c), between_pixels(counts, p + c, width, down, w0, w1, w2, w3))
        h = add(h, between_rows(v_table, q + c, width, v0, v1))
        found = add_wide(found, dot_pairs(rectify(h), load(out, c)))
        c += _LANES
    return total(found)


@njit(fastmath=FAST, cache=True)
def fill_int16_rows(counts, base, down, x, first, last, rows):  # type: ignore[no-untyped-def]
    """Fill rows with the map's rows from `first` to `last` at a column with this base and code."""
    width = np.uint64(base.shape[0])
    fx = (x & _PIXEL_MASK) << _PIXEL_SHIFT
    left, right = splat(np.int16(_ONE - fx)), splat(np.int16(fx))
    at = np.uint64(first) * down + np.uint64(x >> _PIXEL_BITS) * width
    to = np.uint64(0)
    for _ in range(first, last + 1):
        c = np.uint64(0)
        while c < width:
            here = between_rows(counts, at + c, width, left, right)
            store(rows, to + c, add(load(base, c), here))
            c += _LANES
        at += down
        to += width


@njit(fastmath=FAST, cache=True)
def int16_between(rows, v_table, out, width, first, y, v):  # type: ignore[no-untyped-def]
    """Counts of a single answer at these codes of a column whose rows from `first` on are given."""
    c, found = np.uint64(0), nothing()
    fy = (y & _PIXEL_MASK) << _PIXEL_SHIFT
    upper, lower = splat(np.int16(_ONE - fy)), splat(np.int16(fy))
    p = np.uint64((y >> _PIXEL_BITS) - first) * width
    q, v0, v1 = split(v, width)
    while c < width:
        h = between_rows(rows, p + c, width, upper, lower)
        h = add(h, between_rows(v_table, q + c, width, v0, v1))
        found = add_wide(found, dot_pairs(rectify(h), load(out, c)))
        c += _LANES
    return total(found)


@njit(inline="always")
def call_for(counts, u_table, v_table, z_table, ratio, down, codes, k):  # type: ignore[no-untyped-def]
    """Have the cache fetch what `int16_slanting` will read at item k: two pixels or two rows of
    each of five places."""
    c, width = np.uint64(0), np.uint64(ratio.shape[0])
    p = np.uint64(codes[Y, k] >> _PIXEL_BITS) * down
    p += np.uint64(codes[X, k] >> _PIXEL_BITS) * width
    q, r = np.uint64(codes[V, k] >> _ROW_BITS) * width, np.uint64(codes[U, k] >> _ROW_BITS) * width
    s = np.uint64(codes[Z, k] >> _ROW_BITS) * width
    while c < width + width:
        touch(counts, p + c)
        touch(counts, p + down + c)
        touch(v_table, q + c)
        touch(u_table, r + c)
        touch(z_table, s + c)
        c += _LINE


@njit(fastmath=FAST, cache=True)
def int16_slanting(counts, u_table, v_table, z_table, ratio, out, down, codes, k):  # type: ignore[no-untyped-def]
    """Counts of a single answer at item k of codes (CODES,N)."""
    c, width, found = np.uint64(0), np.uint64(ratio.shape[0]), nothing()
    p, w0, w1, w2, w3 = corner(codes[X, k], codes[Y, k], width, down)
    q, v0, v1 = split(codes[V, k], width)
    r, u0, u1 = split(codes[U, k], width)
    s, z0, z1 = split(codes[Z, k], width)
    while c < width:
        both = add(
            between_rows(u_table, r + c, width, u0, u1), between_rows(z_table, s + c, width, z0, z1)
        )
        h = between_pixels(counts, p + c, width, down, w0, w1, w2, w3)
        h = add(h, between_rows(v_table, q + c, width, v0, v1))
        h = add(h, scale(both, load(ratio, c)))
        found = add_wide(found, dot_pairs(rectify(h), load(out, c)))
        c += _LANES
    return total(found)


@njit(fastmath=FAST, cache=True)
def fill_int16_hidden(counts, v_table, base, down, x, y, v, order, found, hidden):  # type: ignore[no-untyped-def]
    """Fill rows of hidden (>=found,C) int16: the rectified hidden layer at the items of order.

    x: code of the column; y and v (N,): of its levels.
    """
    width = np.uint64(base.shape[0])
    for i in range(found):
        c, row = np.uint64(0), hidden[i]
        p, w0, w1, w2, w3 = corner(x, y[order[i]], width, down)
        q, v0, v1 = split(v[order[i]], width)
        while c < width:
            h = add(load(base, c), between_pixels(counts, p + c, width, down, w0, w1, w2, w3))
            h = add(h, between_rows(v_table, q + c, width, v0, v1))
            store(row, c, rectify(h))
            c += _LANES
