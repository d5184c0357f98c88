"""Compiled CPU loops over the channels of a fixed-point map, sixteen at a time.

Where something falls is told as `spots` (4,N) int32, the first element of the upper left pixel and
of the lower rows of the tables of v, u and z; and as `shares` (10,N) int16, the weights of the four
pixels and of two rows of each table. See `fixed_point` for `FixedMap`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kdbts_ros.density.column_geometry import (
    ACROSS,
    BETWEEN,
    DOWN,
    ENTRY,
    LEFT,
    MAPPED,
    SIGMA,
    UPPER,
)
from kdbts_ros.density.column_geometry import U as COLUMN_U
from kdbts_ros.density.fixed_point import UNIT
from kdbts_ros.density.kernels import tap_table
from kdbts_ros.density.numeric import FAST
from kdbts_ros.density.vectors import (
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
)

SPOTS, SHARES = 4, 10
PIXEL, V, U, Z = range(SPOTS)
_LANES = np.uint64(LANES)


@njit(inline="always")
def rounded(share):  # type: ignore[no-untyped-def]
    """A number that is not negative as the nearest int16."""
    return np.int16(np.int32(share + np.float32(0.5)))


@njit(fastmath=FAST, cache=True)
def aim_base(spots, shares, k, u, mapped, z_low, z_rows, steps, hidden):  # type: ignore[no-untyped-def]
    """Fill what concerns u and z of item k; whether the tables reach that near."""
    one = np.float32(1)
    at = (mapped - z_low) * steps
    ju, gu = tap_table((u + one) * steps, np.int32(2 * steps) - np.int32(1))
    jz, gz = tap_table(at, np.int32(z_rows - 2))
    spots[U, k], spots[Z, k] = ju * hidden, jz * hidden
    shares[6, k], shares[7, k] = rounded((one - gu) * UNIT), rounded(gu * UNIT)
    shares[8, k], shares[9, k] = rounded((one - gz) * UNIT), rounded(gz * UNIT)
    return at <= np.float32(z_rows - 1)


# Few arrays to a loop: the compiler cannot tell more of them apart, and then does not vectorise.


@njit(fastmath=FAST, cache=True)
def share_out(lower, upper, fractions, whole):  # type: ignore[no-untyped-def]
    """Fill lower and upper (N,) int16 with what 1 - f and f are of `whole` counts."""
    for k in range(fractions.shape[0]):
        part = fractions[k] * whole
        lower[k], upper[k] = rounded(whole - part), rounded(part)


@njit(fastmath=FAST, cache=True)
def aim_heights(spots, shares, heights, fractions, left, fx, size, steps, hidden):  # type: ignore[no-untyped-def]
    """Fill what concerns pixels and v of all heights (N,) in [-1,1] of an upright column.

    left, fx: its left pixel and the right one's fraction; hidden: channels, int32; fractions (N,)
    is scratch.
    """
    one, half, unit = np.float32(1), np.float32(0.5), UNIT
    rows, last = np.float32(size[0]), np.int32(2 * steps) - np.int32(1)
    down, start = np.int32(size[1]) * hidden, np.int32(left) * hidden
    lowest, pixels = np.int32(size[0] - 2), spots[PIXEL]
    for k in range(heights.shape[0]):
        y = min(max((heights[k] + one) * rows * half - half, np.float32(0)), rows - one)
        upper = min(np.int32(y), lowest)
        pixels[k], fractions[k] = upper * down + start, y - np.float32(upper)
    share_out(shares[0], shares[2], fractions, (one - fx) * unit)
    share_out(shares[1], shares[3], fractions, fx * unit)
    table_rows = spots[V]
    for k in range(heights.shape[0]):
        at = (heights[k] + one) * steps
        j = min(np.int32(at), last)
        table_rows[k], fractions[k] = j * hidden, at - np.float32(j)
    share_out(shares[4], shares[5], fractions, unit)


@njit(fastmath=FAST, cache=True)
def aim_block(whole, part, spots, shares, size, z_low, z_rows, finer, steps, hidden):  # type: ignore[no-untyped-def]
    """Fill all of a block of levels that `column_geometry.place` has placed.

    finer: rows per unit of the tables it was placed in; steps: of those asked here. Levels nearer
    than the tables begin get what is there. The rows SIGMA of part are scratch.
    """
    one, unit, ratio = np.float32(1), UNIT, steps / finer
    down, last_z = np.int32(size[1]) * hidden, np.int32(z_rows - 2)
    last = np.int32(2 * steps) - np.int32(1)
    fractions, pixels = part[SIGMA], spots[PIXEL]
    left, upper, across, below = whole[LEFT], whole[UPPER], part[ACROSS], part[DOWN]
    for k in range(whole.shape[1]):
        pixels[k] = upper[k] * down + left[k] * hidden
    for k in range(whole.shape[1]):
        fractions[k] = (one - across[k]) * below[k]
    first, second = shares[0], shares[2]
    for k in range(whole.shape[1]):
        first[k] = rounded((one - across[k] - fractions[k]) * unit)
        second[k] = rounded(fractions[k] * unit)
    for k in range(whole.shape[1]):
        fractions[k] = across[k] * below[k]
    first, second = shares[1], shares[3]
    for k in range(whole.shape[1]):
        first[k] = rounded((across[k] - fractions[k]) * unit)
        second[k] = rounded(fractions[k] * unit)
    entries, between = whole[ENTRY], part[BETWEEN]
    rows = spots[V]
    for k in range(whole.shape[1]):
        at = (np.float32(entries[k]) + between[k]) * ratio
        j = min(np.int32(at), last)
        rows[k], fractions[k] = j * hidden, at - np.float32(j)
    share_out(shares[4], shares[5], fractions, unit)
    positions, rows = part[COLUMN_U], spots[U]
    for k in range(whole.shape[1]):
        at = (positions[k] + one) * steps
        j = min(max(np.int32(at), np.int32(0)), last)
        rows[k], fractions[k] = j * hidden, at - np.float32(j)
    share_out(shares[6], shares[7], fractions, unit)
    positions, rows = part[MAPPED], spots[Z]
    for k in range(whole.shape[1]):
        at = min((positions[k] - z_low) * steps, np.float32(last_z + 1))
        j = min(max(np.int32(at), np.int32(0)), last_z)
        rows[k], fractions[k] = j * hidden, at - np.float32(j)
    share_out(shares[8], shares[9], fractions, unit)


@njit(inline="always")
def fixed_base(u_table, z_table, ratio, spots, shares, k, c):  # type: ignore[no-untyped-def]
    """What u and z add to the channels from c on, in the map's units."""
    p, r = np.uint64(spots[2, k]) + c, np.uint64(spots[3, k]) + c
    width = np.uint64(ratio.shape[0])
    u = add(
        scale(load(u_table, p), splat(shares[6, k])),
        scale(load(u_table, p + width), splat(shares[7, k])),
    )
    z = add(
        scale(load(z_table, r), splat(shares[8, k])),
        scale(load(z_table, r + width), splat(shares[9, k])),
    )
    return scale(add(u, z), load(ratio, c))


@njit(inline="always")
def fixed_pixel(counts, table, ratio, right, down, spots, shares, k, c):  # type: ignore[no-untyped-def]
    """What the map and v add to the channels from c on, in the map's units."""
    p, q = np.uint64(spots[0, k]) + c, np.uint64(spots[1, k]) + c
    above = add(
        scale(load(counts, p), splat(shares[0, k])),
        scale(load(counts, p + right), splat(shares[1, k])),
    )
    below = add(
        scale(load(counts, p + down), splat(shares[2, k])),
        scale(load(counts, p + down + right), splat(shares[3, k])),
    )
    v = add(
        scale(load(table, q), splat(shares[4, k])),
        scale(load(table, q + right), splat(shares[5, k])),
    )
    return add(add(above, below), scale(v, load(ratio, c)))


@njit(fastmath=FAST, cache=True)
def fill_fixed_base(u_table, z_table, ratio, spots, shares, k, base):  # type: ignore[no-untyped-def]
    """Fill base (hidden,) int16 with what u and z of item k add to the first layer."""
    c, width = np.uint64(0), np.uint64(base.shape[0])
    while c < width:
        store(base, c, fixed_base(u_table, z_table, ratio, spots, shares, k, c))
        c += _LANES


@njit(fastmath=FAST, cache=True)
def fixed_upright(counts, table, ratio, out, base, down, spots, shares, k):  # type: ignore[no-untyped-def]
    """Counts of a single answer at item k of a column with this base."""
    c, width, found = np.uint64(0), np.uint64(base.shape[0]), nothing()
    while c < width:
        h = add(
            load(base, c),
            fixed_pixel(counts, table, ratio, width, down, spots, shares, k, c),
        )
        found = add_wide(found, dot_pairs(rectify(h), load(out, c)))
        c += _LANES
    return total(found)


@njit(fastmath=FAST, cache=True)
def fixed_slanting(counts, u_table, v_table, z_table, ratio, out, down, spots, shares, k):  # type: ignore[no-untyped-def]
    """Counts of a single answer at item k."""
    c, width, found = np.uint64(0), np.uint64(ratio.shape[0]), nothing()
    while c < width:
        h = add(
            fixed_base(u_table, z_table, ratio, spots, shares, k, c),
            fixed_pixel(counts, v_table, ratio, width, down, spots, shares, k, c),
        )
        found = add_wide(found, dot_pairs(rectify(h), load(out, c)))
        c += _LANES
    return total(found)


@njit(fastmath=FAST, cache=True)
def fill_fixed_hidden(  # type: ignore[no-untyped-def]
    counts, table, ratio, base, down, spots, shares, order, found, hidden
):
    """Fill rows of hidden (>=found,C) int16: the rectified hidden layer at the items of order."""
    width = np.uint64(base.shape[0])
    for i in range(found):
        c, k, row = np.uint64(0), order[i], hidden[i]
        while c < width:
            h = add(
                load(base, c),
                fixed_pixel(counts, table, ratio, width, down, spots, shares, k, c),
            )
            store(row, c, rectify(h))
            c += _LANES
