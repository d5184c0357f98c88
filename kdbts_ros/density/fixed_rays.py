"""Depth along the rays of the encoded camera itself, from a fixed-point map; see `kernels`."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from kdbts_ros.density.fixed_point import to_count
from kdbts_ros.density.kernels import DARK, composite_block, fill_fixed
from kdbts_ros.density.numeric import FAST, softplus
from kdbts_ros.density.vectors import LANES, add, add_wide, dot_pairs, load, nothing, rectify, total

_BLOCK, _LANES = 16, np.uint64(LANES)


@njit(fastmath=FAST, cache=True)
def round_to_counts(values, per_value, counts):  # type: ignore[no-untyped-def]
    """Fill counts (C,) int16 with values (C,) times per_value (C,)."""
    for c in range(values.shape[0]):
        counts[c] = to_count(values[c], per_value[c])


@njit(fastmath=FAST, cache=True)
def along_ray(counts, samples, out, first, count, back, bias, sigma):  # type: ignore[no-untyped-def]
    """Fill sigma with densities of `count` samples from `first` on, of a ray's counts (C,)."""
    width = np.uint64(counts.shape[0])
    for k in range(count):
        found, c, at = nothing(), np.uint64(0), np.uint64(first + k) * width
        while c < width:
            h = rectify(add(load(counts, c), load(samples, at + c)))
            found = add_wide(found, dot_pairs(h, load(out, c)))
            c += _LANES
        sigma[k] = np.float32(total(found)) * back + bias
    for k in range(sigma.shape[0]):
        sigma[k] = softplus(sigma[k])


@njit(fastmath=FAST, cache=True)
def ray_row(  # type: ignore[no-untyped-def]
    folded, size, u_half, v_half, along, per_value, out, back, bias, t, step, stop, i, shape,
    expected, median, opacity,
):  # fmt: skip
    """Fill row i of expected, median and opacity, each (w,), see `fixed_ray_depths`."""
    hidden, samples, (h, w) = per_value.shape[0], t.shape[0], shape
    stays, counts = np.empty(hidden, np.float32), np.empty(hidden, np.int16)
    sigma, state = np.zeros(_BLOCK, np.float32), np.empty(3, np.float32)
    for j in range(w):
        fill_fixed(folded, size, u_half, v_half, i, j, h, w, stays)
        round_to_counts(stays, per_value, counts)
        state[0], state[1], state[2] = 1, 0, 0
        for begin in range(0, samples, _BLOCK):
            count = min(_BLOCK, samples - begin)
            along_ray(counts, along, out, begin, count, back, bias, sigma)
            composite_block(sigma, step, t, begin, count, state)
            if state[0] <= stop:
                break
        expected[j] = state[1] + state[0] * t[samples - 1]
        median[j] = state[2] if state[2] > 0 else t[samples - 1]
        opacity[j] = 1 - state[0]


@njit(parallel=True, cache=True, fastmath=FAST)
def fixed_ray_depths(folded, size, head, fixed, halves, t, step, shape, stop, threads):  # type: ignore[no-untyped-def]
    """As `kernels.ray_depths`; the part that stays along a ray is summed up as floats."""
    (u_half, v_half, z_half), h, w = halves, shape[0], shape[1]
    expected = np.empty((h, w), np.float32)
    median = np.empty((h, w), np.float32)
    opacity = np.empty((h, w), np.float32)
    per_value = np.float32(1) / fixed.unit
    out, back, bias, hidden = fixed.out, fixed.back[0], head.out_bias[0], head.hidden
    along, dark = np.empty(z_half.shape[0], np.int16), max(stop, DARK)
    for k in range(t.shape[0]):
        begin, end = k * hidden, (k + 1) * hidden
        round_to_counts(z_half[begin:end], per_value, along[begin:end])
    for part in prange(threads):
        for i in range(part, h, threads):
            # In a function of its own: inside a parallel loop every call would count references.
            ray_row(
                folded, size, u_half, v_half, along, per_value, out, back, bias, t, step, dark, i,
                shape, expected[i], median[i], opacity[i],
            )  # fmt: skip
    return expected, median, opacity
