"""What a network has to beat: its visible surface alone, and trivial ways to complete it."""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt
import torch

from kdbts_ros.density.geometry.camera import Array, Camera, inverse, transform
from kdbts_ros.density.network.heads import MultiViewHead, SimpleMultiViewHead
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError

# The literature's trivial completion: everything is this deep, m (Wimbauer et al., 2023).
EXTRUSION = 4.0


def surface_columns(
    depth: npt.NDArray[np.floating],
    camera: Camera,
    T_world_cam: Array,
    points: Array,
    thickness: float,
) -> npt.NDArray[np.float32]:
    """(N,) 1 where matter `thickness` m deep behind a depth map's surface meets a column, else 0.

    What lies behind that matter, and where there is no surface, is free.

    Args:
        depth: (H,W) z-depth in m of `camera`'s pixels; 0 or NaN where there is no surface.
        points: (L,N,3) levels of the columns in the world.
    """
    uv, z = camera.project(transform(inverse(T_world_cam), points.reshape(-1, 3)))
    inside = (z > 0) & (uv >= 0).all(1) & (uv < [camera.width, camera.height]).all(1)
    column, row = np.where(inside[:, None], np.nan_to_num(uv), 0).astype(int).T
    surface = np.nan_to_num(depth)[row, column]
    solid = inside & (surface > 0) & (z >= surface) & (z < surface + thickness)
    return solid.reshape(points.shape[:2]).any(0).astype(np.float32)


def weighs_views(scene: SceneCompleter) -> bool:
    """Whether the head weighs views by a confidence, its first layers' first output."""
    return isinstance(scene.network.density_head, MultiViewHead | SimpleMultiViewHead)


def averaging_scene(scene: SceneCompleter) -> SceneCompleter:
    """The same multi-view network with equal weights for all views that see a point.

    That is PixelNeRF's fusion (Yu et al., CVPR 2021) of the features that were learnt for a
    confidence: without its row in the first layers every logit is zero.

    Raises:
        UserError: a head that has no confidence.
    """
    if not weighs_views(scene):
        raise UserError(
            f"view averaging needs a multi-view head with confidences, not '{scene.spec.head}'"
        )
    network = copy.deepcopy(scene.network)
    last = network.density_head.first_layers().lin_out
    with torch.no_grad():
        last.weight[0] = 0
        last.bias[0] = 0
    averaging = SceneCompleter(network, scene.info, scene.device, scene.precision)
    averaging.curves = scene.curves
    return averaging
