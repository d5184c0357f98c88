"""Depth errors against a sparse truth, by the KITTI protocol of Eigen et al., and two baselines.

The seven measures and the 80 m cap are those of Eigen, Puhrsch and Fergus, "Depth Map Prediction
from a Single Image using a Multi-Scale Deep Network" (NIPS 2014), section 4.2; the crop is that of
Garg et al., "Unsupervised CNN for Single View Depth Estimation" (ECCV 2016).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Array, Camera
from kdbts_ros.errors import UserError

Depth = npt.NDArray[np.floating]
Crop = Literal["garg", "none"]
Scaling = Literal["none", "median"]

MEASURES = ("abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3")
CAP = (1e-3, 80.0)

# Shares of the image that Garg et al. keep (rows, then columns); row and column bounds truncate.
_GARG_ROWS = (0.40810811, 0.99189189)
_GARG_COLUMNS = (0.03594771, 0.96405229)


def evaluated_pixels(
    truth: Depth, cap: tuple[float, float] = CAP, crop: Crop = "garg"
) -> npt.NDArray[np.bool_]:
    """(H,W) mask of the pixels of truth (H,W) that count: inside the open cap and the crop.

    Raises:
        UserError: an unknown crop.
    """
    mask: npt.NDArray[np.bool_] = (truth > cap[0]) & (truth < cap[1])
    if crop == "none":
        return mask
    if crop != "garg":
        raise UserError(f"unknown depth crop {crop!r}; use 'garg' or 'none'")
    height, width = truth.shape
    inside = np.zeros_like(mask)
    rows = slice(int(_GARG_ROWS[0] * height), int(_GARG_ROWS[1] * height))
    columns = slice(int(_GARG_COLUMNS[0] * width), int(_GARG_COLUMNS[1] * width))
    inside[rows, columns] = True
    return mask & inside


def depth_metrics(
    pred: Depth,
    truth: Depth,
    cap: tuple[float, float] = CAP,
    crop: Crop = "garg",
    scaling: Scaling = "none",
) -> dict[str, float]:
    """The seven measures of one frame.

    Args:
        pred: (H,W) z-depth in m. A pixel without a prediction (NaN) counts as the far cap: leaving
            out what is hard must not pay.
        truth: (H,W) z-depth in m; 0 (or NaN) where unknown.
        cap: only truth strictly inside counts; predictions are clamped to it.
        crop: "garg" or the whole image.
        scaling: "median" multiplies the prediction by median(truth) / median(pred) first.

    Returns:
        `MEASURES`; errors as fractions or m, a1..a3 as shares of pixels within 1.25, 1.25^2 and
        1.25^3.

    Raises:
        UserError: shapes differ, no pixel of truth counts, or an unknown crop or scaling.
    """
    if pred.shape != truth.shape or pred.ndim != 2:
        raise UserError(
            f"predicted depth {pred.shape} and true depth {truth.shape} differ in shape; "
            "resize the prediction to the truth (nearest) first"
        )
    mask = evaluated_pixels(truth, cap, crop)
    if not mask.any():
        raise UserError("no pixel of the true depth lies inside the cap and the crop")
    t = truth[mask].astype(np.float64)
    p = pred[mask].astype(np.float64)
    p = np.where(np.isnan(p), cap[1], p)
    if scaling == "median":
        p = p * (np.median(t) / np.median(p))
    elif scaling != "none":
        raise UserError(f"unknown depth scaling {scaling!r}; use 'none' or 'median'")
    p = np.clip(p, *cap)
    error = p - t
    ratio = np.maximum(t / p, p / t)
    values = (
        np.mean(np.abs(error) / t),
        np.mean(error**2 / t),
        np.sqrt(np.mean(error**2)),
        np.sqrt(np.mean((np.log(p) - np.log(t)) ** 2)),
        *(np.mean(ratio < 1.25**k) for k in (1, 2, 3)),
    )
    return dict(zip(MEASURES, map(float, values), strict=True))


def mean_metrics(per_frame: Iterable[dict[str, float]]) -> dict[str, float]:
    """Means over frames of each measure, every frame weighing the same, and `frames`, their count.

    Raises:
        UserError: no frames.
    """
    frames = list(per_frame)
    if not frames:
        raise UserError("no frame with depth truth to average; choose frames that have LiDAR scans")
    means = {name: float(np.mean([frame[name] for frame in frames])) for name in frames[0]}
    return {**means, "frames": len(frames)}


def ground_plane_depth(
    camera: Camera, height: float, pitch: float = 0.0, far: float = CAP[1]
) -> npt.NDArray[np.float32]:
    """(H,W) z-depth in m of an empty flat ground `height` m below the camera; `far` above it.

    Args:
        camera: pixel (u, v) looks along ((u-cx)/fx, (v-cy)/fy, 1).
        height: of the camera above the ground, m.
        pitch: rad, positive when the camera looks down.
        far: depth of sky and of ground beyond it, m.
    """
    rays = camera.rays().astype(np.float64)
    # Metres a ray of unit z-depth descends: y is down in the optical frame, tilted by the pitch.
    descent = rays[..., 1] * np.cos(pitch) + np.sin(pitch)
    with np.errstate(divide="ignore"):
        depth = np.where(descent > 0, height / np.maximum(descent, 1e-12), far)
    return np.minimum(depth, far).astype(np.float32)


def constant_depth(
    truths: Sequence[Depth], cap: tuple[float, float] = CAP, crop: Crop = "garg"
) -> float:
    """The one depth in m that has the smallest abs_rel, averaged over frames: the laziest guess.

    The mean over frames of mean(|p - t| / t) is piecewise linear in p with kinks at the truths, so
    that a median of the truths, weighted by 1 / (t * pixels of its frame), minimises it.

    Raises:
        UserError: no pixel of truth counts.
    """
    depths: list[Array] = []
    weights: list[Array] = []
    for truth in truths:
        t = truth[evaluated_pixels(truth, cap, crop)].astype(np.float64)
        depths.append(t)
        weights.append(1.0 / (t * max(t.size, 1)))
    values = np.concatenate([np.empty(0), *depths])
    if not values.size:
        raise UserError("no pixel of the true depth lies inside the cap and the crop")
    order = np.argsort(values)
    cumulative = np.cumsum(np.concatenate(weights)[order])
    return float(values[order][np.searchsorted(cumulative, cumulative[-1] / 2)])
