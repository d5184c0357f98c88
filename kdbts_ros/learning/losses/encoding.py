"""The encoder's half of a training step, in the precision that pays."""

from __future__ import annotations

import torch
from torch import Tensor

from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.network.precision import choose_precision
from kdbts_ros.learning.config.training import Precision, PrecisionChoice


def encoder_precision(choice: PrecisionChoice, device: torch.device) -> Precision:
    """What "auto" means on a device; see `choose_precision`."""
    return choose_precision(choice, device) if choice == "auto" else choice


def encode(network: DensityNetwork, images: Tensor, precision: Precision) -> Tensor:
    """(N,3,H,W) in [0,1] to float32 features (N,C,H,W).

    Convolutions stand short numbers; densities do not, because they go through exp and
    compositing.
    """
    if images.is_cuda:
        # On a CPU the backward pass of few channels is a quarter faster the other way round.
        images = images.contiguous(memory_format=torch.channels_last)
    short = getattr(torch, precision)
    with torch.autocast(images.device.type, short, enabled=precision != "float32"):
        features = network.encode(images)
    return features.float()


def encode_views(network: DensityNetwork, images: Tensor, precision: Precision) -> Tensor:
    """(B,V,3,H,W) in [0,1] to float32 features (B,V,C,H,W)."""
    features = encode(network, images.flatten(0, 1), precision)
    return features.reshape(*images.shape[:2], *features.shape[1:])
