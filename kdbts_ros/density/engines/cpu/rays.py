"""Compiled CPU loops of a single-view head along the rays of the encoded camera itself.

Every sample of such a ray projects to one pixel: the map is looked up once. First from a map of
floats, see `points`, then from one of integers, see `int16_map`.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from kdbts_ros.density.engines.cpu.fast_math import FAST, exp_of_negative, relu, softplus
from kdbts_ros.density.engines.cpu.int16_loops import between_pixels, corner, pixel_code
from kdbts_ros.density.engines.cpu.int16_map import to_count
from kdbts_ros.density.engines.cpu.points import tap
from kdbts_ros.density.engines.cpu.simd import (
    LANES,
    add,
    add_wide,
    dot_pairs,
    load,
    nothing,
    rectify,
    store,
    store_totals,
)
from kdbts_ros.loops import njit

# Light below this share of what set out cannot move a depth by more than a millimetre in a hundred
# metres.
DARK = np.float32(1e-5)
_BLOCK, _LANES = 16, np.uint64(LANES)
# Samples whose sums run side by side, and rows behind the last that they may read.
_TOGETHER, _SPARE = np.uint64(4), 3
# Optical depth behind which half the light is gone.
_HALF = np.float32(np.log(2))


@njit(fastmath=FAST, cache=True)
def within(before, passed, light):  # type: ignore[no-untyped-def]
    """Share of a step behind which no more than `light` is left, see `surface_depth`.

    before: what enters the step, above `light`; passed: share of it that leaves the step.
    """
    # Neither a logarithm of nothing nor a division by nothing, where light hardly changes.
    thickness = max(-np.log(max(passed, np.float32(1e-30))), np.float32(1e-6))
    return min(np.log(before / light) / thickness, np.float32(1))


@njit(fastmath=FAST, cache=True)
def composite_block(sigma, step, t, begin, count, state, light):  # type: ignore[no-untyped-def]
    """Let `count` samples from `begin` on stop light: sigma (count,) 1/m, step and t (S,) m.

    state (3,): light left, expected depth so far, and the depth where no more than `light` was
    left, 0 before it. sigma is scratch.
    """
    # Apart from the chain of products, so that eight lanes are taken at a time.
    for k in range(count):
        sigma[k] = exp_of_negative(-sigma[k] * step[begin + k])
    before, expected, surface = state[0], state[1], state[2]
    for k in range(count):
        left, depth = before * sigma[k], t[begin + k]
        # Numbers below the smallest normal one cost a hundred times as much; NaN must stay.
        left = np.float32(0) if left < 1e-30 else left
        if before > light and left <= light:
            surface = depth + within(before, sigma[k], light) * step[begin + k]
        expected += (before - left) * depth
        before = left
    state[0], state[1], state[2] = before, expected, surface


@njit(parallel=True, nogil=True, cache=True, fastmath=FAST)
def composite_rays(sigma, step, t, begin, states, light, threads):  # type: ignore[no-untyped-def]
    """The same for many rays: sigma (R,count), states (R,3)."""
    for thread in prange(threads):
        for i in range(
            thread * states.shape[0] // threads, (thread + 1) * states.shape[0] // threads
        ):
            composite_block(sigma[i], step, t, begin, sigma.shape[1], states[i], light)


@njit(fastmath=FAST, cache=True)
def fill_per_ray(folded, size, u_half, v_half, i, j, rows, columns, per_ray):  # type: ignore[no-untyped-def]
    """Fill per_ray (hidden,) with what stays the same along the ray of pixel (i, j)."""
    height, width = size
    row, fy = tap(np.float32((i + 0.5) / rows * 2 - 1), height)
    column, fx = tap(np.float32((j + 0.5) / columns * 2 - 1), width)
    hidden = np.uint64(per_ray.shape[0])
    corner = (np.uint64(row) * np.uint64(width) + np.uint64(column)) * hidden
    beside, down = corner + hidden, np.uint64(width) * hidden
    over, across = np.uint64(j) * hidden, np.uint64(i) * hidden
    for c in range(hidden):
        low, high = folded[corner + c], folded[corner + down + c]
        low += fx * (folded[beside + c] - low)
        high += fx * (folded[beside + down + c] - high)
        per_ray[c] = low + fy * (high - low) + u_half[over + c] + v_half[across + c]


@njit(parallel=True, nogil=True, cache=True, fastmath=FAST)
def ray_depths(folded, size, head, halves, t, step, shape, stop, light, threads):  # type: ignore[no-untyped-def]
    """Depth along rays of the encoded camera itself, on a grid of shape (h,w) over its image.

    The map is looked up once per ray. halves: the first layer's positional half, row by row, by
    column (w*hidden), row (h*hidden) and sample (S*hidden), one with the bias; t (S,) depths and
    step (S,) the lengths behind them. `stop`: a ray ends when no more light than this is left.
    Returns expected depth with a forced last sample, the depth where no more than `light` is left
    (t[-1] where more passes) and opacity before the last was forced, each (h,w).
    """
    u_half, v_half, z_half = halves
    h, w, samples = shape[0], shape[1], t.shape[0]
    expected = np.empty((h, w), np.float32)
    surface = np.empty((h, w), np.float32)
    opacity = np.empty((h, w), np.float32)
    weights, bias, block = head.out, head.out_bias[0], 16
    dark, hidden = max(stop, DARK), np.uint64(head.hidden)
    for thread in prange(threads):
        per_ray = np.empty(head.hidden, np.float32)
        sigma, state = np.zeros(block, np.float32), np.empty(3, np.float32)
        for i in range(thread, h, threads):
            for j in range(w):
                fill_per_ray(folded, size, u_half, v_half, i, j, h, w, per_ray)
                state[0], state[1], state[2] = 1, 0, 0
                for begin in range(0, samples, block):
                    count = min(block, samples - begin)
                    for k in range(count):
                        at, total = np.uint64(begin + k) * hidden, np.float32(0)
                        for c in range(hidden):
                            total += relu(per_ray[c] + z_half[at + c]) * weights[c]
                        sigma[k] = total + bias
                    for k in range(block):
                        sigma[k] = softplus(sigma[k])
                    composite_block(sigma, step, t, begin, count, state, light)
                    if state[0] <= dark:
                        break
                expected[i, j] = state[1] + state[0] * t[samples - 1]
                surface[i, j] = state[2] if state[2] > 0 else t[samples - 1]
                opacity[i, j] = 1 - state[0]
    return expected, surface, opacity


@njit(fastmath=FAST, cache=True)
def round_to_counts(values, per_value, counts):  # type: ignore[no-untyped-def]
    """Fill counts (C,) int16 with values (C,) times per_value (C,)."""
    for c in range(values.shape[0]):
        counts[c] = to_count(values[c], per_value[c])


@njit(fastmath=FAST, cache=True)
def rows_of_counts(values, per_value, more):  # type: ignore[no-untyped-def]
    """((n+more)*C,) int16: values (n*C), each row of C times per_value (C,), then zeros."""
    width = per_value.shape[0]
    counts = np.zeros(values.shape[0] + more * width, np.int16)
    for begin in range(0, values.shape[0], width):
        round_to_counts(values[begin : begin + width], per_value, counts[begin : begin + width])
    return counts


@njit(fastmath=FAST, cache=True)
def along_ray(counts, samples, out, first, count, back, bias, sums, sigma):  # type: ignore[no-untyped-def]
    """Fill sigma with densities of `count` samples from `first` on, of a ray's counts (C,).

    samples ((S+3)*C): so that four may be asked together at the end; sums (_BLOCK,) is scratch.
    """
    width, k = np.uint64(counts.shape[0]), np.uint64(0)
    while k < count:
        p0, q = (np.uint64(first) + k) * width, np.uint64(0)
        p1, p2, p3 = p0 + width, p0 + width + width, p0 + width + width + width
        a, b, c, d = nothing(), nothing(), nothing(), nothing()
        while q < width:
            ray, weights = load(counts, q), load(out, q)
            a = add_wide(a, dot_pairs(rectify(add(ray, load(samples, p0 + q))), weights))
            b = add_wide(b, dot_pairs(rectify(add(ray, load(samples, p1 + q))), weights))
            c = add_wide(c, dot_pairs(rectify(add(ray, load(samples, p2 + q))), weights))
            d = add_wide(d, dot_pairs(rectify(add(ray, load(samples, p3 + q))), weights))
            q += _LANES
        store_totals(sums, k, a, b, c, d)
        k += _TOGETHER
    for i in range(_BLOCK):
        sigma[i] = softplus(np.float32(sums[i]) * back + bias)


@njit(fastmath=FAST, cache=True)
def ray_row(  # type: ignore[no-untyped-def]
    folded, size, u_half, v_half, along, per_value, out, back, bias, t, step, stop, light, i, shape,
    expected, surface, opacity,
):  # fmt: skip
    """Fill row i of expected, surface and opacity, each (w,), see `int16_ray_depths`."""
    hidden, samples, (h, w) = per_value.shape[0], t.shape[0], shape
    per_ray, counts = np.empty(hidden, np.float32), np.empty(hidden, np.int16)
    sigma, state = np.zeros(_BLOCK, np.float32), np.empty(3, np.float32)
    sums = np.zeros(_BLOCK, np.int32)
    for j in range(w):
        fill_per_ray(folded, size, u_half, v_half, i, j, h, w, per_ray)
        round_to_counts(per_ray, per_value, counts)
        state[0], state[1], state[2] = 1, 0, 0
        for begin in range(0, samples, _BLOCK):
            count = min(_BLOCK, samples - begin)
            along_ray(counts, along, out, begin, count, back, bias, sums, sigma)
            composite_block(sigma, step, t, begin, count, state, light)
            if state[0] <= stop:
                break
        expected[j] = state[1] + state[0] * t[samples - 1]
        surface[j] = state[2] if state[2] > 0 else t[samples - 1]
        opacity[j] = 1 - state[0]


@njit(parallel=True, nogil=True, cache=True, fastmath=FAST)
def int16_ray_depths(folded, size, head, int16, halves, t, step, shape, stop, light, threads):  # type: ignore[no-untyped-def]
    """As `ray_depths`; what stays the same along a ray is summed up as floats."""
    (u_half, v_half, z_half), h, w = halves, shape[0], shape[1]
    expected = np.empty((h, w), np.float32)
    surface = np.empty((h, w), np.float32)
    opacity = np.empty((h, w), np.float32)
    per_value, dark = np.float32(1) / int16.unit, max(stop, DARK)
    out, back, bias = int16.out, int16.back[0], head.out_bias[0]
    along = rows_of_counts(z_half, per_value, _SPARE)
    for thread in prange(threads):
        for i in range(thread, h, threads):
            # In a function of its own: inside a parallel loop every call would count references.
            ray_row(
                folded, size, u_half, v_half, along, per_value, out, back, bias, t, step, dark,
                light, i, shape, expected[i], surface[i], opacity[i],
            )  # fmt: skip
    return expected, surface, opacity


@njit(fastmath=FAST, cache=True)
def visibility_row(  # type: ignore[no-untyped-def]
    int16, size, across, row_counts, along, bias, t, step, i, shape, visibility
):
    """Fill row i (w,) of `int16_ray_visibility`."""
    samples, (h, w), width = t.shape[0], shape, np.uint64(row_counts.shape[0])
    counts, sigma = np.empty(row_counts.shape[0], np.int16), np.zeros(_BLOCK, np.float32)
    out, back, folded = int16.out, int16.back[0], int16.features
    sums = np.zeros(_BLOCK, np.int32)
    y = pixel_code(np.float32((i + 0.5) / h * 2 - 1), size[0])
    down = width * np.uint64(size[1])
    for j in range(w):
        x, c = pixel_code(np.float32((j + 0.5) / w * 2 - 1), size[1]), np.uint64(0)
        p, w0, w1, w2, w3 = corner(x, y, width, down)
        at = np.uint64(j) * width
        while c < width:
            pixel = between_pixels(folded, p + c, width, down, w0, w1, w2, w3)
            store(counts, c, add(pixel, add(load(across, at + c), load(row_counts, c))))
            c += _LANES
        visibility[j], passed = t[samples - 1], np.float32(0)
        for begin in range(0, samples, _BLOCK):
            count = min(_BLOCK, samples - begin)
            along_ray(counts, along, out, begin, count, back, bias, sums, sigma)
            thickness = np.float32(0)
            for k in range(count):
                sigma[k] *= step[begin + k]
            for k in range(count):
                thickness += sigma[k]
            if passed + thickness < _HALF:
                passed += thickness
                continue
            # Also where it is not a number: then no sample is the one.
            for k in range(count):
                passed += sigma[k]
                if passed >= _HALF:
                    visibility[j] = t[begin + k]
                    break
            break


@njit(parallel=True, nogil=True, cache=True, fastmath=FAST)
def int16_ray_visibility(size, head, int16, halves, t, step, shape, threads):  # type: ignore[no-untyped-def]
    """Where the sample begins behind which half the light is gone: densities add up to it without
    an exponential."""
    (u_half, v_half, z_half), h, w = halves, shape[0], shape[1]
    per_value, hidden = np.float32(1) / int16.unit, head.hidden
    across, rows = rows_of_counts(u_half, per_value, 0), rows_of_counts(v_half, per_value, 0)
    along, visibility = rows_of_counts(z_half, per_value, _SPARE), np.empty((h, w), np.float32)
    for thread in prange(threads):
        for i in range(thread, h, threads):
            visibility_row(
                int16, size, across, rows[i * hidden : (i + 1) * hidden], along,
                head.out_bias[0], t, step, i, shape, visibility[i],
            )  # fmt: skip
    return visibility
