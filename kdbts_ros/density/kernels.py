"""Compiled CPU loops of a single-view head over its folded map.

A folded map already holds the feature half of the head's first layer, so that a density costs a
gather, the positional half from tables, one ReLU and one dot product. Arrays are float32 and
C-contiguous. A position is homogeneous: q = (u z, v z, z), u and v in [-1,1] over the image.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from kdbts_ros.density.numeric import FAST, exp_of_negative, relu, softplus
from kdbts_ros.density.projection import MIN_DEPTH

_MIN_DEPTH = np.float32(MIN_DEPTH)
# Light below this share of what set out cannot move a depth by more than a millimetre in a hundred
# metres.
_DARK = np.float32(1e-5)


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


@njit(fastmath=FAST, cache=True)
def blend(table, j, g, work):  # type: ignore[no-untyped-def]
    """Fill work[0] with the table's row j + g."""
    for c in range(work.shape[1]):
        low = table[j, c]
        work[0, c] = low + g * (table[j + 1, c] - low)


@njit(fastmath=FAST, cache=True)
def add_depth_half(table, low, steps, waves, octaves, mapped, work):  # type: ignore[no-untyped-def]
    """Add to work[0] what the mapped depth contributes, with the first layer's bias.

    table from mapped depth `low` on; beyond its end waves (14,hidden), the last row the bias.
    """
    at = (mapped - low) * steps
    if at < table.shape[0] - 1:
        j = np.int32(at)
        g = at - np.float32(j)
        for c in range(work.shape[1]):
            a = table[j, c]
            work[0, c] += a + g * (table[j + 1, c] - a)
        return
    for c in range(work.shape[1]):
        work[0, c] += waves[13, c] + mapped * waves[0, c]
    for k in range(octaves.shape[0]):
        sine = np.float32(np.sin(mapped * octaves[k]))
        cosine = np.float32(np.cos(mapped * octaves[k]))
        for c in range(work.shape[1]):
            work[0, c] += sine * waves[1 + 2 * k, c] + cosine * waves[2 + 2 * k, c]


@njit(fastmath=FAST, cache=True)
def pixel(folded, u, v, work):  # type: ignore[no-untyped-def]
    """Fill work[1] with the map at (u, v), bilinear, border kept."""
    left, fx = tap(u, folded.shape[1])
    upper, fy = tap(v, folded.shape[0])
    for c in range(work.shape[1]):
        low = folded[upper, left, c]
        low += fx * (folded[upper, left + 1, c] - low)
        high = folded[upper + 1, left, c]
        high += fx * (folded[upper + 1, left + 1, c] - high)
        work[1, c] = low + fy * (high - low)


@njit(cache=True)
def tap_table(position, steps):  # type: ignore[no-untyped-def]
    """Lower neighbour and fraction of a position in [-1,1] in the tables of u and v."""
    at = (position + np.float32(1)) * steps
    j = min(max(np.int32(at), np.int32(0)), np.int32(2 * steps) - np.int32(1))
    return j, at - np.float32(j)


@njit(fastmath=FAST, cache=True)
def begin_hidden(folded, head, q, work):  # type: ignore[no-untyped-def]
    """Fill work[0] with what u and depth of a seen q (3,) contribute, work[1] with the map there.

    Lower neighbour and fraction in the table of v: its part belongs into the loop that adds all up.
    """
    steps = head.steps
    inverse_z = np.float32(1) / q[2]
    u, v = q[0] * inverse_z, q[1] * inverse_z
    j, g = tap_table(u, steps)
    blend(head.u, j, g, work)
    mapped = head.slope * inverse_z + head.shift
    add_depth_half(head.z, head.z_low, steps, head.z_waves, head.octaves, mapped, work)
    pixel(folded, u, v, work)
    return tap_table(v, steps)


@njit(cache=True)
def seen_points(q, valid):  # type: ignore[no-untyped-def]
    """(N,) bool: which of q (N,3) are in view."""
    out = np.empty(q.shape[0], np.bool_)
    for i in range(q.shape[0]):
        out[i] = is_seen(q[i, 0], q[i, 1], q[i, 2], valid)
    return out


@njit(cache=True)
def lit_points(q, valid, reach):  # type: ignore[no-untyped-def]
    """(N,) bool: which of q (N,3) are in view and no deeper than the reach (h,w) there."""
    out = np.empty(q.shape[0], np.bool_)
    for i in range(q.shape[0]):
        seen = is_seen(q[i, 0], q[i, 1], q[i, 2], valid)
        out[i] = seen and is_lit(q[i, 0], q[i, 1], q[i, 2], reach)
    return out


@njit(cache=True)
def is_lit(qx, qy, qz, reach):  # type: ignore[no-untyped-def]
    """Whether a seen position lies no deeper than the reach of its pixel."""
    h, w = reach.shape
    half, one = np.float32(0.5), np.float32(1)
    row = min(np.int32((qy / qz + one) * half * np.float32(h)), np.int32(h - 1))
    column = min(np.int32((qx / qz + one) * half * np.float32(w)), np.int32(w - 1))
    return qz <= reach[row, column]


@njit(parallel=True, cache=True, fastmath=FAST)
def point_densities(folded, head, valid, q, threads):  # type: ignore[no-untyped-def]
    """Densities (N,) 1/m at q (N,3), NaN where unseen. folded (H,W,C), valid see `is_seen`."""
    out = np.empty(q.shape[0], np.float32)
    weights, bias = head.out[0], head.out_bias[0]
    for part in prange(threads):
        work = np.empty((2, head.hidden), np.float32)
        for i in range(part * q.shape[0] // threads, (part + 1) * q.shape[0] // threads):
            if not is_seen(q[i, 0], q[i, 1], q[i, 2], valid):
                out[i] = np.nan
                continue
            j, g = begin_hidden(folded, head, q[i], work)
            total = np.float32(0)
            for c in range(weights.shape[0]):
                low = head.v[j, c]
                h = work[0, c] + work[1, c] + (low + g * (head.v[j + 1, c] - low))
                total += relu(h) * weights[c]
            out[i] = softplus(total + bias)
    return out


@njit(fastmath=FAST, cache=True)
def composite_block(sigma, step, t, begin, count, state):  # type: ignore[no-untyped-def]
    """Let `count` samples from `begin` on stop light: sigma (count,) 1/m, step and t (S,) m.

    state (3,): light left, expected depth so far, and the depth where half was gone, 0 before.
    """
    for k in range(count):
        left = state[0] * exp_of_negative(-sigma[k] * step[begin + k])
        if state[0] > 0.5 and left <= 0.5:
            state[2] = t[begin + k]
        state[1] += (state[0] - left) * t[begin + k]
        state[0] = left


@njit(parallel=True, cache=True, fastmath=FAST)
def composite_rays(sigma, step, t, begin, states, threads):  # type: ignore[no-untyped-def]
    """The same for many rays: sigma (R,count), states (R,3)."""
    for part in prange(threads):
        for i in range(part * states.shape[0] // threads, (part + 1) * states.shape[0] // threads):
            composite_block(sigma[i], step, t, begin, sigma.shape[1], states[i])


@njit(parallel=True, cache=True, fastmath=FAST)
def ray_depths(folded, head, u_half, v_half, z_half, t, step, stop, threads):  # type: ignore[no-untyped-def]
    """Depth along rays of the encoded camera itself, on a grid of (h,w) pixels over its image.

    The map is looked up once per ray. u_half (w,hidden), v_half (h,hidden), z_half (S,hidden): the
    first layer's positional half by column, row and sample, one with the bias; t (S,) depths and
    step (S,) the lengths behind them. `stop`: a ray ends when no more light than this is left.
    Returns expected depth with a forced last sample, median depth (t[-1] where half the light
    passes) and opacity before the last was forced, each (h,w).
    """
    height, width = folded.shape[0], folded.shape[1]
    h, w, samples = v_half.shape[0], u_half.shape[0], t.shape[0]
    expected = np.empty((h, w), np.float32)
    median = np.empty((h, w), np.float32)
    opacity = np.empty((h, w), np.float32)
    weights, bias, block = head.out[0], head.out_bias[0], 16
    dark = max(stop, _DARK)
    for part in prange(threads):
        fixed = np.empty(head.hidden, np.float32)
        sigma, state = np.zeros(block, np.float32), np.empty(3, np.float32)
        for i in range(part, h, threads):
            row, fy = tap(np.float32((i + 0.5) / h * 2 - 1), height)
            for j in range(w):
                column, fx = tap(np.float32((j + 0.5) / w * 2 - 1), width)
                for c in range(head.hidden):
                    low = folded[row, column, c]
                    low += fx * (folded[row, column + 1, c] - low)
                    high = folded[row + 1, column, c]
                    high += fx * (folded[row + 1, column + 1, c] - high)
                    fixed[c] = low + fy * (high - low) + u_half[j, c] + v_half[i, c]
                state[0], state[1], state[2] = 1, 0, 0
                for begin in range(0, samples, block):
                    count = min(block, samples - begin)
                    for k in range(count):
                        total = np.float32(0)
                        for c in range(weights.shape[0]):
                            total += relu(fixed[c] + z_half[begin + k, c]) * weights[c]
                        sigma[k] = total + bias
                    for k in range(block):
                        sigma[k] = softplus(sigma[k])
                    composite_block(sigma, step, t, begin, count, state)
                    if state[0] <= dark:
                        break
                expected[i, j] = state[1] + state[0] * t[samples - 1]
                median[i, j] = state[2] if state[2] > 0 else t[samples - 1]
                opacity[i, j] = 1 - state[0]
    return expected, median, opacity
