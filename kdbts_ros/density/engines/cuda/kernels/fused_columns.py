"""Triton kernel of the multi-view heads over folded maps of several views: densities of columns.

As in `columns_and_rays`, for each view in turn; its votes are weighted by the exponential of their
confidence while the largest so far is known, so that no view's vote has to be kept.
"""

from __future__ import annotations

import triton
import triton.language as tl

from kdbts_ros.density.engines.cuda import frame_params
from kdbts_ros.density.engines.cuda.kernels.columns_and_rays import (
    CODE,
    MAP,
    MIDDLE_LEVEL,
    MIN_DEPTH,
    NEAREST,
    OFFSET,
    SCALE,
    SHIFT,
    SLOPE,
    SUMS,
    VOLUME,
    level_step,
    position,
    sampled,
    sine,
    softplus,
    store_map,
)

# Less confident than any vote; what is left of an exponential of it is 0.
_NO_VOTE = tl.constexpr(-1e30)
_SIZES = [
    "views", "rows", "across", "height", "width", "valid_height", "valid_width",
    "visibility_height", "visibility_width",
]  # fmt: skip
# Numbers of a view in `packed`.
_PARAMS = tl.constexpr(frame_params.PARAMS)


@triton.jit
def _position(packed, row, column, level):  # type: ignore[no-untyped-def]
    """Homogeneous position of points of a grid in a view, as the network is shown."""
    qx, qy, qz = position(packed, row, column)
    dx, dy, dz = level_step(packed)
    return qx + level * dx, qy + level * dy, qz + level * dz


@triton.jit
def _entry(across01, down01, height, width):  # type: ignore[no-untyped-def]
    """Index of the nearest entry of a table (height,width) that lies over an image."""
    x = tl.minimum((across01 * width).to(tl.int32), width - 1)
    y = tl.minimum((down01 * height).to(tl.int32), height - 1)
    return y * width + x


# Compiled once, whatever comes: neither one view nor a mask of one cell is worth a pause.
@triton.jit(do_not_specialize=_SIZES)
def fused_columns(  # type: ignore[no-untyped-def]
    feature_maps, code_weight, code_bias, octaves, vote_weight, vote_bias,
    second_weight, second_bias, out_weight, packed, valid, visibility, floats, first, second, third,
    views, rows, across, height, width, valid_height, valid_width,
    visibility_height, visibility_width,
    LEVELS: tl.constexpr, HIDDEN: tl.constexpr, VOTES: tl.constexpr, SECOND: tl.constexpr,
    OUTPUT: tl.constexpr, PRECISION: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Densities down every column of an affine grid, by several views.

    feature_maps (views,height,width,HIDDEN) with their bias; code_weight, code_bias, octaves: see
    `columns_and_rays.columns`. vote_weight (HIDDEN,VOTES) and vote_bias (VOTES,): confidence and
    vote of a view. second_weight (VOTES,SECOND), second_bias (SECOND,), out_weight (SECOND+1,) with
    the bias last: what reads the fused vote, its first row 0. packed (views,32), valid
    (views,vh,vw) and visibility (views,h,w) by view; what depends on none is packed with the first.
    Outputs: see `columns_and_rays.columns`.
    """
    cell = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = cell < rows * across
    row, column = (cell // across).to(tl.float32), (cell % across).to(tl.float32)
    k, c = tl.arange(0, CODE), tl.arange(0, HIDDEN)
    votes, seconds = tl.arange(0, VOTES), tl.arange(0, SECOND)
    weight = tl.load(code_weight + k[:, None] * HIDDEN + c[None, :])
    bias = tl.load(code_bias + c)[None, :]
    to_vote = tl.load(vote_weight + c[:, None] * VOTES + votes[None, :])
    to_second = tl.load(second_weight + votes[:, None] * SECOND + seconds[None, :])
    frequency, phase = tl.load(octaves + k)[None, :], tl.load(octaves + CODE + k)[None, :]
    axis = (k % 3)[None, :]
    slope, shift = tl.load(packed + SLOPE), tl.load(packed + SHIFT)
    offset = tl.load(packed + OFFSET)

    sums = tl.zeros((BLOCK,), tl.float32)
    count = tl.zeros((BLOCK,), tl.int32)
    visible_count = tl.zeros((BLOCK,), tl.int32)
    for level in range(LEVELS):
        best = tl.full((BLOCK,), _NO_VOTE, tl.float32)
        total = tl.zeros((BLOCK,), tl.float32)
        fused = tl.zeros((BLOCK, VOTES), tl.float32)
        any_seen = tl.zeros((BLOCK,), tl.int32)
        any_visible = tl.zeros((BLOCK,), tl.int32)
        for view in range(views):
            qx, qy, qz = _position(packed + view * _PARAMS, row, column, level)
            seen = inside & (qz > MIN_DEPTH) & (tl.abs(qx) <= qz) & (tl.abs(qy) <= qz)
            z = tl.maximum(qz, MIN_DEPTH)
            u = tl.minimum(tl.maximum(qx / z, -1.0), 1.0)
            v = tl.minimum(tl.maximum(qy / z, -1.0), 1.0)
            across01, down01 = (u + 1.0) * 0.5, (v + 1.0) * 0.5
            shows = valid + view * valid_height * valid_width
            shows += _entry(across01, down01, valid_height, valid_width)
            seen = seen & (tl.load(shows, mask=seen, other=0) != 0)
            limit = visibility + view * visibility_height * visibility_width
            limit += _entry(across01, down01, visibility_height, visibility_width)
            visible = seen & (qz <= tl.load(limit, mask=seen, other=0.0))
            any_visible = any_visible | visible.to(tl.int32)
            if tl.max(seen.to(tl.int32), 0) > 0:
                mapped = slope / (z + offset) + shift
                value = tl.where(
                    axis == 0, u[:, None], tl.where(axis == 1, v[:, None], mapped[:, None])
                )
                code = tl.where(k[None, :] < 3, value, sine(value * frequency + phase))
                hidden = tl.dot(code, weight, input_precision=PRECISION) + bias
                x, y = across01 * width - 0.5, down01 * height - 0.5
                folded = feature_maps + view * height * width * HIDDEN
                hidden += sampled(folded, x, y, seen, height, width, HIDDEN)
                hidden = tl.maximum(hidden, 0.0, propagate_nan=tl.PropagateNan.ALL)
                vote = tl.dot(hidden, to_vote, input_precision=PRECISION)
                vote += tl.load(vote_bias + votes)[None, :]
                confidence = tl.sum(tl.where(votes[None, :] == 0, vote, 0.0), 1)
                confidence = tl.where(seen, confidence, _NO_VOTE)
                larger = tl.maximum(best, confidence, propagate_nan=tl.PropagateNan.ALL)
                share = tl.where(seen, tl.exp(confidence - larger), 0.0)
                kept = tl.exp(best - larger)
                fused = fused * kept[:, None] + share[:, None] * vote
                total = total * kept + share
                best = larger
                any_seen = any_seen | seen.to(tl.int32)
        sigma = tl.zeros((BLOCK,), tl.float32)
        if tl.max(any_seen, 0) > 0:
            # A total is at least the weight of the most confident view, 1.
            mean = fused / tl.where(any_seen != 0, total, 1.0)[:, None]
            read = tl.dot(mean, to_second, input_precision=PRECISION)
            read = read + tl.load(second_bias + seconds)[None, :]
            read = tl.maximum(read, 0.0, propagate_nan=tl.PropagateNan.ALL)
            last = tl.sum(read * tl.load(out_weight + seconds)[None, :], 1)
            sigma = softplus(last + tl.load(out_weight + SECOND)) * tl.load(packed + SCALE)
        if OUTPUT == VOLUME:
            at = level * rows * across + cell
            tl.store(floats + at, tl.where(any_seen != 0, sigma, float("nan")), mask=inside)
            tl.store(first + at, any_visible.to(tl.int8), mask=inside)
        sums += tl.where(any_seen != 0, sigma, 0.0)
        count += any_seen
        visible_count += any_visible
    if OUTPUT == SUMS:
        tl.store(floats + cell, sums, mask=inside)
        tl.store(first + cell, count, mask=inside)
        tl.store(second + cell, visible_count, mask=inside)
    if OUTPUT == MAP:
        near, middle = tl.load(packed + NEAREST), tl.load(packed + MIDDLE_LEVEL)
        within = cell < 0
        for view in range(views):
            _, _, qz = _position(packed + view * _PARAMS, row, column, middle)
            within = within | (qz >= near)
        store_map(
            floats, first, second, third, packed, cell, inside, within, sums, count, visible_count
        )
