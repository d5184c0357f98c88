"""Compiled CPU loops over columns of an affine grid, for a single-view head.

Where a grid is affine in the world, so are its homogeneous image positions: q(level, row, column)
= origin + column e_x + row e_y + level e_level, given as `axes` (4,3) in that order. No list of
points is made.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from kdbts_ros.density.kernels import add_depth_half, blend, is_lit, is_seen, tap, tap_table
from kdbts_ros.density.numeric import FAST, relu, softplus
from kdbts_ros.density.projection import MIN_DEPTH

_MIN_DEPTH = np.float32(MIN_DEPTH)
# Levels that are computed together: softplus and the geometry take eight lanes at a time.
BLOCK = 16
# Rows of the integer and of the float scratch of a block.
_SEEN, _ROW, _ENTRY = range(3)
_U, _MAPPED, _DOWN, _BETWEEN, _SIGMA = range(5)


@njit(cache=True, inline="always")
def position(axes, column, row, level):  # type: ignore[no-untyped-def]
    """q of a cell; column, row and level are float32."""
    qx = axes[0, 0] + column * axes[1, 0] + row * axes[2, 0] + level * axes[3, 0]
    qy = axes[0, 1] + column * axes[1, 1] + row * axes[2, 1] + level * axes[3, 1]
    qz = axes[0, 2] + column * axes[1, 2] + row * axes[2, 2] + level * axes[3, 2]
    return qx, qy, qz


@njit(fastmath=FAST, cache=True)
def place(whole, part, axes, valid, slope, shift, steps, height, column, row, begin, count):  # type: ignore[no-untyped-def]
    """Where `count` levels of a column fall, from `begin` on; returns how many are in view.

    whole (3,BLOCK) int32: in view, upper pixel of v, lower entry of the table of v. part (5,BLOCK):
    u, mapped depth, fraction of the pixel and of the entry; the last row is left alone.
    """
    one, half = np.float32(1), np.float32(0.5)
    ox, oy, oz = position(axes, column, row, begin)
    dx, dy, dz = axes[3, 0], axes[3, 1], axes[3, 2]
    bottom, limit = np.float32(height - 1), np.int32(height - 2)
    last = np.int32(2 * steps) - np.int32(1)
    for k in range(BLOCK):
        level = np.float32(k)
        qx, qy, qz = ox + level * dx, oy + level * dy, oz + level * dz
        inverse_z = one / max(qz, _MIN_DEPTH)
        whole[_SEEN, k] = (qz > _MIN_DEPTH) & (abs(qx) <= qz) & (abs(qy) <= qz) & (k < count)
        part[_U, k] = qx * inverse_z
        part[_MAPPED, k] = slope * inverse_z + shift
        # Out of view the numbers need only be harmless.
        v = min(max(qy * inverse_z, -one), one)
        y = min(max((v + one) * np.float32(height) * half - half, np.float32(0)), bottom)
        whole[_ROW, k] = min(np.int32(y), limit)
        part[_DOWN, k] = y - np.float32(whole[_ROW, k])
        at = (v + one) * steps
        whole[_ENTRY, k] = min(np.int32(at), last)
        part[_BETWEEN, k] = at - np.float32(whole[_ENTRY, k])
    found = 0
    for k in range(count):
        if whole[_SEEN, k] and valid.size > 1:
            level = np.float32(k)
            whole[_SEEN, k] = is_seen(ox + level * dx, oy + level * dy, oz + level * dz, valid)
        found += whole[_SEEN, k]
    return found


@njit(fastmath=FAST, cache=True)
def pixel_rows(folded, upper, left, fx, work):  # type: ignore[no-untyped-def]
    """Fill work[1] with work[0] plus the upper pixels' blend, work[2] with the step downwards."""
    for c in range(work.shape[1]):
        a = folded[upper, left, c]
        a += fx * (folded[upper, left + 1, c] - a)
        b = folded[upper + 1, left, c]
        b += fx * (folded[upper + 1, left + 1, c] - b)
        work[1, c] = a + work[0, c]
        work[2, c] = b - a


@njit(fastmath=FAST, cache=True)
def near_pre_density(folded, head, left, fx, upper, fy, u, j, g, mapped, work):  # type: ignore[no-untyped-def]
    """Pre-density without the bias of a point nearer than the table of depths goes."""
    ju, gu = tap_table(u, head.steps)
    blend(head.u, ju, gu, work)
    add_depth_half(head.z, head.z_low, head.steps, head.z_waves, head.octaves, mapped, work)
    pixel_rows(folded, upper, left, fx, work)
    total, weights = np.float32(0), head.out[0]
    for c in range(weights.shape[0]):
        low = head.v[j, c]
        h = work[1, c] + fy * work[2, c] + (low + g * (head.v[j + 1, c] - low))
        total += relu(h) * weights[c]
    return total


@njit(fastmath=FAST, cache=True)
def row_densities(folded, head, valid, axes, row, limit, sigma, seen):  # type: ignore[no-untyped-def]
    """Densities 1/m and masks of one row of a grid into sigma and seen (columns,levels).

    sigma is 0 where unseen. A column ends where its sum of densities, unseen levels counting as 1,
    has passed `limit`: the levels of later blocks stay as they were.
    """
    columns, levels = sigma.shape
    height, width, hidden = folded.shape[0], folded.shape[1], head.hidden
    u_table, v_table, z_table, steps = head.u, head.v, head.z, head.steps
    weights, bias, one = head.out[0], head.out_bias[0], np.float32(1)
    whole, part = np.zeros((3, BLOCK), np.int32), np.zeros((5, BLOCK), np.float32)
    work = np.zeros((3, hidden), np.float32)
    for column in range(columns):
        running = np.float32(0)
        for begin in range(0, levels, BLOCK):
            count = min(BLOCK, levels - begin)
            found = place(
                whole, part, axes, valid, head.slope, head.shift, steps, height,
                np.float32(column), np.float32(row), np.float32(begin), count,
            )  # fmt: skip
            if found == 0:
                for k in range(count):
                    sigma[column, begin + k], seen[column, begin + k] = 0, 0
                running += count
                continue
            for k in range(count):
                if whole[_SEEN, k] == 0:
                    continue
                u, mapped = part[_U, k], part[_MAPPED, k]
                upper, fy, j, g = (
                    whole[_ROW, k],
                    part[_DOWN, k],
                    whole[_ENTRY, k],
                    part[_BETWEEN, k],
                )
                left, fx = tap(u, width)
                at = (mapped - head.z_low) * steps
                jz = min(np.int32(at), np.int32(z_table.shape[0] - 2))
                gz = at - np.float32(jz)
                if gz > 1:
                    part[_SIGMA, k] = bias + near_pre_density(
                        folded, head, left, fx, upper, fy, u, j, g, mapped, work
                    )
                    continue
                ju, gu = tap_table(u, steps)
                w00, w01 = (one - fx) * (one - fy), fx * (one - fy)
                w10, w11 = (one - fx) * fy, fx * fy
                total = np.float32(0)
                for c in range(weights.shape[0]):
                    u_low, v_low, z_low = u_table[ju, c], v_table[j, c], z_table[jz, c]
                    h = folded[upper, left, c] * w00 + folded[upper, left + 1, c] * w01
                    h += folded[upper + 1, left, c] * w10 + folded[upper + 1, left + 1, c] * w11
                    h += u_low + gu * (u_table[ju + 1, c] - u_low)
                    h += v_low + g * (v_table[j + 1, c] - v_low)
                    h += z_low + gz * (z_table[jz + 1, c] - z_low)
                    total += relu(h) * weights[c]
                part[_SIGMA, k] = total + bias
            for k in range(BLOCK):
                part[_SIGMA, k] = softplus(part[_SIGMA, k])
            for k in range(count):
                inside = whole[_SEEN, k] != 0
                seen[column, begin + k] = inside
                sigma[column, begin + k] = part[_SIGMA, k] if inside else np.float32(0)
                running += part[_SIGMA, k] if inside else np.float32(1)
            if running > limit:
                break


@njit(parallel=True, cache=True, fastmath=FAST)
def grid_densities(folded, head, valid, axes, levels, rows, columns, threads):  # type: ignore[no-untyped-def]
    """Densities (levels,rows,columns) 1/m, NaN where unseen."""
    out = np.empty((levels, rows, columns), np.float32)
    for part in prange(threads):
        sigma = np.zeros((columns, levels), np.float32)
        seen = np.zeros((columns, levels), np.uint8)
        # Rows are dealt out in turn: what is in view lies together.
        for row in range(part, rows, threads):
            row_densities(folded, head, valid, axes, row, np.float32(np.inf), sigma, seen)
            for level in range(levels):
                for column in range(columns):
                    inside = seen[column, level] != 0
                    out[level, row, column] = sigma[column, level] if inside else np.nan
    return out


@njit(parallel=True, cache=True, fastmath=FAST)
def column_sums(folded, head, valid, axes, levels, rows, columns, reach, threads):  # type: ignore[no-untyped-def]
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
            row_densities(folded, head, valid, axes, row, np.float32(np.inf), sigma, seen)
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
def transparent_levels(folded, head, valid, axes, levels, rows, columns, limit, threads):  # type: ignore[no-untyped-def]
    """How many levels (rows,columns) have a running sum of densities of at most `limit`.

    Unseen levels count as density 1, as the reference does. Densities are not negative, so that a
    column ends at the first level beyond the limit.
    """
    out = np.zeros((rows, columns), np.int32)
    for part in prange(threads):
        sigma = np.zeros((columns, levels), np.float32)
        seen = np.zeros((columns, levels), np.uint8)
        for row in range(part, rows, threads):
            row_densities(folded, head, valid, axes, row, limit, sigma, seen)
            for column in range(columns):
                running, below = np.float32(0), 0
                for k in range(levels):
                    running += sigma[column, k] if seen[column, k] else np.float32(1)
                    if running > limit:
                        break
                    below += 1
                out[row, column] = below
    return out
