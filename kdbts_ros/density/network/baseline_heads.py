"""Heads of earlier multi-view methods, to stand beside MVBTS: PixelNeRF and IBRNet.

Both sit on the trunk and the code of the others and give a density alone: what is compared is how
views are fused.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from kdbts_ros.density.network.heads import AttentionLayer, Head, Perceptron

# Samples of the ray on which a lone point is put for a head that mixes along rays.
RAY_SAMPLES = 24
# Octaves of the code of a sample's place on its ray.
_PLACE_OCTAVES = 4


class PixelNerfHead(nn.Module):
    """Vectors of the views that see a point, averaged, then read by a second perceptron.

    Yu et al., "pixelNeRF" (CVPR 2021), section 4.2, with a perceptron for each of its two stages
    of residual blocks. `MultiViewHead` without a confidence. Views that do not see the point are
    left out, where the paper averages whatever their borders say.
    """

    multi_view = True

    def __init__(self, inputs: int, hidden: int = 128, fused: int = 16, hidden2: int = 16) -> None:
        super().__init__()
        self.mlp = Perceptron(inputs, hidden, fused)
        self.mlp2 = Perceptron(fused, hidden2, 1)

    def first_layers(self) -> Perceptron:
        return self.mlp

    def output_bias(self) -> nn.Parameter:
        return self.mlp2.lin_out.bias

    def fuse(self, per_view: Tensor, seen: Tensor) -> Tensor:
        mean = (view_shares(seen).unsqueeze(-1) * per_view).sum(1)
        pre_density: Tensor = self.mlp2(mean)
        return pre_density.squeeze(-1)


class IbrnetHead(nn.Module):
    """Mean and variance over views, twice, then samples of a ray that look at each other.

    Wang et al., "IBRNet: Learning Multi-View Image-Based Rendering" (CVPR 2021), section 3.2: each
    view's feature is read beside the mean and variance of all, which gives a weight and a new
    feature; their weighted mean and variance are the point's density feature; the ray transformer
    lets the density features of a ray attend to each other before they become densities. Our trunk,
    code and widths; no colours.

    Densities so depend on the ray. A lone point gets what the ray of the reference view through it
    would have there: `points_on_rays`. `fuse` alone takes every point for a ray of one sample.
    """

    multi_view = True

    def __init__(self, inputs: int, hidden: int = 64, width: int = 16, hidden2: int = 16) -> None:
        super().__init__()
        self.mlp = Perceptron(inputs, hidden, width)
        self.weighing = Perceptron(3 * width, hidden2, 1 + width)
        self.pooling = Perceptron(2 * width, hidden2, width)
        self.place = nn.Linear(2 * _PLACE_OCTAVES, width)
        self.ray = AttentionLayer(width)
        self.norm = nn.LayerNorm(width)
        self.mlp2 = Perceptron(width, hidden2, 1)

    def first_layers(self) -> Perceptron:
        return self.mlp

    def output_bias(self) -> nn.Parameter:
        return self.mlp2.lin_out.bias

    def fuse(self, per_view: Tensor, seen: Tensor) -> Tensor:
        return self.fuse_rays(per_view, seen, 1)

    def fuse_rays(self, per_view: Tensor, seen: Tensor, samples: int) -> Tensor:
        """(B,V,M,width) and (B,V,M) to (B,M); M is of whole rays, their `samples` by depth."""
        features = self._pooled(per_view, seen)
        rays = features.view(len(features), -1, samples, features.shape[-1])
        rays = rays + self.place(_places(samples, rays.device))
        hidden = ~seen.any(1).view(len(seen), -1, samples)
        pre_density: Tensor = self.mlp2(self.norm(self.ray(rays, rays, hidden)))
        return pre_density.squeeze(-1).flatten(1)

    def _pooled(self, per_view: Tensor, seen: Tensor) -> Tensor:
        """(B,M,width): the density feature of each point."""
        mean, variance = pooled(per_view, view_shares(seen))
        everyone = (
            torch.cat([mean, variance], -1).unsqueeze(1).expand(-1, per_view.shape[1], -1, -1)
        )
        told = self.weighing(torch.cat([per_view, everyone], -1))
        weights = torch.sigmoid(told[..., 0]) * view_shares(seen)
        shares = weights / weights.sum(1, keepdim=True)
        feature: Tensor = self.pooling(torch.cat(pooled(told[..., 1:], shares), -1))
        return feature


def fuse_along(head: Head, per_view: Tensor, seen: Tensor, samples: int) -> Tensor:
    """`Head.fuse` of points that are whole rays of `samples`, nearest first, one after the other.

    Only a head that mixes samples looks at the order.
    """
    if isinstance(head, IbrnetHead):
        return head.fuse_rays(per_view, seen, samples)
    return head.fuse(per_view, seen)


def points_on_rays(points: Tensor, origin: Tensor, distances: Tensor) -> tuple[Tensor, Tensor]:
    """Each point as a sample of the ray from `origin` through it.

    The other samples keep their distances, and the point takes the place of the one whose bin it
    lies in, as a jittered sample would: (...,M,S,3) points by distance, and which of them is the
    point, (...,M).

    Args:
        points: (...,M,3). origin: (...,3), both m. distances: (S,) m, growing.
    """
    away = points - origin.unsqueeze(-2)
    distance = away.norm(dim=-1, keepdim=True)
    # Between equal inverse distances lie the edges of the bins.
    inverse = 1 / distances
    edges = 2 / (inverse[1:] + inverse[:-1])
    place = torch.bucketize(distance.squeeze(-1), edges)
    along = distances.expand(*distance.shape[:-1], -1).clone()
    along.scatter_(-1, place.unsqueeze(-1), distance)
    direction = away / distance.clamp_min(1e-6)
    rays = origin[..., None, None, :] + along.unsqueeze(-1) * direction.unsqueeze(-2)
    return rays, place


def view_shares(seen: Tensor) -> Tensor:
    """(B,V,M) masks to equal weights over the views that see a point; over all where none does."""
    known = torch.where(seen.any(1, keepdim=True), seen, torch.ones_like(seen)).float()
    return known / known.sum(1, keepdim=True)


def pooled(values: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (B,M,K) over the views of (B,V,M,K), weighed by (B,V,M)."""
    weights = shares.unsqueeze(-1)
    mean = (weights * values).sum(1)
    variance = (weights * (values - mean.unsqueeze(1)) ** 2).sum(1)
    return mean, variance


def _places(samples: int, device: torch.device) -> Tensor:
    """(S,2 octaves) sines and cosines of where on its ray a sample is, whatever their number."""
    middle = (torch.arange(samples, device=device) + 0.5) / samples
    angles = middle[:, None] * math.pi * 2.0 ** torch.arange(_PLACE_OCTAVES, device=device)
    return torch.cat([angles.sin(), angles.cos()], -1)
