"""From images to folded maps on a GPU, in half precision.

Needs Triton: imported only where `cuda_engine.available()`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.density.engines.cuda.trunk import INPUT_CHANNELS, CudaTrunk, channels_last
from kdbts_ros.density.engines.folding import FoldedHead
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.network.resnet import normalised


class CudaField:
    """`FoldedField.encode` with convolutions as a GPU answers them fastest.

    float16 has ten bits of mantissa to bfloat16's seven, and nothing between a normalised image and
    a folded map comes near its largest number; `check_engine` finds the weights for which that is
    not so.
    """

    def __init__(
        self, network: DensityNetwork, heads: Sequence[FoldedHead], dtype: torch.dtype
    ) -> None:
        """heads: those with a map of their own."""
        self.spec, self.dtype = network.spec, dtype
        self.trunk = CudaTrunk(network, dtype)
        self._weights = [channels_last(head.conv_weight, dtype) for head in heads]
        self._biases = [head.conv_bias[None, :, None, None].float() for head in heads]

    def encode(self, images: Tensor) -> list[Tensor]:
        """(N,3,H,W) in [0,1] to a folded map (N,hidden,H,W) float32 per head, channels last."""
        answers = [self._encode(image[None]) for image in images]
        maps = [torch.cat([answer[k] for answer in answers]) for k in range(len(self._weights))]
        return [m.contiguous(memory_format=torch.channels_last) for m in maps]

    def blank_input(self) -> Tensor:
        """(1,INPUT_CHANNELS,H,W) zeros for the kernels that write the normalised image."""
        size = (1, INPUT_CHANNELS, self.spec.image_height, self.spec.image_width)
        device = self._weights[0].device
        blank = torch.zeros(size, dtype=self.dtype, device=device)
        return blank.contiguous(memory_format=torch.channels_last)

    def bare_map(self, image: Tensor, head: int) -> Tensor:
        """What `blank_input` became, to a folded map (1,hidden,H,W) without bias."""
        return self.output(self.trunk.decode(self.trunk.encode(image)), head)

    def output(self, features: Tensor, head: int) -> Tensor:
        """The trunk's features (1,C,H+2,W+2) to a folded map (1,hidden,H,W) without bias."""
        folded = F.conv2d(features, self._weights[head])
        return folded.contiguous(memory_format=torch.channels_last)

    def _encode(self, image: Tensor) -> list[Tensor]:
        with torch.autocast(image.device.type, enabled=False):
            padded = self.blank_input()
            padded[:, :3] = normalised(image.float())
            features = self.trunk.decode(self.trunk.encode(padded))
            maps = [self.output(features, k) for k in range(len(self._weights))]
            return [m.float() + bias for m, bias in zip(maps, self._biases, strict=True)]
