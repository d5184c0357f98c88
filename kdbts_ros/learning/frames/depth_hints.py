"""Depth hints: what plain matching of posed images is sure of, before anything is learnt.

Watson et al., "Self-supervised monocular depth hints" (ICCV 2019): photometric learning has many
false valleys, and a coarse classical depth sets it down in the right one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import View, inverse, transform
from kdbts_ros.learning.frames.labels import FAR, NEAR
from kdbts_ros.learning.frames.plane_sweep import inverse_depths, matching_costs
from kdbts_ros.learning.frames.semi_global import aggregate

Floats = npt.NDArray[np.float32]

PLANES = 64
# Two views agree when their inverse depths of a point differ by less than this many planes.
AGREEMENT = 1.0


def swept_depth(view: View, others: Sequence[View], planes: int = PLANES) -> Floats:
    """(H,W) z-depth in m from matching a view with others, wherever it is sure or not."""
    w = inverse_depths(NEAR, FAR, planes)
    costs = aggregate(matching_costs(view, others, w))
    best = costs.argmin(0)
    inner = np.clip(best, 1, planes - 2)
    rows, columns = np.indices(best.shape)
    below, at, above = (costs[inner + k, rows, columns] for k in (-1, 0, 1))
    bend = below - 2 * at + above
    # The vertex of the parabola through three costs lies between the planes.
    shift = np.where(bend > 1e-6, (below - above) / (2 * np.maximum(bend, 1e-6)), 0)
    index = np.where(inner == best, best + np.clip(shift, -0.5, 0.5), best)
    return (1 / np.interp(index, np.arange(planes), w)).astype(np.float32)


def depth_hints(views: Sequence[View], planes: int = PLANES) -> list[Floats]:
    """(H,W) z-depth in m of every view, 0 where no other view's depth confirms it."""
    depths = [
        swept_depth(view, [*views[:k], *views[k + 1 :]], planes) for k, view in enumerate(views)
    ]
    hints = []
    for k, view in enumerate(views):
        others = [j for j in range(len(views)) if j != k]
        agreed: npt.NDArray[np.bool_] = np.zeros(depths[k].shape, np.bool_)
        for j in others:
            agreed = agreed | _confirmed(view, depths[k], views[j], depths[j], planes)
        hints.append(np.where(agreed, depths[k], 0).astype(np.float32))
    return hints


def _confirmed(
    view: View, depth: Floats, other: View, other_depth: Floats, planes: int
) -> npt.NDArray[np.bool_]:
    """(H,W) bool: the other view has the same point at the same place."""
    points = (view.camera.rays() * depth[..., None]).reshape(-1, 3)
    T_other_view = inverse(other.T_world_cam) @ view.T_world_cam
    uv, z = other.camera.project(transform(T_other_view, points))
    inside = np.asarray(((uv >= 0) & (uv < [other.camera.width, other.camera.height])).all(-1))
    pixel = np.where(inside[:, None], np.nan_to_num(uv), 0).astype(int)
    step = (1 / NEAR - 1 / FAR) / (planes - 1)
    seen = other_depth[pixel[:, 1], pixel[:, 0]]
    gap = np.abs(1 / np.maximum(z, 1e-3) - 1 / seen)
    return np.asarray((inside & (gap < AGREEMENT * step)).reshape(depth.shape))
