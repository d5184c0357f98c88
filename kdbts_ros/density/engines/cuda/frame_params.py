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
# Where each of them stands: the twelve `axes` of the positions (see `AffineGrid.seen_by`), what the
# head needs, and what makes a map; of a curve the first of its three. Kernels read them by these.
AXES = slice(0, 12)
SLOPE, SHIFT, OFFSET, SCALE = 12, 13, 14, 15
THICKNESS, LEAST_SEEN, NEAREST, MIDDLE_LEVEL = 16, 17, 18, 19
OBSERVED_CURVE, COMPLETED_CURVE = 20, 23
THRESHOLD, COMPLETED_CELLS = 26, 27
HEAD, MAP = slice(SLOPE, SCALE + 1), slice(THICKNESS, COMPLETED_CELLS + 1)


def pack_grid(grid: AffineGrid, P: Array, head: HeadArrays, scale: float) -> Floats:
    """(PARAMS,) of which those of the projection are set.

    P (3,4): see `encoded_view.projection`. Projected in float64 and only then rounded, so that
    coordinates may be kilometres.
    """
    params = np.zeros(PARAMS, np.float32)
    params[AXES] = grid.seen_by(P).ravel()
    params[HEAD] = head.slope, head.shift, head.offset, scale
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
