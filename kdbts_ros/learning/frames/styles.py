"""Looks that no world has: other cameras' colours, textures on what is smooth, light that bleeds.

A network that learns from drawn worlds takes clean paint and sharp lines for granted; these take
them away. All work on (B,...,3,H,W) images in [0,1].
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.learning.frames.draws import Draws

# Of `grain`: cells over the height of an image, from blotches to specks.
OCTAVES = (4, 8, 16, 32)
# Of `bloom`: what is brighter bleeds, over cells of so many pixels, at most so strongly.
BRIGHT, HALO, STRONGEST = 0.7, 8, 2.0


def colour_filter(images: Tensor, chance: float, draws: Draws) -> Tensor:
    """Blend a scene's images with what a random 3x3 filter makes of them.

    The filter mixes colours and neighbours, is the same for all images of a batch element, and
    keeps the mean and spread of each colour (random convolutions, Xu et al., ICLR 2021). A scene
    is spared but by `chance`.
    """
    B = images.shape[0]
    whole = (B, *([1] * (images.ndim - 1)))
    weights = draws.normal(B, 3, 3, 3, 3).to(images).flatten(0, 1)
    share, lot = (draws.uniform(*whole).to(images) for _ in range(2))
    # One group of three channels per scene, one image of all groups per view.
    flat = images.reshape(B, -1, *images.shape[-3:]).transpose(0, 1).flatten(1, 2)
    padded = F.pad(flat, (1, 1, 1, 1), mode="replicate")
    views = F.conv2d(padded, weights, groups=B).reshape(-1, B, 3, *images.shape[-2:])
    filtered = views.transpose(0, 1).reshape(images.shape)
    # Every channel keeps its own, or most scenes would be seen through coloured glass.
    axes = (*range(1, images.ndim - 3), -2, -1)
    mean, spread = images.mean(axes, keepdim=True), images.std(axes, keepdim=True)
    own_mean, own_spread = filtered.mean(axes, keepdim=True), filtered.std(axes, keepdim=True)
    filtered = (filtered - own_mean) / own_spread.clamp_min(1e-6) * spread + mean
    return torch.where(lot < chance, images + share * (filtered - images), images)


def grain(images: Tensor, strength: float, draws: Draws) -> Tensor:
    """Factors (B,...,1,H,W) of texture on everything an image shows.

    Smooth noise of several sizes, a different one for each image, half of which are spared; the
    logarithm of a factor deviates by up to `strength`.
    """
    B, *views, _, height, width = images.shape
    total = torch.zeros((), device=images.device)
    for rows in OCTAVES:
        cells = (rows, max(round(rows * width / height), 1))
        coarse = draws.normal(B, *views, *cells).to(images).reshape(-1, 1, *cells)
        amount = draws.uniform(B, *views).to(images).reshape(-1, 1, 1, 1)
        fine = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
        total = total + amount * fine
    deviation = strength * (2 * draws.uniform(B, *views) - 1).clamp_min(0)
    deviation = deviation.to(images).reshape(-1, 1, 1, 1)
    # Four octaves of uniform shares add up to a variance of 4/3.
    factors = torch.exp(deviation * total * (3 / len(OCTAVES)) ** 0.5)
    return factors.reshape(B, *views, 1, height, width)


def bloom(images: Tensor, chance: float, draws: Draws) -> Tensor:
    """Let what is bright spill over its edges, as sky and sunlit walls do in a lens.

    An image is spared but by `chance`.
    """
    flat = images.reshape(-1, *images.shape[-3:])
    height, width = flat.shape[-2:]
    bright = F.avg_pool2d((flat - BRIGHT).clamp_min(0), HALO, ceil_mode=True)
    spread = F.avg_pool2d(bright, 3, 1, 1, count_include_pad=False)
    halo = F.interpolate(spread, (height, width), mode="bilinear", align_corners=False)
    each = (*images.shape[:-3], 1, 1, 1)
    amount, lot = (draws.uniform(*each).to(images) for _ in range(2))
    spill = STRONGEST * amount * halo.reshape(images.shape)
    return torch.where(lot < chance, images + spill, images)
