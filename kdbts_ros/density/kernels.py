"""Compiled CPU loops over the folded feature map: point densities and ray depths.

A folded map already holds the feature half of the head's first layer, so that a density costs one
gather, one addition, one ReLU and one dot product. Arrays are float32 and C-contiguous.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(parallel=True, cache=True, fastmath=True)
def point_pre_density(folded, uv, positional, w_out, b_out):  # type: ignore[no-untyped-def]
    """Pre-densities (N,) before softplus.

    folded (H,W,C); uv (N,2) in [-1,1]^2, border kept; positional (N,C) with the first layer's bias;
    w_out (C,), b_out the last layer.
    """
    height, width, channels = folded.shape
    out = np.empty(uv.shape[0], np.float32)
    for i in prange(uv.shape[0]):
        x = min(max(((uv[i, 0] + 1) * width - 1) * np.float32(0.5), 0), width - 1)
        y = min(max(((uv[i, 1] + 1) * height - 1) * np.float32(0.5), 0), height - 1)
        x0 = min(int(x), width - 2)
        y0 = min(int(y), height - 2)
        fx = np.float32(x - x0)
        fy = np.float32(y - y0)
        w00, w01 = (1 - fx) * (1 - fy), fx * (1 - fy)
        w10, w11 = (1 - fx) * fy, fx * fy
        total = b_out
        for c in range(channels):
            h = (
                folded[y0, x0, c] * w00
                + folded[y0, x0 + 1, c] * w01
                + folded[y0 + 1, x0, c] * w10
                + folded[y0 + 1, x0 + 1, c] * w11
                + positional[i, c]
            )
            total += max(h, np.float32(0)) * w_out[c]
        out[i] = total
    return out


@njit(parallel=True, cache=True, fastmath=True)
def ray_depths(pixel_part, depth_part, t, w_out, b_out):  # type: ignore[no-untyped-def]
    """Depth along the rays of the encoded camera itself, without a gather.

    pixel_part (P,C): map and (u,v) code of each pixel; depth_part (S,C): code of each depth and the
    first layer's bias; t (S,) the depths. Returns expected depth with a forced last sample, median
    depth (t[-1] where half the light passes) and opacity, each (P,).
    """
    pixels, channels = pixel_part.shape
    samples = t.shape[0]
    expected = np.empty(pixels, np.float32)
    median = np.empty(pixels, np.float32)
    opacity = np.empty(pixels, np.float32)
    for i in prange(pixels):
        passed = np.float32(1)
        mean = np.float32(0)
        middle = t[samples - 1]
        for k in range(samples):
            pre = b_out
            for c in range(channels):
                pre += max(pixel_part[i, c] + depth_part[k, c], np.float32(0)) * w_out[c]
            sigma = pre if pre > 20 else np.log1p(np.exp(pre))
            step = t[k + 1] - t[k] if k + 1 < samples else t[k] - t[k - 1]
            alpha = 1 - np.exp(-sigma * step)
            if passed > 0.5 and passed * (1 - alpha) <= 0.5:
                middle = t[k]
            if k + 1 < samples:
                mean += passed * alpha * t[k]
            else:
                mean += passed * t[k]
            passed *= 1 - alpha
        expected[i] = mean
        median[i] = middle
        opacity[i] = 1 - passed
    return expected, median, opacity
