"""Learning from exact worlds: occupancy at points, depth along rays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kdbts_ros.density.network import DensityNetwork
from kdbts_ros.density.rendering import composite, sample_distances
from kdbts_ros.learning.augmentation import jitter_colours, mirror_intrinsics
from kdbts_ros.learning.config import SupervisedStage
from kdbts_ros.learning.encoding import encode
from kdbts_ros.learning.labels import FAR, NEAR, LabelledFrame, draw_pixels

# Keeps the logarithm of an occupied point finite where the density is exactly zero in float32.
PROBABILITY_FLOOR = 1e-6


@dataclass(frozen=True)
class SupervisedBatch:
    """Everything in the optical frame of each image.

    images (B,3,H,W) in [0,1]; K_ndc (B,3,3); points (B,M,3) m and occupied (B,M) 0 or 1; rays:
    directions (B,R,3) with z = 1 and their true z-depth (B,R).
    """

    images: Tensor
    K_ndc: Tensor
    points: Tensor
    occupied: Tensor
    rays: Tensor
    z: Tensor

    def to(self, device: torch.device) -> SupervisedBatch:
        return SupervisedBatch(*(value.to(device) for value in vars(self).values()))


def collate(
    frames: Sequence[LabelledFrame], points: int, rays: int, rng: np.random.Generator
) -> SupervisedBatch:
    """Draw points and rays of frames; every other draw mirrors the frame left to right."""
    parts = [_draw(frame, points, rays, rng) for frame in frames]
    return SupervisedBatch(*(torch.stack(values) for values in zip(*parts, strict=True)))


def _draw(
    frame: LabelledFrame, points: int, rays: int, rng: np.random.Generator
) -> tuple[Tensor, ...]:
    count = len(frame.points)
    start = rng.integers(count)
    chosen = (start + np.arange(min(points, count))) % count
    height, width = frame.z.shape
    rows, columns = draw_pixels(frame.obstacle, rays, rng)
    K = frame.K_ndc
    x = ((columns + 0.5) / width * 2 - 1 - K[0, 2]) / K[0, 0]
    y = ((rows + 0.5) / height * 2 - 1 - K[1, 2]) / K[1, 1]
    image = torch.from_numpy(frame.image).permute(2, 0, 1).float() / 255
    K_ndc = torch.from_numpy(frame.K_ndc)
    xyz = torch.from_numpy(frame.points[chosen])
    directions = torch.from_numpy(np.stack([x, y, np.ones_like(x)], -1).astype(np.float32))
    if rng.random() < 0.5:
        mirror = torch.tensor([-1.0, 1.0, 1.0])
        image, K_ndc = image.flip(-1), mirror_intrinsics(K_ndc)
        xyz, directions = xyz * mirror, directions * mirror
    return (
        image,
        K_ndc,
        xyz,
        torch.from_numpy(frame.occupied[chosen]).float(),
        directions,
        torch.from_numpy(frame.z[rows, columns].astype(np.float32)).clamp(NEAR, FAR),
    )


def occupancy_loss(sigma: Tensor, occupied: Tensor, length: float) -> Tensor:
    """Binary cross-entropy of the probability 1 - exp(-length sigma) that a cell is occupied."""
    thickness = length * sigma
    solid = -torch.log(-torch.expm1(-thickness) + PROBABILITY_FLOOR)
    return torch.where(occupied > 0.5, solid, thickness).mean()


def depth_loss(sigma: Tensor, t: Tensor, z: Tensor) -> Tensor:
    """|log E[1/t] - log 1/z| of rays (...,S) with true depth (...).

    The expected inverse depth, not the expected depth, because one mistaken far sample would
    otherwise drown a near surface.
    """
    weights = composite(sigma, t, force_last=True).weights
    inverse = (weights / t).sum(-1)
    return (torch.log(inverse.clamp_min(1 / (2 * FAR))) + torch.log(z)).abs().mean()


def supervised_step(
    network: DensityNetwork,
    batch: SupervisedBatch,
    stage: SupervisedStage,
    generator: torch.Generator,
    bf16: bool,
) -> dict[str, Tensor]:
    """Losses of a batch; `loss` is the one to descend."""
    features = encode(network, jitter_colours(batch.images, stage.jitter, generator), bf16)
    B, R = batch.z.shape
    jitter = torch.rand(B, R, stage.samples, generator=generator).to(batch.z.device)
    t = sample_distances(NEAR, FAR, jitter)
    along = batch.rays.unsqueeze(2) * t.unsqueeze(-1)
    queries = torch.cat([batch.points, along.reshape(B, -1, 3)], dim=1)
    identity = torch.eye(4, device=queries.device).expand(B, 1, 4, 4)
    sigma, _ = network.density(features.unsqueeze(1), batch.K_ndc.unsqueeze(1), identity, queries)
    count = batch.points.shape[1]
    occupancy = occupancy_loss(sigma[:, :count], batch.occupied, stage.length)
    depth = depth_loss(sigma[:, count:].reshape(t.shape), t, batch.z)
    return {
        "loss": occupancy + stage.depth_weight * depth,
        "occupancy": occupancy.detach(),
        "depth": depth.detach(),
    }
