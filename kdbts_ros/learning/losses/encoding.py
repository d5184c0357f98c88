"""The encoder's half of a training step: in the precision that pays, with disturbed features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.density.network.efficientnet import EfficientNetLite
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.network.precision import choose_precision
from kdbts_ros.density.network.trunk import Trunk
from kdbts_ros.learning.config.training import Precision, PrecisionChoice

# From a level of the encoder, 0 at 1/2 to 4 at 1/32, and its map to what goes on from there.
Disturbance: TypeAlias = Callable[[int, Tensor], Tensor]
# The levels whose features say what is seen, more than what it looks like.
DEEP = (3, 4)


def encoder_precision(choice: PrecisionChoice, device: torch.device) -> Precision:
    """What "auto" means on a device; see `choose_precision`."""
    return choose_precision(choice, device) if choice == "auto" else choice


@dataclass(frozen=True)
class Encoded:
    """features (B,V,C,H,W) float32; taps: the encoder's five maps (B*V,C,h,w), finest first."""

    features: Tensor
    taps: list[Tensor]


def encode_views(
    network: DensityNetwork,
    images: Tensor,
    precision: Precision,
    disturbed: Disturbance | None = None,
) -> Encoded:
    """Encode (B,V,3,H,W) in [0,1].

    Convolutions stand short numbers; densities do not, because they go through exp and
    compositing.
    """
    flat = images.flatten(0, 1)
    if flat.is_cuda or isinstance(network.encoder, EfficientNetLite):
        # On a CPU a step of a ResNet is a quarter faster the other way round, of depthwise
        # convolutions a fifth slower.
        flat = flat.contiguous(memory_format=torch.channels_last)
    with torch.autocast(flat.device.type, getattr(torch, precision), precision != "float32"):
        taps = _taps(network.encoder, flat, disturbed)
        features = network.decoder(taps).float()
    return Encoded(features.reshape(*images.shape[:2], *features.shape[1:]), taps)


def _taps(trunk: Trunk, images: Tensor, disturbed: Disturbance | None) -> list[Tensor]:
    """As `Trunk.forward`, with a hand on the map between one level and the next."""
    x, taps = trunk.normalised(images), []
    for number, level in enumerate(trunk.steps()):
        for step in level:
            x = step(x)
        if disturbed is not None:
            x = disturbed(number, x)
        taps.append(x)
    return taps


def feature_distance(taps: list[Tensor], start: Trunk, images: Tensor) -> Tensor:
    """How far the deep features of (N,3,H,W) images have gone from those of the encoder at start.

    Mean over images and over 1/16 and 1/32 of |f - f0|^2 / |f0|^2 (SHADE, Zhao et al., ECCV 2022;
    DAFormer, Hoyer et al., CVPR 2022: what ImageNet taught is forgotten on drawn worlds).
    """
    with torch.no_grad():
        first = start(images)
    ratios = []
    for level in DEEP:
        now, then = taps[level].float(), first[level].float()
        change = (now - then).square().flatten(1).sum(1)
        ratios.append(change / then.square().flatten(1).sum(1).clamp_min(1e-12))
    return torch.stack(ratios).mean()


def taught_features(
    features: Tensor, teacher: DensityNetwork, images: Tensor, known: Tensor
) -> Tensor:
    """How far features (B,V,C,H,W) are from the teacher's of images (B,V,3,H,W), squared, over the
    variance of each of the teacher's channels; mean over everything `known`.

    known: (B,) bool, what the teacher has been taught itself; 0 where there is none of it.
    The hint of FitNets (Romero et al., ICLR 2015), on the map that heads read.
    """
    if not known.any():
        return features.new_zeros(())
    with torch.no_grad():
        flat = images[known].flatten(0, 1)
        size = (teacher.spec.image_height, teacher.spec.image_width)
        wanted = teacher.encode(F.interpolate(flat, size, mode="area"))
        wanted = F.interpolate(wanted, features.shape[-2:], mode="area")
        spread = wanted.var((0, 2, 3), keepdim=True).clamp_min(1e-6)
    return ((features[known].flatten(0, 1) - wanted).square() / spread).mean()
