"""Disturbed features at 1/2 and 1/4: a network must not trust what worlds all look like.

What early features hold beside shapes is style: contrast, sharpness, the grain of surfaces.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.losses.encoding import Disturbance

# The levels that are disturbed: 1/2 and 1/4.
SHALLOW = (0, 1)
# MixStyle's: most mixtures are nearly all of one of the two.
ALPHA = 0.1
# Pixels over which detail is told from the rest.
DETAIL = 5


def disturbance(views: int, noise: float, mixing: float, draws: Draws) -> Disturbance | None:
    """What a stage does to features of scenes of so many views; None for nothing."""
    if not noise and not mixing:
        return None

    def disturbed(level: int, features: Tensor) -> Tensor:
        if level not in SHALLOW:
            return features
        x = features.reshape(-1, views, *features.shape[1:])
        if mixing:
            x = mix_style(x, mixing, draws)
        if noise:
            x = noisy_detail(x, noise, draws)
        return x.flatten(0, 1)

    return disturbed


def noisy_detail(features: Tensor, strength: float, draws: Draws) -> Tensor:
    """(B,V,C,H,W) with noise in proportion to their fine detail, up to `strength` times it.

    After MRFP (Udupa et al., CVPR 2024), which disturbs high frequencies: there worlds and
    photographs differ most.
    """
    flat = features.flatten(0, 1)
    smooth = F.avg_pool2d(flat, DETAIL, 1, DETAIL // 2, count_include_pad=False)
    detail = (flat - smooth).reshape(features.shape)
    amount = draws.uniform(*features.shape[:2], 1, 1, 1).to(features) * strength
    return features + amount * draws.normal(*features.shape).to(features) * detail


def mix_style(features: Tensor, chance: float, draws: Draws) -> Tensor:
    """(B,V,C,H,W) whose channels take on some of the mean and spread of another scene's.

    MixStyle (Zhou et al., ICLR 2021): the scenes of the batch are paired anew, the mixture is one
    for all views of a scene, and no gradient goes through it. A scene is spared but by `chance`.
    """
    mean = features.mean((-2, -1), keepdim=True).detach()
    spread = features.std((-2, -1), keepdim=True).detach().clamp_min(1e-6)
    others = _of_partners(torch.stack([mean, spread], 1).float(), draws).to(features)
    whole = (len(draws), 1, 1, 1, 1)
    own = _beta(draws).to(features).reshape(whole)
    own = torch.where(draws.uniform(*whole).to(features) < chance, own, torch.ones_like(own))
    new_mean = own * mean + (1 - own) * others[:, 0]
    new_spread = own * spread + (1 - own) * others[:, 1]
    return (features - mean) / spread * new_spread + new_mean


def _beta(draws: Draws) -> Tensor:
    """(B,) of Beta(ALPHA, ALPHA), each by the draws of its place."""
    return torch.tensor([rng.beta(ALPHA, ALPHA) for rng in draws.rngs], dtype=torch.float32)


def _of_partners(statistics: Tensor, draws: Draws) -> Tensor:
    """(B,...) statistics of the scenes that ours are paired with, wherever they are."""
    everywhere = statistics.contiguous()
    if dist.is_available() and dist.is_initialized():
        parts = [torch.empty_like(everywhere) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, everywhere)
        everywhere = torch.cat(parts)
    return everywhere[draws.partners(len(everywhere))]
