"""The GPU's column kernel in numpy and torch, from the same parameters: what they must mean."""

from __future__ import annotations

import importlib.util
import os

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.density.engines.cuda import frame_params
from kdbts_ros.density.engines.folding import FoldedHead
from kdbts_ros.density.network.network import sample_features

MIN_DEPTH = 1e-3
KERNELS = os.environ.get("TRITON_INTERPRET") == "1" and importlib.util.find_spec("triton")
interpreted = pytest.mark.skipif(
    not KERNELS, reason="kernels run on a CPU where Triton is installed and TRITON_INTERPRET is 1"
)


def columns(
    head: FoldedHead,
    folded: Tensor,
    params: np.ndarray,
    visibility: np.ndarray,
    shape: tuple,
    valid: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """probability, trinary, percent, observed (rows,across) of a map (hidden,H,W) with its bias.

    params: see `frame_params`; visibility (h,w) as the network is shown; valid: see `View.valid`.
    """
    origin, along_x, along_y, up = params[frame_params.AXES].reshape(4, 3).astype(np.float64)
    level, row, column = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    q = origin + column[..., None] * along_x + row[..., None] * along_y + level[..., None] * up
    z = np.maximum(q[..., 2], MIN_DEPTH)
    uv = (q[..., :2] / z[..., None]).astype(np.float32)
    seen = (q[..., 2] > MIN_DEPTH) & (np.abs(uv) <= 1).all(-1)
    if valid is not None:
        x, y = _pixels(uv, valid.shape)
        seen &= valid[y, x].reshape(shape)
    x, y = _pixels(uv, visibility.shape)
    visible = seen & (q[..., 2] <= visibility[y, x].reshape(shape))
    points = torch.from_numpy(uv).reshape(1, 1, -1, 2)
    sampled = sample_features(folded[None, None], points)[0, 0]
    slope, shift, offset, scale = params[frame_params.HEAD]
    mapped = torch.from_numpy((slope / (z + offset) + shift).astype(np.float32)).reshape(-1, 1)
    code = head.code(torch.cat([points[0, 0], mapped], -1))
    pre = head.last(F.relu(sampled + code @ head.code_weight.T + head.code_bias))[:, 0]
    sigma = F.softplus(pre).reshape(shape).numpy() * scale
    tau = (sigma * seen).sum(0) * params[frame_params.THICKNESS]
    count = seen.sum(0)
    middle = q[0, ..., 2] + params[frame_params.MIDDLE_LEVEL] * up[2]
    known = (count >= params[frame_params.LEAST_SEEN]) & (middle >= params[frame_params.NEAREST])
    observed = known & (2 * visible.sum(0) >= count)
    seen_there, completed_there = (
        _curve(tau, *params[first : first + 3])
        for first in (frame_params.OBSERVED_CURVE, frame_params.COMPLETED_CURVE)
    )
    p = np.where(observed, seen_there, completed_there)
    p = np.where(known, p, np.nan).astype(np.float32)
    threshold, completed = params[frame_params.THRESHOLD], params[frame_params.COMPLETED_CELLS]
    free = (p < threshold) & (observed | (p < threshold / 2) | (completed != 1))
    told = observed | (completed != 2)
    trinary = np.where((p >= threshold) & told, 100, np.where(free & told, 0, -1))
    percent = np.where(trinary >= 0, np.rint(np.nan_to_num(p) * 100), -1)
    return {"probability": p, "trinary": trinary, "percent": percent, "observed": observed}


def _pixels(uv: np.ndarray, size: tuple) -> np.ndarray:
    """x and y (N,) of positions (...,2) in [-1,1]^2 in an array of that size."""
    at = ((np.clip(uv, -1, 1) + 1) / 2 * np.array(size[::-1])).astype(int)
    return np.minimum(at, np.array(size[::-1]) - 1).reshape(-1, 2).T


def _curve(tau: np.ndarray, half: float, steepness: float, ceiling: float) -> np.ndarray:
    if steepness == 0:
        return -np.expm1(-tau)
    return ceiling / (1 + (half / np.maximum(tau, 1e-12)) ** steepness)
