"""Compiled CPU loops over columns of an affine grid, for a single-view head.

For `axes` see `column_geometry`, for `folded` and `size` see `kernels`.

What u and depth add to the first layer, the base, is the same for all levels of a column that
stands upright in the image, as columns of the world do before a level camera.
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
    SIGMA,
    UPPER,
    U,
    place,
    position,
    stands_upright,
)
from kdbts_ros.density.kernels import dot_relu, fill_base, is_lit, is_seen, sum_of_six, tap_table
from kdbts_ros.density.numeric import FAST, relu, softplus


@njit(inline="always")
def dot_relu_slanting(  # type: ignore[no-untyped-def]
    folded, corner, right, down, fx, fy, v_table, j, g, u_table, ju, gu, z_table, jz, gz, weights
):
    """`kernels.dot_relu` with a base that is read from the tables on the way."""
    width, one = np.uint64(weights.shape[0]), np.float32(1)
    w = (one - fx) * (one - fy), fx * (one - fy), (one - fx) * fy, fx * fy
    beside, below, across = corner + right, corner + down, corner + right + down
    p, q, r = np.uint64(j) * width, np.uint64(ju) * width, np.uint64(jz) * width
    fu, fz = one - gu, one - gz
    total = np.float32(0)
    for c in range(width):
        base = u_table[q + c] * fu + u_table[q + width + c] * gu
        base += z_table[r + c] * fz + z_table[r + width + c] * gz
        h = sum_of_six(
            base, w, folded[corner + c], folded[beside + c], folded[below + c],
            folded[across + c], g, v_table[p + c], v_table[p + width + c],
        )  # fmt: skip
        total += relu(h) * weights[c]
    return total


@njit(fastmath=FAST, cache=True)
def row_densities(folded, size, head, valid, axes, row, limit, sigma, seen):  # type: ignore[no-untyped-def]
    """Densities 1/m and masks of one row of a grid into sigma and seen (columns,levels).

    sigma is 0 where unseen. A column ends where its sum of densities, unseen levels counting as 1,
    has passed `limit`: the levels of later blocks stay as they were.
    """
    columns, levels = sigma.shape
    u_table, v_table, z_table, z_low, steps = head.u, head.v, head.z, head.z_low, head.steps
    waves, octaves = head.z_waves, head.octaves
    weights, bias = head.out, head.out_bias[0]
    right, down = np.uint64(head.hidden), np.uint64(head.hidden * size[1])
    last_u = np.int32(2 * steps) - np.int32(1)
    last_z = np.int32(z_table.shape[0] // head.hidden - 2)
    whole, part = np.zeros((INTEGERS, BLOCK), np.int32), np.zeros((FLOATS, BLOCK), np.float32)
    base = np.zeros(head.hidden, np.float32)
    upright = stands_upright(axes)
    for column in range(columns):
        running, based = np.float32(0), False
        for begin in range(0, levels, BLOCK):
            count = min(BLOCK, levels - begin)
            found = place(
                whole, part, axes, valid, size, head.slope, head.shift, steps,
                np.float32(column), np.float32(row), np.float32(begin), count,
            )  # fmt: skip
            if found == 0:
                for k in range(count):
                    sigma[column, begin + k], seen[column, begin + k] = 0, 0
                running += count
                continue
            for k in range(count):
                if whole[SEEN, k] == 0:
                    continue
                corner = np.uint64(whole[UPPER, k]) * down + np.uint64(whole[LEFT, k]) * right
                fx, fy, j, g = part[ACROSS, k], part[DOWN, k], whole[ENTRY, k], part[BETWEEN, k]
                u, mapped = part[U, k], part[MAPPED, k]
                at = (mapped - z_low) * steps
                if not upright and at <= np.float32(last_z + 1):
                    ju, gu = tap_table((u + np.float32(1)) * steps, last_u)
                    jz, gz = tap_table(at, last_z)
                    part[SIGMA, k] = bias + dot_relu_slanting(
                        folded, corner, right, down, fx, fy, v_table, j, g,
                        u_table, ju, gu, z_table, jz, gz, weights,
                    )  # fmt: skip
                    continue
                if not (upright and based):
                    fill_base(u_table, z_table, z_low, waves, octaves, steps, u, mapped, base)
                    based = True
                part[SIGMA, k] = bias + dot_relu(
                    folded, corner, right, down, fx, fy, v_table, j, g, base, weights
                )
            for k in range(BLOCK):
                part[SIGMA, k] = softplus(part[SIGMA, k])
            for k in range(count):
                inside = whole[SEEN, k] != 0
                seen[column, begin + k] = inside
                sigma[column, begin + k] = part[SIGMA, k] if inside else np.float32(0)
                running += part[SIGMA, k] if inside else np.float32(1)
            if running > limit:
                break


@njit(parallel=True, cache=True, fastmath=FAST)
def grid_densities(folded, size, head, valid, axes, levels, rows, columns, threads):  # type: ignore[no-untyped-def]
    """Densities (levels,rows,columns) 1/m, NaN where unseen."""
    out = np.empty((levels, rows, columns), np.float32)
    for part in prange(threads):
        sigma = np.zeros((columns, levels), np.float32)
        seen = np.zeros((columns, levels), np.uint8)
        # Rows are dealt out in turn: what is in view lies together.
        for row in range(part, rows, threads):
            row_densities(folded, size, head, valid, axes, row, np.float32(np.inf), sigma, seen)
            for level in range(levels):
                for column in range(columns):
                    inside = seen[column, level] != 0
                    out[level, row, column] = sigma[column, level] if inside else np.nan
    return out


@njit(parallel=True, cache=True, fastmath=FAST)
def column_sums(folded, size, head, valid, axes, levels, rows, columns, reach, threads):  # type: ignore[no-untyped-def]
    """Per column (rows,columns): sum of seen densities 1/m, levels seen, and levels lit.

    reach (h,w): depth over the image up to which light gets; a level no deeper is lit. Depths are
    those of q.
    """
    total = np.zeros((rows, columns), np.float32)
    seen_levels = np.zeros((rows, columns), np.int32)
    lit_levels = np.zeros((rows, columns), np.int32)
    for part in prange(threads):
        sigma = np.zeros((columns, levels), np.float32)
        seen = np.zeros((columns, levels), np.uint8)
        for row in range(part, rows, threads):
            row_densities(folded, size, head, valid, axes, row, np.float32(np.inf), sigma, seen)
            for column in range(columns):
                for k in range(levels):
                    if seen[column, k]:
                        qx, qy, qz = position(
                            axes, np.float32(column), np.float32(row), np.float32(k)
                        )
                        total[row, column] += sigma[column, k]
                        seen_levels[row, column] += 1
                        lit_levels[row, column] += is_lit(qx, qy, qz, reach)
    return total, seen_levels, lit_levels


@njit(parallel=True, cache=True)
def add_lit_cells(valid, axes, reach, found, threads):  # type: ignore[no-untyped-def]
    """Set found (levels,rows,columns) where a cell is in view and no deeper than the reach."""
    levels, rows, columns = found.shape
    for part in prange(threads):
        for row in range(part, rows, threads):
            for level in range(levels):
                for column in range(columns):
                    qx, qy, qz = position(
                        axes, np.float32(column), np.float32(row), np.float32(level)
                    )
                    if is_seen(qx, qy, qz, valid) and is_lit(qx, qy, qz, reach):
                        found[level, row, column] = True


@njit(parallel=True, cache=True, fastmath=FAST)
def transparent_levels(folded, size, head, valid, axes, levels, rows, columns, limit, threads):  # type: ignore[no-untyped-def]
    """How many levels (rows,columns) have a running sum of densities of at most `limit`.

    Unseen levels count as density 1, as the reference does. Densities are not negative, so that a
    column ends at the first level beyond the limit.
    """
    out = np.zeros((rows, columns), np.int32)
    for part in prange(threads):
        sigma = np.zeros((columns, levels), np.float32)
        seen = np.zeros((columns, levels), np.uint8)
        for row in range(part, rows, threads):
            row_densities(folded, size, head, valid, axes, row, limit, sigma, seen)
            for column in range(columns):
                running, below = np.float32(0), 0
                for k in range(levels):
                    running += sigma[column, k] if seen[column, k] else np.float32(1)
                    if running > limit:
                        break
                    below += 1
                out[row, column] = below
    return out
