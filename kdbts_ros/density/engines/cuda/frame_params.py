"""The few numbers of a frame that differ from the last one's, as the GPU's kernels read them."""

from __future__ import annotations

import numpy as np

from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.engines.folding import HeadArrays
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.maps.probability import Curve, ProbabilityCurves

PARAMS = 32
COMPLETED = ("keep", "discount", "unknown")
AXES, HEAD, MAP = slice(0, 12), slice(12, 15), slice(15, 27)


def pack_grid(grid: AffineGrid, P: Array, head: HeadArrays, scale: float) -> Floats:
    """(PARAMS,) of which those of the projection are set.

    P (3,4): see `encoded_view.projection`. Projected in float64 and only then rounded, so that
    coordinates may be kilometres.
    """
    params = np.zeros(PARAMS, np.float32)
    params[AXES] = grid.seen_by(P).ravel()
    params[HEAD] = head.slope, head.shift, scale
    return params


def pack_map(
    params: Floats,
    levels: int,
    thickness: float,
    depth_near: float,
    curves: ProbabilityCurves,
    threshold: float,
    completed: str,
    min_seen_share: float,
) -> Floats:
    """Set in place what makes a map of column sums: see `map_around` and `OccupancyMap`."""
    params[MAP] = (
        thickness,
        min_seen_share * levels,
        depth_near,
        (levels - 1) / 2,
        *_curve(curves.observed),
        *_curve(curves.completed),
        threshold,
        COMPLETED.index(completed),
    )
    return params


def _curve(curve: Curve | None) -> tuple[float, float, float]:
    """half, steepness, ceiling; a steepness of 0 means the opacity itself."""
    return (1.0, 0.0, 1.0) if curve is None else (curve.half, curve.steepness, curve.ceiling)
