"""Points into posed images."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Points closer to the image plane than this have no usable projection, metres.
MIN_DEPTH = 1e-3


class Projected(NamedTuple):
    """u_k: uv (B,V,M,2) in [-1,1]^2 over image k; d_k: z (B,V,M) m, at least 1 mm; seen (B,V,M)."""

    uv: Tensor
    z: Tensor
    seen: Tensor


def project(K_ndc: Tensor, T_cam_world: Tensor, points: Tensor) -> Projected:
    """π_k(x) = (u_k, d_k): (B,M,3) world points x in V cameras; the image border counts as seen."""
    xyz_cam = points.unsqueeze(1) @ T_cam_world[..., :3, :3].mT + T_cam_world[..., None, :3, 3]
    homogeneous = xyz_cam @ K_ndc.mT
    depth = homogeneous[..., 2]
    z = depth.clamp_min(MIN_DEPTH)
    uv = homogeneous[..., :2] / z.unsqueeze(-1)
    seen = (depth > MIN_DEPTH) & (uv.abs() <= 1).all(-1)
    return Projected(uv, z, seen)


def rays_world(uv: Tensor, K_ndc: Tensor, T_world_cam: Tensor, unit: bool) -> tuple[Tensor, Tensor]:
    """Origins and directions (...,3) through image points uv (...,2) in [-1,1]^2.

    Directions have z = 1 in the optical frame, so that the ray parameter is the z-depth; with
    `unit` they have length one and the parameter is the distance.
    """
    x = (uv[..., 0] - K_ndc[..., 0, 2]) / K_ndc[..., 0, 0]
    y = (uv[..., 1] - K_ndc[..., 1, 2]) / K_ndc[..., 1, 1]
    direction = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    if unit:
        direction = direction / direction.norm(dim=-1, keepdim=True)
    direction = (T_world_cam[..., :3, :3] @ direction.unsqueeze(-1)).squeeze(-1)
    return T_world_cam[..., :3, 3].expand_as(direction), direction
