"""Rendering as the original code does it, quirks included: for parity and nothing else.

The original spaces the rays of an image from corner to corner (pixel 0 at -1, the last at +1) while
it samples features and colours with pixel centres at half-integers. Everything else in this package
uses half-integer centres throughout.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from kdbts_ros.density.network.network import DensityNetwork, sample_features
from kdbts_ros.density.network.projection import project, rays_world
from kdbts_ros.density.network.volume_rendering import composite, sample_distances


class ReferenceRays(NamedTuple):
    """Colour (R,Vr,3), depth (R,) along the ray parameter, weights (R,S), invalid share (R,Vr)."""

    rgb: Tensor
    depth: Tensor
    weights: Tensor
    alphas: Tensor
    invalid: Tensor


class ReferencePoints(NamedTuple):
    """sigma (M,), rgb (M,Vr,3) and invalid (M,Vr) of points."""

    sigma: Tensor
    rgb: Tensor
    invalid: Tensor


class ReferenceScene:
    """Encoded views and colour views of the original, world = camera 0.

    features (V,C,H,W); K (3,3) in [-1,1] form for all views; T_cam_world (V,4,4); images (Vr,3,H,W)
    in [0,1] with their T_cam_world.
    """

    def __init__(
        self,
        network: DensityNetwork,
        features: Tensor,
        K: Tensor,
        T_encoded: Tensor,
        images: Tensor,
        T_images: Tensor,
    ) -> None:
        self.network = network
        self.features = features[None]
        self.K = K
        self.T_encoded = T_encoded[None]
        self.images = images[None]
        self.T_images = T_images[None]

    def points(self, xyz: Tensor) -> ReferencePoints:
        """Density, colours and validity of points (M,3)."""
        views = self.T_encoded.shape[1]
        K = self.K.expand(1, views, 3, 3)
        sigma, _ = self.network.density(self.features, K, self.T_encoded, xyz[None])
        # The original counts every encoded view here, also those a single-view head ignores.
        seen = project(K, self.T_encoded, xyz[None]).seen[0].any(0)
        into_images = project(
            self.K.expand(1, self.T_images.shape[1], 3, 3), self.T_images, xyz[None]
        )
        rgb = sample_features(self.images, into_images.uv)[0].transpose(0, 1)
        invalid = ~(into_images.seen[0].T & seen[:, None])
        return ReferencePoints(sigma[0], rgb, invalid)

    def rays(self, uv: Tensor, jitter: Tensor, unit: bool) -> ReferenceRays:
        """Render rays of camera 0 through uv (R,2); jitter (R,S) places the samples."""
        spec = self.network.spec
        origin, direction = rays_world(uv, self.K, torch.eye(4), unit)
        t = sample_distances(spec.depth_near, spec.depth_far, jitter)
        xyz = origin[:, None] + direction[:, None] * t[..., None]
        found = self.points(xyz.reshape(-1, 3))
        rendered = composite(found.sigma.view(t.shape), t, force_last=True)
        weights = rendered.weights
        rgb = (weights[..., None, None] * found.rgb.view(*t.shape, -1, 3)).sum(1)
        invalid = (weights[..., None] * found.invalid.view(*t.shape, -1)).sum(1)
        alphas = weights / rendered.transmittance
        return ReferenceRays(rgb, rendered.depth, weights, alphas, invalid)


def corner_grid(height: int, width: int) -> Tensor:
    """(H,W,2) ray positions in [-1,1]^2, corner to corner."""
    x = torch.linspace(-1, 1, width)
    y = torch.linspace(-1, 1, height)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
