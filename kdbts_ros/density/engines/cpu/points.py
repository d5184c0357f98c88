"""Compiled CPU loops of a single-view head over its folded map.

A folded map already holds the feature half of the head's first layer, so that a density costs a
gather, the positional half from tables, one ReLU and one dot product. Arrays are float32 and
C-contiguous. A position is homogeneous: q = (u z, v z, z), u and v in [-1,1] over the image.

A folded map of `size` (height, width) is one long row of numbers, pixel by pixel, and so are
tables: an unsigned offset into a row costs an addition, while an index for every axis, which might
be negative, costs more than what is done with the numbers it finds.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from kdbts_ros.density.engines.cpu.fast_math import FAST, relu, softplus
from kdbts_ros.density.network.projection import MIN_DEPTH
from kdbts_ros.loops import njit

_MIN_DEPTH = np.float32(MIN_DEPTH)
_KEEP_ORDER = {"contract", "nsz"}


@njit(cache=True)
def is_seen(qx, qy, qz, valid):  # type: ignore[no-untyped-def]
    """Whether q falls into the image, its border included, and where the image is valid.

    valid (h,w) uint8 over the whole image.
    """
    if not (qz > _MIN_DEPTH and abs(qx) <= qz and abs(qy) <= qz):
        return False
    h, w = valid.shape
    if h * w == 1:
        return valid[0, 0] != 0
    half, one = np.float32(0.5), np.float32(1)
    row = min(np.int32((qy / qz + one) * half * np.float32(h)), np.int32(h - 1))
    column = min(np.int32((qx / qz + one) * half * np.float32(w)), np.int32(w - 1))
    return valid[row, column] != 0


@njit(cache=True)
def tap(position, size):  # type: ignore[no-untyped-def]
    """Lower neighbour and fraction of a position in [-1,1] on an axis of `size` pixels."""
    half, one = np.float32(0.5), np.float32(1)
    x = (position + one) * np.float32(size) * half - half
    x = min(max(x, np.float32(0)), np.float32(size - 1))
    low = min(np.int32(x), np.int32(size - 2))
    return low, x - np.float32(low)


# Nearer to nothing no depth is that anything is asked of, m.
LEAST = np.float32(1e-6)


@njit(inline="always")
def mapped_depth(z, head):  # type: ignore[no-untyped-def]
    """`positional_encoding.map_depth` of a head, see `HeadArrays`.

    Behind a camera, where nobody is told the answer, the sum may be 0, which compiled code raises
    as an error.
    """
    return head.slope / max(z + head.offset, LEAST) + head.shift


@njit(fastmath=FAST, cache=True)
def add_waves(waves, octaves, mapped, base):  # type: ignore[no-untyped-def]
    """Add to base (hidden,) what a mapped depth beyond the table contributes, with the bias.

    waves (14,hidden) as in `HeadArrays.z_waves`.
    """
    for c in range(base.shape[0]):
        base[c] += waves[13, c] + mapped * waves[0, c]
    for k in range(octaves.shape[0]):
        sine = np.float32(np.sin(mapped * octaves[k]))
        cosine = np.float32(np.cos(mapped * octaves[k]))
        for c in range(base.shape[0]):
            base[c] += sine * waves[1 + 2 * k, c] + cosine * waves[2 + 2 * k, c]


@njit(inline="always")
def tap_table(at, last):  # type: ignore[no-untyped-def]
    """Lower row and fraction of a position in a table, whose last row but one is `last`."""
    j = min(max(np.int32(at), np.int32(0)), last)
    return j, at - np.float32(j)


@njit(inline="always")
def fill_base(u_table, z_table, z_low, waves, octaves, steps, u, mapped, base):  # type: ignore[no-untyped-def]
    """Fill base (hidden,) with what u and the mapped depth add to the first layer, and its bias."""
    width, one = np.uint64(base.shape[0]), np.float32(1)
    last = np.int32(z_table.shape[0] // base.shape[0] - 2)
    at = (mapped - z_low) * steps
    j, g = tap_table((u + one) * steps, np.int32(2 * steps) - np.int32(1))
    p, f = np.uint64(j) * width, one - g
    if at > np.float32(last + 1):
        for c in range(width):
            base[c] = u_table[p + c] * f + u_table[p + width + c] * g
        add_waves(waves, octaves, mapped, base)
        return
    k, gz = tap_table(at, last)
    q, fz = np.uint64(k) * width, one - gz
    for c in range(width):
        h = u_table[p + c] * f + u_table[p + width + c] * g
        base[c] = h + z_table[q + c] * fz + z_table[q + width + c] * gz


# The order of these sums matters: as one chain of additions, each would wait for the one before.
# Without "reassoc" it stays as it is written.


@njit(fastmath=_KEEP_ORDER, cache=True)
def sum_of_six(base, w, m00, m01, m10, m11, g, low, high):  # type: ignore[no-untyped-def]
    """base + a bilinear and a linear interpolation; w the four weights of the pixels."""
    upper, lower = m00 * w[0] + m01 * w[1], m10 * w[2] + m11 * w[3]
    return (base + upper) + (lower + (low * (np.float32(1) - g) + high * g))


@njit(inline="always")
def dot_relu(folded, corner, right, down, fx, fy, v_table, j, g, base, weights):  # type: ignore[no-untyped-def]
    """Sum of weights times the rectified hidden layer: base, map and v's part.

    The map's four pixels begin at `corner`, and at `right` and `down` of it; j and g are
    `tap_table`'s of v.
    """
    width, one = np.uint64(base.shape[0]), np.float32(1)
    w = (one - fx) * (one - fy), fx * (one - fy), (one - fx) * fy, fx * fy
    beside, below, across = corner + right, corner + down, corner + right + down
    p = np.uint64(j) * width
    total = np.float32(0)
    for c in range(width):
        h = sum_of_six(
            base[c], w, folded[corner + c], folded[beside + c], folded[below + c],
            folded[across + c], g, v_table[p + c], v_table[p + width + c],
        )  # fmt: skip
        total += relu(h) * weights[c]
    return total


# In one pass: numpy's product of so thin matrices takes three times as long.
@njit(nogil=True, cache=True)
def project_points(P, points):  # type: ignore[no-untyped-def]
    """q (N,3) float32 of points (N,3), by P (3,4); both float64, and only the result rounded."""
    out = np.empty(points.shape, np.float32)
    for i in range(points.shape[0]):
        out[i, 0], out[i, 1], out[i, 2] = project(P, points, i)
    return out


@njit(inline="always")
def project(P, points, i):  # type: ignore[no-untyped-def]
    """q of one point: see `project_points`."""
    x, y, z = points[i, 0], points[i, 1], points[i, 2]
    return (
        np.float32(P[0, 0] * x + P[0, 1] * y + P[0, 2] * z + P[0, 3]),
        np.float32(P[1, 0] * x + P[1, 1] * y + P[1, 2] * z + P[1, 3]),
        np.float32(P[2, 0] * x + P[2, 1] * y + P[2, 2] * z + P[2, 3]),
    )


@njit(cache=True)
def mark_seen(P, points, valid, out):  # type: ignore[no-untyped-def]
    """Set out (N,) bool where a view with P (3,4) has points (N,3) in view."""
    for i in range(points.shape[0]):
        qx, qy, qz = project(P, points, i)
        if is_seen(qx, qy, qz, valid):
            out[i] = True


@njit(cache=True)
def mark_visible(P, points, valid, visibility, out):  # type: ignore[no-untyped-def]
    """Set out (N,) bool where they are in view and no deeper than the visibility (h,w) there."""
    for i in range(points.shape[0]):
        qx, qy, qz = project(P, points, i)
        if is_seen(qx, qy, qz, valid) and is_visible(qx, qy, qz, visibility):
            out[i] = True


@njit(cache=True)
def is_visible(qx, qy, qz, visibility):  # type: ignore[no-untyped-def]
    """Whether a seen position lies no deeper than the visibility of its pixel."""
    h, w = visibility.shape
    half, one = np.float32(0.5), np.float32(1)
    row = min(np.int32((qy / qz + one) * half * np.float32(h)), np.int32(h - 1))
    column = min(np.int32((qx / qz + one) * half * np.float32(w)), np.int32(w - 1))
    return qz <= visibility[row, column]


@njit(fastmath=FAST, cache=True)
def densities_of(folded, size, head, valid, q, first, last, out):  # type: ignore[no-untyped-def]
    """Fill out[first:last] with the densities of `point_densities`."""
    height, width = size
    u_table, v_table, z_table, z_low, steps = head.u, head.v, head.z, head.z_low, head.steps
    waves, octaves, weights, bias = head.z_waves, head.octaves, head.out, head.out_bias[0]
    right, down, one = np.uint64(head.hidden), np.uint64(head.hidden * width), np.float32(1)
    last_row = np.int32(2 * steps) - np.int32(1)
    base = np.empty(head.hidden, np.float32)
    for i in range(first, last):
        if not is_seen(q[i, 0], q[i, 1], q[i, 2], valid):
            out[i] = np.nan
            continue
        inverse_z = one / q[i, 2]
        u, v, mapped = q[i, 0] * inverse_z, q[i, 1] * inverse_z, mapped_depth(q[i, 2], head)
        fill_base(u_table, z_table, z_low, waves, octaves, steps, u, mapped, base)
        left, fx = tap(u, width)
        upper, fy = tap(v, height)
        j, g = tap_table((v + one) * steps, last_row)
        corner = np.uint64(upper) * down + np.uint64(left) * right
        out[i] = bias + dot_relu(folded, corner, right, down, fx, fy, v_table, j, g, base, weights)
        out[i] = softplus(out[i])


@njit(parallel=True, nogil=True, cache=True, fastmath=FAST)
def point_densities(folded, size, head, valid, q, threads):  # type: ignore[no-untyped-def]
    """Densities (N,) 1/m at q (N,3), NaN where unseen; valid: see `is_seen`."""
    out = np.empty(q.shape[0], np.float32)
    for thread in prange(threads):
        first, last = thread * q.shape[0] // threads, (thread + 1) * q.shape[0] // threads
        densities_of(folded, size, head, valid, q, first, last, out)
    return out


@njit(nogil=True, cache=True, fastmath=FAST)
def densities_here(folded, size, head, valid, q):  # type: ignore[no-untyped-def]
    """`point_densities` in the thread that asks, whatever others compute."""
    out = np.empty(q.shape[0], np.float32)
    densities_of(folded, size, head, valid, q, 0, q.shape[0], out)
    return out
