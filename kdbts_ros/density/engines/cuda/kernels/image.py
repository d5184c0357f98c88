"""Triton kernels around the convolutions of a frame: image to input, bias and ReLU, joints.

Tensors are one image, channels last in memory: pixel by pixel, a pixel's channels side by side.
Convolutions are asked without bias; what comes between two of them is one pass over memory.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _store_pixel(out, pixel, inside, r, g, b, mean, deviation, CHANNELS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Round to whole grey levels, as a resized image is, and normalise."""
    at = out + pixel * CHANNELS
    scale, shift = 1.0 / (255.0 * deviation), mean / deviation
    tl.store(at, (tl.floor(r + 0.5) * scale - shift).to(out.dtype.element_ty), mask=inside)
    tl.store(at + 1, (tl.floor(g + 0.5) * scale - shift).to(out.dtype.element_ty), mask=inside)
    tl.store(at + 2, (tl.floor(b + 0.5) * scale - shift).to(out.dtype.element_ty), mask=inside)


@triton.jit
def _remapped(image, table, at, inside, height, width):  # type: ignore[no-untyped-def]
    """The whole grey levels that `cv2.remap` gives at entry `at` of a table, of an image of that
    size; what is beyond the border repeats it."""
    x = tl.load(table + at * 2, mask=inside, other=0.0)
    y = tl.load(table + at * 2 + 1, mask=inside, other=0.0)
    x = tl.minimum(tl.maximum(x, 0.0), width - 1.0)
    y = tl.minimum(tl.maximum(y, 0.0), height - 1.0)
    left, top = x.to(tl.int32), y.to(tl.int32)
    fx, fy = x - left.to(tl.float32), y - top.to(tl.float32)
    r, g, b = tl.zeros_like(x), tl.zeros_like(x), tl.zeros_like(x)
    for k in tl.static_range(4):
        wx = fx if k % 2 else 1.0 - fx
        wy = fy if k // 2 else 1.0 - fy
        xs, ys = tl.minimum(left + k % 2, width - 1), tl.minimum(top + k // 2, height - 1)
        corner = image + (ys * width + xs) * 3
        r += wx * wy * tl.load(corner, mask=inside, other=0).to(tl.float32)
        g += wx * wy * tl.load(corner + 1, mask=inside, other=0).to(tl.float32)
        b += wx * wy * tl.load(corner + 2, mask=inside, other=0).to(tl.float32)
    return tl.floor(r + 0.5), tl.floor(g + 0.5), tl.floor(b + 0.5)


@triton.jit
def sample_image(  # type: ignore[no-untyped-def]
    image, out, row_start, row_weight, column_start, column_weight, table,
    raw_height, raw_width, source_height, source_width, height, width, mean, deviation,
    ROW_TAPS: tl.constexpr, COLUMN_TAPS: tl.constexpr, WARPED: tl.constexpr,
    CHANNELS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """uint8 (h,w,3) to normalised (H,W,CHANNELS) by weights of rows and of columns.

    row_start (H,) int32 and row_weight (H,ROW_TAPS), likewise for columns. WARPED: the image of
    source size is none in memory, but what table (source_height,source_width,2) makes of the raw
    one, position by position.
    """
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < height * width
    row, column = pixel // width, pixel % width
    top = tl.load(row_start + row, mask=inside, other=0)
    left = tl.load(column_start + column, mask=inside, other=0)
    r = tl.zeros((BLOCK,), tl.float32)
    g = tl.zeros((BLOCK,), tl.float32)
    b = tl.zeros((BLOCK,), tl.float32)
    for i in range(ROW_TAPS):
        y = tl.minimum(top + i, source_height - 1)
        wy = tl.load(row_weight + row * ROW_TAPS + i, mask=inside, other=0.0)
        for j in tl.static_range(COLUMN_TAPS):
            x = tl.minimum(left + j, source_width - 1)
            w = wy * tl.load(column_weight + column * COLUMN_TAPS + j, mask=inside, other=0.0)
            at = y * source_width + x
            if WARPED:
                sr, sg, sb = _remapped(image, table, at, inside, raw_height, raw_width)
            else:
                sr = tl.load(image + at * 3, mask=inside, other=0).to(tl.float32)
                sg = tl.load(image + at * 3 + 1, mask=inside, other=0).to(tl.float32)
                sb = tl.load(image + at * 3 + 2, mask=inside, other=0).to(tl.float32)
            r += w * sr
            g += w * sg
            b += w * sb
    _store_pixel(out, pixel, inside, r, g, b, mean, deviation, CHANNELS)


@triton.jit
def add_and_clamp(  # type: ignore[no-untyped-def]
    x, bias, skip, pixels, channels, LOW: tl.constexpr, HIGH: tl.constexpr,
    SKIP: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """x + bias [+ skip], no less than LOW and no more than HIGH, in place; None bounds nothing.

    x, skip (pixels,channels), bias (channels,) float32.
    """
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    at = row[:, None] * channels + c[None, :]
    inside = (row < pixels)[:, None] & (c < channels)[None, :]
    value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    value += tl.load(bias + c, mask=c < channels, other=0.0)[None, :]
    if SKIP:
        value += tl.load(skip + at, mask=inside, other=0.0).to(tl.float32)
    if LOW is not None:
        value = tl.maximum(value, LOW, propagate_nan=tl.PropagateNan.ALL)
    if HIGH is not None:
        value = tl.minimum(value, HIGH, propagate_nan=tl.PropagateNan.ALL)
    tl.store(x + at, value.to(x.dtype.element_ty), mask=inside)


@triton.jit
def join_mirrored(  # type: ignore[no-untyped-def]
    x, bias, skip, out, height, width, channels, skip_channels,
    UP: tl.constexpr, ELU: tl.constexpr, SKIP: tl.constexpr,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """[elu(x + bias)], repeated UP times along both axes, beside skip, with a mirrored border.

    x (height/UP,width/UP,channels), skip (height,width,skip_channels); out
    (height+2,width+2,channels+skip_channels).
    """
    pixel = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    total = channels + skip_channels
    present = pixel < (height + 2) * (width + 2)
    # A pixel of mirror: -1 shows 1, and `height` shows height - 2.
    row = tl.abs(pixel // (width + 2) - 1)
    column = tl.abs(pixel % (width + 2) - 1)
    row = tl.where(row == height, height - 2, row)
    column = tl.where(column == width, width - 2, column)
    own = present[:, None] & (c < channels)[None, :]
    source = ((row // UP) * (width // UP) + column // UP) * channels
    value = tl.load(x + source[:, None] + c[None, :], mask=own, other=0.0).to(tl.float32)
    if ELU:
        value += tl.load(bias + c, mask=c < channels, other=0.0)[None, :]
        value = tl.where(value > 0, value, tl.exp(value) - 1.0)
    if SKIP:
        beside = (row * width + column) * skip_channels - channels
        other = present[:, None] & ((c >= channels) & (c < total))[None, :]
        joined = tl.load(skip + beside[:, None] + c[None, :], mask=other, other=0.0)
        value = tl.where((c < channels)[None, :], value, joined.to(tl.float32))
    at = out + pixel[:, None] * total + c[None, :]
    stored = present[:, None] & (c < total)[None, :]
    tl.store(at, value.to(out.dtype.element_ty), mask=stored)
