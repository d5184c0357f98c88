"""Depth of one camera as another one would see it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.geometry.camera import Array, Camera, transform

Depth = npt.NDArray[np.float32]

# A point this much farther than one in a neighbouring pixel, as a share of the nearer depth, may
# have been seen through a gap between the points of a nearer surface.
_BEHIND = 0.1


def registered(depth: Depth, lens: Lens, T_target_source: Array, camera: Camera) -> Depth:
    """The z-depths of a depth image in the pixels of another camera.

    Args:
        depth: (h,w) m along the optical axis of the camera that took it; 0 where unknown.
        lens: of that camera, of the image's size.
        T_target_source: (4,4) its optical frame to that of `camera`.
        camera: the pinhole whose pixels are filled.

    Returns:
        (H,W) m along the optical axis of `camera`, of the nearest point in each pixel; 0 where no
        point falls, or only one that a nearer surface beside it may hide.
    """
    row, column = np.nonzero(depth > 0)
    rays = lens.unproject(np.stack([column + 0.5, row + 0.5], -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        points = rays / rays[:, 2:] * depth[row, column, None]
    # Beyond the domain of a lens there is no ray, and behind it none with a depth along the axis.
    points = points[(rays[:, 2] > 0) & np.isfinite(points).all(-1)]
    uv, z = camera.project(transform(T_target_source, points))
    uv, z = uv[z > 0], z[z > 0]
    inside = (uv >= 0).all(-1) & (uv < [camera.width, camera.height]).all(-1)
    column, row = uv[inside].astype(np.int64).T
    z = z[inside]
    # Of several writes to one pixel the last stands: write the farthest first.
    order = np.argsort(-z, kind="stable")
    found = np.zeros((camera.height, camera.width), np.float32)
    found[row[order], column[order]] = z[order]
    return _without_hidden(found)


def _without_hidden(depth: Depth) -> Depth:
    """The same without what lies behind a surface in a neighbouring pixel."""
    known = np.where(depth > 0, depth, np.float32(np.inf))
    nearest = cv2.erode(known, np.ones((3, 3), np.uint8), borderValue=float("inf"))
    return np.where(depth > (1 + _BEHIND) * nearest, np.float32(0), depth)
