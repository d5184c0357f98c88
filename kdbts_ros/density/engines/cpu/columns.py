"""Compiled CPU loops over columns of an affine grid, for a single-view head.

For `axes` see `column_geometry`, for `folded` and `size` see `points`. Columns that stand upright
in the image are those of `upright_columns`.
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
    SIGMA,
    UPPER,
    U,
    place,
    position,
    stands_upright,
)
from kdbts_ros.density.engines.cpu.fast_math import FAST, exp_of_negative, relu, softplus
from kdbts_ros.density.engines.cpu.int16_loops import CODES, code_block, int16_slanting
from kdbts_ros.density.engines.cpu.points import (
    dot_relu,
    fill_base,
    is_visible,
    sum_of_six,
    tap_table,
)
from kdbts_ros.density.engines.cpu.upright_columns import UNSEEN, upright_rows
from kdbts_ros.loops import njit

# Rows of a grid that are answered together, see `upright_rows`.
TILE = 6


@njit(inline="always")
def dot_relu_slanting(  # type: ignore[no-untyped-def]
    folded, corner, right, down, fx, fy, v_table, j, g, u_table, ju, gu, z_table, jz, gz, weights
):
    """`points.dot_relu` with a base that is read from the tables on the way."""
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
def slanting_row(folded, size, head, int16, valid, axes, row, limit, visibility, sigma, visible):  # type: ignore[no-untyped-def]
    """One row of `tile_densities`, of columns that need not stand upright."""
    columns, levels = sigma.shape
    u_table, v_table, z_table, z_low, steps = head.u, head.v, head.z, head.z_low, head.steps
    waves, octaves, weights, bias = head.z_waves, head.octaves, head.out, head.out_bias[0]
    right, down = np.uint64(head.hidden), np.uint64(head.hidden * size[1])
    last_u = np.int32(2 * steps) - np.int32(1)
    last_z = np.int32(z_table.shape[0] // head.hidden - 2)
    indices, numbers = np.zeros((INTEGERS, BLOCK), np.int32), np.zeros((FLOATS, BLOCK), np.float32)
    base = np.zeros(head.hidden, np.float32)
    codes = np.zeros((CODES, BLOCK), np.int32)
    counts, int16_u, int16_v, int16_z = int16.features, int16.u, int16.v, int16.z
    ratio, out, int16_steps = int16.ratio, int16.out, int16.steps
    back = int16.back[0] if counts.size > 0 else np.float32(0)
    z_rows = np.int32(int16_z.shape[0] // head.hidden)
    for column in range(columns):
        running = np.float32(0)
        sigma[column], visible[column] = UNSEEN, 0
        for begin in range(0, levels, BLOCK):
            count = min(BLOCK, levels - begin)
            found = place(
                indices, numbers, axes, valid, size, head,
                np.float32(column), np.float32(row), np.float32(begin), count,
            )  # fmt: skip
            running += np.float32(count - found)
            if found == 0:
                continue
            if counts.size > 0:
                code_block(indices, numbers, codes, z_low, z_rows, steps, int16_steps)
            for k in range(count):
                if indices[SEEN, k] == 0:
                    continue
                in_tables = (numbers[MAPPED, k] - z_low) * steps <= np.float32(last_z + 1)
                if counts.size > 0 and in_tables:
                    numbers[SIGMA, k] = bias + back * np.float32(
                        int16_slanting(
                            counts, int16_u, int16_v, int16_z, ratio, out, down, codes, k
                        )
                    )
                    continue
                corner = np.uint64(indices[UPPER, k]) * down + np.uint64(indices[LEFT, k]) * right
                fx, fy, j, g = (
                    numbers[ACROSS, k],
                    numbers[DOWN, k],
                    indices[ENTRY, k],
                    numbers[BETWEEN, k],
                )
                u, mapped = numbers[U, k], numbers[MAPPED, k]
                at = (mapped - z_low) * steps
                if in_tables:
                    ju, gu = tap_table((u + np.float32(1)) * steps, last_u)
                    jz, gz = tap_table(at, last_z)
                    numbers[SIGMA, k] = bias + dot_relu_slanting(
                        folded, corner, right, down, fx, fy, v_table, j, g,
                        u_table, ju, gu, z_table, jz, gz, weights,
                    )  # fmt: skip
                else:
                    fill_base(u_table, z_table, z_low, waves, octaves, steps, u, mapped, base)
                    numbers[SIGMA, k] = bias + dot_relu(
                        folded, corner, right, down, fx, fy, v_table, j, g, base, weights
                    )
            for k in range(BLOCK):
                numbers[SIGMA, k] = softplus(numbers[SIGMA, k])
            for k in range(count):
                if indices[SEEN, k] == 0:
                    continue
                sigma[column, begin + k] = numbers[SIGMA, k]
                running += numbers[SIGMA, k]
                if visibility.size == 0:
                    continue
                qx, qy, qz = position(
                    axes, np.float32(column), np.float32(row), np.float32(begin + k)
                )
                visible[column, begin + k] = is_visible(qx, qy, qz, visibility)
            if running > limit:
                break


@njit(fastmath=FAST, cache=True)
def tile_densities(  # type: ignore[no-untyped-def]
    folded, size, head, int16, valid, axes, first, limit, visibility, sigma, visible
):
    """Fill sigma, densities 1/m, and visible (rows,columns,levels each), from row `first` on.

    sigma is UNSEEN where no pixel shows a level. visible: seen and no deeper than the visibility
    (h,w) over the image; an empty visibility asks for none. A column ends where its sum of
    densities, unseen levels counting as 1, has passed `limit`: later blocks of levels stay UNSEEN.
    """
    if stands_upright(axes):
        upright_rows(
            folded, size, head, int16, valid, axes, first, limit, visibility, sigma, visible
        )
        return
    for row in range(sigma.shape[0]):
        slanting_row(
            folded,
            size,
            head,
            int16,
            valid,
            axes,
            first + row,
            limit,
            visibility,
            sigma[row],
            visible[row],
        )


@njit(parallel=True, nogil=True, cache=True, fastmath=FAST)
def grid_densities(folded, size, head, int16, valid, axes, levels, rows, columns, threads):  # type: ignore[no-untyped-def]
    """Densities (levels,rows,columns) 1/m, NaN where unseen."""
    out = np.empty((levels, rows, columns), np.float32)
    for thread in prange(threads):
        sigma = np.zeros((TILE, columns, levels), np.float32)
        visible, unasked = np.zeros(sigma.shape, np.uint8), np.zeros((0, 0), np.float32)
        # Tiles are dealt out in turn: what is in view lies together.
        for first in range(thread * TILE, rows, threads * TILE):
            count = min(TILE, rows - first)
            tile_densities(
                folded, size, head, int16, valid, axes, first, np.float32(np.inf), unasked,
                sigma[:count], visible[:count],
            )  # fmt: skip
            # A row at a time: its densities stay in the first cache from level to level.
            for row in range(count):
                for level in range(levels):
                    for column in range(columns):
                        value = sigma[row, column, level]
                        out[level, first + row, column] = np.nan if value == UNSEEN else value
    return out


@njit(parallel=True, nogil=True, cache=True, fastmath=FAST)
def grid_occupancy(  # type: ignore[no-untyped-def]
    folded, size, head, int16, valid, axes, levels, rows, columns, visibility, length, threads
):
    """Opacity over `length` m, NaN where unseen, and visibility, both (levels,rows,columns)."""
    opacity = np.empty((levels, rows, columns), np.float32)
    observed = np.empty((levels, rows, columns), np.bool_)
    for thread in prange(threads):
        sigma = np.zeros((TILE, columns, levels), np.float32)
        visible = np.zeros(sigma.shape, np.uint8)
        for first in range(thread * TILE, rows, threads * TILE):
            count = min(TILE, rows - first)
            tile_densities(
                folded, size, head, int16, valid, axes, first, np.float32(np.inf), visibility,
                sigma[:count], visible[:count],
            )  # fmt: skip
            become_opacity(sigma.reshape(-1), length)
            for row in range(count):
                for level in range(levels):
                    for column in range(columns):
                        opacity[level, first + row, column] = sigma[row, column, level]
                        observed[level, first + row, column] = visible[row, column, level] != 0
    return opacity, observed


@njit(fastmath=FAST, cache=True)
def become_opacity(sigma, length):  # type: ignore[no-untyped-def]
    """Turn densities (N,) into opacities over `length` m; NaN where unseen or not a number."""
    for i in range(sigma.shape[0]):
        opacity = np.float32(1) - exp_of_negative(-length * abs(sigma[i]))
        sigma[i] = opacity if sigma[i] >= 0 else np.float32(np.nan)


@njit(parallel=True, nogil=True, cache=True, fastmath=FAST)
def column_sums(folded, size, head, int16, valid, axes, levels, rows, columns, visibility, threads):  # type: ignore[no-untyped-def]
    """Per column (rows,columns): sum of seen densities 1/m, levels seen, and levels visible.

    visibility (h,w): depth over the image up to which light gets; a level no deeper is visible.
    Depths are those of q.
    """
    total = np.zeros((rows, columns), np.float32)
    seen_levels = np.zeros((rows, columns), np.int32)
    visible_levels = np.zeros((rows, columns), np.int32)
    for thread in prange(threads):
        sigma = np.zeros((TILE, columns, levels), np.float32)
        visible = np.zeros(sigma.shape, np.uint8)
        for first in range(thread * TILE, rows, threads * TILE):
            count = min(TILE, rows - first)
            tile_densities(
                folded, size, head, int16, valid, axes, first, np.float32(np.inf), visibility,
                sigma[:count], visible[:count],
            )  # fmt: skip
            for row in range(count):
                for column in range(columns):
                    for k in range(levels):
                        if sigma[row, column, k] != UNSEEN:
                            total[first + row, column] += sigma[row, column, k]
                            seen_levels[first + row, column] += 1
                            visible_levels[first + row, column] += visible[row, column, k]
    return total, seen_levels, visible_levels


@njit(parallel=True, nogil=True, cache=True, fastmath=FAST)
def transparent_levels(  # type: ignore[no-untyped-def]
    folded, size, head, int16, valid, axes, levels, rows, columns, limit, threads
):
    """How many levels (rows,columns) have a running sum of densities of at most `limit`.

    Unseen levels count as density 1, as the reference does. Densities are not negative, so that a
    column ends at the first level beyond the limit.
    """
    out = np.zeros((rows, columns), np.int32)
    for thread in prange(threads):
        sigma = np.zeros((TILE, columns, levels), np.float32)
        visible, unasked = np.zeros(sigma.shape, np.uint8), np.zeros((0, 0), np.float32)
        for first in range(thread * TILE, rows, threads * TILE):
            count = min(TILE, rows - first)
            tile_densities(
                folded, size, head, int16, valid, axes, first, limit, unasked,
                sigma[:count], visible[:count],
            )  # fmt: skip
            for row in range(count):
                for column in range(columns):
                    out[first + row, column] = transparent(sigma[row, column], limit)
    return out


@njit(cache=True)
def transparent(sigma, limit):  # type: ignore[no-untyped-def]
    """How many of the first levels have a running sum of at most `limit`; sigma (levels,)."""
    running = np.float32(0)
    for k in range(sigma.shape[0]):
        running += np.float32(1) if sigma[k] == UNSEEN else sigma[k]
        if running > limit:
            return k
    return sigma.shape[0]
