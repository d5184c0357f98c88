"""The encoder's half of a training step, in the precision that pays."""

from __future__ import annotations

import torch
from torch import Tensor

from kdbts_ros.density.network import DensityNetwork


def encode(network: DensityNetwork, images: Tensor, bf16: bool) -> Tensor:
    """(N,3,H,W) in [0,1] to float32 features (N,C,H,W).

    Convolutions stand bfloat16; densities do not, because they go through exp and compositing.
    """
    if images.is_cuda:
        # On a CPU the backward pass of few channels is a quarter faster the other way round.
        images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
        features = network.encode(images)
    return features.float()


def encode_views(network: DensityNetwork, images: Tensor, bf16: bool) -> Tensor:
    """(B,V,3,H,W) in [0,1] to float32 features (B,V,C,H,W)."""
    features = encode(network, images.flatten(0, 1), bf16)
    return features.reshape(*images.shape[:2], *features.shape[1:])
