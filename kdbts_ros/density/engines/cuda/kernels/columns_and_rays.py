"""Triton kernels of a single-view head over its folded map: densities of columns, and along rays.

The map (H,W,HIDDEN) is channels last and lacks the output convolution's bias, which stands with the
bias of the first layer. As in `FoldedHead`, a density costs a gather, the positional half, one ReLU
and one dot product; here the positional half is the code itself times its weights. A NaN stays one.
"""

from __future__ import annotations

import triton
import triton.language as tl

from kdbts_ros.density.engines.cuda import frame_params

# What `columns` writes: sums down the columns, densities of every point, or a finished map.
SUMS, VOLUME, MAP = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
# Widths of the padded code.
CODE = tl.constexpr(64)
MIN_DEPTH = tl.constexpr(1e-3)
# Where numbers of a frame stand in `packed`.
SLOPE, SHIFT = tl.constexpr(frame_params.SLOPE), tl.constexpr(frame_params.SHIFT)
OFFSET, SCALE = tl.constexpr(frame_params.OFFSET), tl.constexpr(frame_params.SCALE)
NEAREST = tl.constexpr(frame_params.NEAREST)
MIDDLE_LEVEL = tl.constexpr(frame_params.MIDDLE_LEVEL)
_THICKNESS = tl.constexpr(frame_params.THICKNESS)
_LEAST_SEEN = tl.constexpr(frame_params.LEAST_SEEN)
_OBSERVED_CURVE = tl.constexpr(frame_params.OBSERVED_CURVE)
_COMPLETED_CURVE = tl.constexpr(frame_params.COMPLETED_CURVE)
_THRESHOLD = tl.constexpr(frame_params.THRESHOLD)
_COMPLETED_CELLS = tl.constexpr(frame_params.COMPLETED_CELLS)
_FAINTEST = tl.constexpr(1e-12)
# Pi in two parts, the first with few enough bits to be multiplied exactly.
_ONE_BY_PI = tl.constexpr(0.3183098861837907)
_PI_HIGH, _PI_LOW = tl.constexpr(3.140625), tl.constexpr(9.67653589793e-4)
# Added and taken away, it rounds a float32 to the nearest even whole number.
_ROUNDER = tl.constexpr(12582912.0)


@triton.jit
def sine(x):  # type: ignore[no-untyped-def]
    """sin x to 2e-7 and the rounding of x: the library's way round huge arguments costs a stack."""
    n = tl.floor(x * _ONE_BY_PI + 0.5)
    r = (x - n * _PI_HIGH) - n * _PI_LOW
    odd = n - 2.0 * tl.floor(n * 0.5)
    q = r * r
    p = q * (q * (q * (q * -2.3889859e-8 + 2.7525562e-6) - 1.9840874e-4) + 8.3333310e-3)
    return (r + r * q * (p - 1.6666667e-1)) * (1.0 - 2.0 * odd)


@triton.jit
def softplus(x):  # type: ignore[no-untyped-def]
    e = tl.exp(-tl.abs(x))
    # Below, 1 + e would round what is left of e away.
    tail = tl.where(e < 1e-3, e - 0.5 * e * e, tl.log(1.0 + e))
    return tl.maximum(x, 0.0, propagate_nan=tl.PropagateNan.ALL) + tail


@triton.jit
def sampled(folded, x, y, use, height, width, HIDDEN: tl.constexpr):  # type: ignore[no-untyped-def]
    """(N,HIDDEN) bilinear samples at pixel positions x, y (N,) whose centres are whole numbers."""
    x = tl.minimum(tl.maximum(x, 0.0), width - 1.0)
    y = tl.minimum(tl.maximum(y, 0.0), height - 1.0)
    left, top = tl.minimum(x.to(tl.int32), width - 2), tl.minimum(y.to(tl.int32), height - 2)
    fx, fy = (x - left.to(tl.float32))[:, None], (y - top.to(tl.float32))[:, None]
    c = tl.arange(0, HIDDEN)[None, :]
    at, use2 = folded + ((top * width + left) * HIDDEN)[:, None] + c, use[:, None]
    down = width * HIDDEN
    m00 = tl.load(at, mask=use2, other=0.0).to(tl.float32)
    m01 = tl.load(at + HIDDEN, mask=use2, other=0.0).to(tl.float32)
    m10 = tl.load(at + down, mask=use2, other=0.0).to(tl.float32)
    m11 = tl.load(at + down + HIDDEN, mask=use2, other=0.0).to(tl.float32)
    upper, lower = m00 + (m01 - m00) * fx, m10 + (m11 - m10) * fx
    return upper + (lower - upper) * fy


@triton.jit
def _curve(tau, curve):  # type: ignore[no-untyped-def]
    """`Curve.probability`, or the opacity where the steepness is 0; curve: half, steepness, ceiling
    behind each other."""
    half, steepness, ceiling = tl.load(curve), tl.load(curve + 1), tl.load(curve + 2)
    bounded = tl.maximum(tau, _FAINTEST, propagate_nan=tl.PropagateNan.ALL)
    logit = steepness * tl.log(bounded / half)
    fitted = ceiling / (1.0 + tl.exp(-logit))
    small = tau - 0.5 * tau * tau
    opacity = tl.where(tau < 1e-3, small, 1.0 - tl.exp(-tau))
    return tl.where(steepness > 0, fitted, opacity)


@triton.jit
def store_map(  # type: ignore[no-untyped-def]
    floats, first, second, third, packed, cell, inside, within, total, count, visible_count
):
    """A finished map of the sums of columns: probabilities, trinary, percent, observed.

    within: columns that are not nearer than depths were learnt.
    """
    threshold, completed = tl.load(packed + _THRESHOLD), tl.load(packed + _COMPLETED_CELLS)
    known = (count.to(tl.float32) >= tl.load(packed + _LEAST_SEEN)) & within
    observed = known & (visible_count * 2 >= count)
    tau = total * tl.load(packed + _THICKNESS)
    p = tl.where(
        observed,
        _curve(tau, packed + _OBSERVED_CURVE),
        _curve(tau, packed + _COMPLETED_CURVE),
    )
    p = tl.where(known, p, float("nan"))
    occupied, free = p >= threshold, p < threshold
    # completed: 0 keep, 1 discount, 2 unknown, see `OccupancyMap.trinary`.
    # As a vector: logic of a scalar with a vector is not defined everywhere.
    completed = completed + tl.zeros_like(total)
    free = free & (observed | (p < threshold * 0.5) | (completed != 1.0))
    told = observed | (completed != 2.0)
    trinary = tl.where(occupied & told, 100, tl.where(free & told, 0, -1))
    # What one grid does not tell, the other does not either, see `OccupancyMap.percent`.
    percent = tl.where(trinary >= 0, p * 100.0 + _ROUNDER - _ROUNDER, -1.0)
    tl.store(floats + cell, p, mask=inside)
    tl.store(first + cell, trinary.to(tl.int8), mask=inside)
    tl.store(second + cell, percent.to(tl.int32).to(tl.int8), mask=inside)
    tl.store(third + cell, observed.to(tl.int8), mask=inside)


@triton.jit
def position(packed, row, column):  # type: ignore[no-untyped-def]
    """Homogeneous position of points on level 0 of a grid: the first nine numbers of `AXES`."""
    qx = tl.load(packed) + column * tl.load(packed + 3) + row * tl.load(packed + 6)
    qy = tl.load(packed + 1) + column * tl.load(packed + 4) + row * tl.load(packed + 7)
    qz = tl.load(packed + 2) + column * tl.load(packed + 5) + row * tl.load(packed + 8)
    return qx, qy, qz


@triton.jit
def level_step(packed):  # type: ignore[no-untyped-def]
    """How far a level lies above the one before: the last three numbers of `AXES`."""
    return tl.load(packed + 9), tl.load(packed + 10), tl.load(packed + 11)


# Compiled once, whether a camera fills its image or not: see `fused_columns`.
@triton.jit(do_not_specialize=["valid_height", "valid_width"])
def columns(  # type: ignore[no-untyped-def]
    folded, code_weight, code_bias, octaves, out_weight, packed, valid, visibility,
    floats, first, second, third,
    rows, across, height, width, valid_height, valid_width, visibility_height, visibility_width,
    LEVELS: tl.constexpr, HIDDEN: tl.constexpr, OUTPUT: tl.constexpr,
    PRECISION: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Densities down every column of an affine grid.

    code_weight (CODE,HIDDEN), code_bias (HIDDEN,), octaves (2,CODE) frequency and phase,
    out_weight (HIDDEN+1,) with the bias last; visibility (h,w) and packed as the network is shown.

    SUMS: floats densities, first and second int32 levels seen and visible, each (rows,across).
    VOLUME: floats (levels,rows,across), NaN unseen, first int8 visible. MAP: floats probabilities,
    first trinary, second percent, third observed, int8.
    """
    cell = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = cell < rows * across
    row, column = (cell // across).to(tl.float32), (cell % across).to(tl.float32)
    # Homogeneous position of level 0, and a level's step.
    qx0, qy0, qz0 = position(packed, row, column)
    dx, dy, dz = level_step(packed)
    slope, shift = tl.load(packed + SLOPE), tl.load(packed + SHIFT)
    offset, scale = tl.load(packed + OFFSET), tl.load(packed + SCALE)

    k, c = tl.arange(0, CODE), tl.arange(0, HIDDEN)
    weight = tl.load(code_weight + k[:, None] * HIDDEN + c[None, :])
    bias, last = tl.load(code_bias + c)[None, :], tl.load(out_weight + c)[None, :]
    last_bias = tl.load(out_weight + HIDDEN)
    frequency, phase = tl.load(octaves + k)[None, :], tl.load(octaves + CODE + k)[None, :]
    axis = (k % 3)[None, :]

    total = tl.zeros((BLOCK,), tl.float32)
    count = tl.zeros((BLOCK,), tl.int32)
    visible_count = tl.zeros((BLOCK,), tl.int32)
    for level in range(LEVELS):
        qx, qy, qz = qx0 + level * dx, qy0 + level * dy, qz0 + level * dz
        seen = inside & (qz > MIN_DEPTH) & (tl.abs(qx) <= qz) & (tl.abs(qy) <= qz)
        z = tl.maximum(qz, MIN_DEPTH)
        u = tl.minimum(tl.maximum(qx / z, -1.0), 1.0)
        v = tl.minimum(tl.maximum(qy / z, -1.0), 1.0)
        across01, down01 = (u + 1.0) * 0.5, (v + 1.0) * 0.5
        vx = tl.minimum((across01 * valid_width).to(tl.int32), valid_width - 1)
        vy = tl.minimum((down01 * valid_height).to(tl.int32), valid_height - 1)
        seen = seen & (tl.load(valid + vy * valid_width + vx, mask=seen, other=0) != 0)
        rx = tl.minimum((across01 * visibility_width).to(tl.int32), visibility_width - 1)
        ry = tl.minimum((down01 * visibility_height).to(tl.int32), visibility_height - 1)
        visible = seen & (
            qz <= tl.load(visibility + ry * visibility_width + rx, mask=seen, other=0.0)
        )
        sigma = tl.zeros((BLOCK,), tl.float32)
        if tl.max(seen.to(tl.int32), 0) > 0:
            mapped = slope / (z + offset) + shift
            value = tl.where(
                axis == 0, u[:, None], tl.where(axis == 1, v[:, None], mapped[:, None])
            )
            code = tl.where(k[None, :] < 3, value, sine(value * frequency + phase))
            hidden = tl.dot(code, weight, input_precision=PRECISION) + bias
            x, y = across01 * width - 0.5, down01 * height - 0.5
            hidden += sampled(folded, x, y, seen, height, width, HIDDEN)
            hidden = tl.maximum(hidden, 0.0, propagate_nan=tl.PropagateNan.ALL)
            sigma = softplus(tl.sum(hidden * last, 1) + last_bias) * scale
        if OUTPUT == VOLUME:
            at = level * rows * across + cell
            tl.store(floats + at, tl.where(seen, sigma, float("nan")), mask=inside)
            tl.store(first + at, visible.to(tl.int8), mask=inside)
        total += tl.where(seen, sigma, 0.0)
        count += seen.to(tl.int32)
        visible_count += visible.to(tl.int32)
    if OUTPUT == SUMS:
        tl.store(floats + cell, total, mask=inside)
        tl.store(first + cell, count, mask=inside)
        tl.store(second + cell, visible_count, mask=inside)
    if OUTPUT == MAP:
        near, middle = tl.load(packed + NEAREST), tl.load(packed + MIDDLE_LEVEL)
        within = qz0 + middle * dz >= near
        store_map(
            floats, first, second, third, packed, cell, inside, within, total, count, visible_count
        )


@triton.jit
def rays(  # type: ignore[no-untyped-def]
    folded, u_half, v_half, z_half, bias, samples, out_weight, expected, surface, opacity,
    rows, across, height, width, light,
    COUNT: tl.constexpr, HIDDEN: tl.constexpr, ALL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Depths along the rays of the map's own camera through a grid (rows,across) over its image.

    u_half (across,HIDDEN), v_half (rows,HIDDEN), z_half (count,HIDDEN), bias (HIDDEN,): the
    positional half. samples (2,count): depths and the lengths they stand for, as the network is
    shown. ALL: expected depth with the last sample opaque and opacity, beside the depth where no
    more than `light` is left; without it, where the sample of that depth begins.
    """
    ray = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = ray < rows * across
    row, column = ray // across, ray % across
    c = tl.arange(0, HIDDEN)[None, :]
    x = (column.to(tl.float32) + 0.5) * (width / across) - 0.5
    y = (row.to(tl.float32) + 0.5) * (height / rows) - 0.5
    pixel = sampled(folded, x, y, inside, height, width, HIDDEN)
    pixel += tl.load(u_half + (column * HIDDEN)[:, None] + c, mask=inside[:, None], other=0.0)
    pixel += tl.load(v_half + (row * HIDDEN)[:, None] + c, mask=inside[:, None], other=0.0)
    pixel += tl.load(bias + c)
    last, last_bias = tl.load(out_weight + c), tl.load(out_weight + HIDDEN)
    left = tl.full((BLOCK,), 1.0, tl.float32)
    mean = tl.zeros((BLOCK,), tl.float32)
    found = tl.zeros((BLOCK,), tl.float32)
    for s in range(COUNT):
        t, length = tl.load(samples + s), tl.load(samples + COUNT + s)
        hidden = pixel + tl.load(z_half + s * HIDDEN + c)
        hidden = tl.maximum(hidden, 0.0, propagate_nan=tl.PropagateNan.ALL)
        sigma = softplus(tl.sum(hidden * last, 1) + last_bias)
        after = left * tl.exp(-length * sigma)
        # The first sample behind which half the light is gone.
        crosses = (after <= light) & (found == 0.0)
        if ALL:
            share = tl.log(left / light) / tl.maximum(length * sigma, 1e-6)
            found = tl.where(crosses, t + tl.minimum(share, 1.0) * length, found)
            mean += t * tl.where(s == COUNT - 1, left, left - after)
        else:
            found = tl.where(crosses, t, found)
        left = after
    furthest = tl.load(samples + COUNT - 1)
    tl.store(surface + ray, tl.where(found == 0.0, furthest, found), mask=inside)
    if ALL:
        tl.store(expected + ray, mean, mask=inside)
        tl.store(opacity + ray, 1.0 - left, mask=inside)
