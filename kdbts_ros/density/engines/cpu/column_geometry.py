"""Where the cells of a column fall in the image, a block of levels at a time.

Where a grid is affine in the world, so are its homogeneous image positions: q(level, row, column)
= origin + column e_x + row e_y + level e_level, given as `axes` (4,3) in that order. No list of
points is made.
"""

from __future__ import annotations

import numpy as np

from kdbts_ros.density.engines.cpu.fast_math import FAST
from kdbts_ros.density.engines.cpu.points import is_seen, mapped_depth, tap_table
from kdbts_ros.density.network.projection import MIN_DEPTH
from kdbts_ros.loops import njit

_MIN_DEPTH = np.float32(MIN_DEPTH)
# Levels that are computed together: softplus and the geometry take eight lanes at a time.
BLOCK = 16
# Rows of the integer and of the float scratch of a block: in view, left and upper pixel, row of the
# table of v; u, mapped depth, fractions of the pixel and of the row, densities.
SEEN, LEFT, UPPER, ENTRY, INTEGERS = range(5)
U, MAPPED, ACROSS, DOWN, BETWEEN, SIGMA, FLOATS = range(7)
# Columns stand upright in the image if they move less than this through u and depth, as a share of
# what they move through v.
_UPRIGHT = np.float32(1e-6)


@njit(cache=True, inline="always")
def position(axes, column, row, level):  # type: ignore[no-untyped-def]
    """q of a cell; column, row and level are float32."""
    qx = axes[0, 0] + column * axes[1, 0] + row * axes[2, 0] + level * axes[3, 0]
    qy = axes[0, 1] + column * axes[1, 1] + row * axes[2, 1] + level * axes[3, 1]
    qz = axes[0, 2] + column * axes[1, 2] + row * axes[2, 2] + level * axes[3, 2]
    return qx, qy, qz


@njit(fastmath=FAST, cache=True)
def place(indices, numbers, axes, valid, size, head, column, row, begin, count):  # type: ignore[no-untyped-def]
    """Where `count` levels of a column fall, from `begin` on; returns how many are in view.

    Fills indices (INTEGERS,BLOCK) int32 and numbers (FLOATS,BLOCK), all but the densities. Out of
    view the numbers need only be harmless.
    """
    one, half, zero = np.float32(1), np.float32(0.5), np.float32(0)
    height, width = size
    ox, oy, oz = position(axes, column, row, begin)
    dx, dy, dz = axes[3, 0], axes[3, 1], axes[3, 2]
    bottom, edge = np.float32(height - 1), np.float32(width - 1)
    last = np.int32(2 * head.steps) - np.int32(1)
    for k in range(BLOCK):
        level = np.float32(k)
        qx, qy, qz = ox + level * dx, oy + level * dy, oz + level * dz
        z = max(qz, _MIN_DEPTH)
        inverse_z = one / z
        indices[SEEN, k] = (qz > _MIN_DEPTH) & (abs(qx) <= qz) & (abs(qy) <= qz) & (k < count)
        u, v = min(max(qx * inverse_z, -one), one), min(max(qy * inverse_z, -one), one)
        numbers[U, k], numbers[MAPPED, k] = u, mapped_depth(z, head)
        x = min(max((u + one) * np.float32(width) * half - half, zero), edge)
        y = min(max((v + one) * np.float32(height) * half - half, zero), bottom)
        left, upper = min(np.int32(x), np.int32(width - 2)), min(np.int32(y), np.int32(height - 2))
        indices[LEFT, k], numbers[ACROSS, k] = left, x - np.float32(left)
        indices[UPPER, k], numbers[DOWN, k] = upper, y - np.float32(upper)
        indices[ENTRY, k], numbers[BETWEEN, k] = tap_table((v + one) * head.steps, last)
    found = 0
    for k in range(count):
        if indices[SEEN, k] and valid.size > 1:
            level = np.float32(k)
            indices[SEEN, k] = is_seen(ox + level * dx, oy + level * dy, oz + level * dz, valid)
        found += indices[SEEN, k]
    return found


@njit(cache=True)
def stands_upright(axes):  # type: ignore[no-untyped-def]
    """Whether columns have one u and one depth each, as those of a level camera do."""
    least = _UPRIGHT * abs(axes[3, 1])
    return abs(axes[3, 0]) <= least and abs(axes[3, 2]) <= least
