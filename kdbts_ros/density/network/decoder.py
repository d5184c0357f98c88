"""The U-Net decoder that turns five encoder maps into one full-resolution feature map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def mirrored(x: Tensor) -> Tensor:
    """A pixel of mirror on every side."""
    return F.pad(x, (1, 1, 1, 1), mode="reflect")


class Conv3x3(nn.Module):
    """A 3x3 convolution over a mirrored border."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(mirrored(x))
        return y


class FeatureDecoder(nn.Module):
    """Five levels of convolve, upsample, join the skip, convolve; then one linear output map.

    Only the finest scale is computed: nothing ever queries the coarser three of the reference.
    """

    def __init__(
        self, encoder_channels: Sequence[int], channels: Sequence[int], feature_channels: int
    ) -> None:
        super().__init__()
        before, after = [], []
        inputs = encoder_channels[-1]
        for level in range(4, -1, -1):
            skip = encoder_channels[level - 1] if level > 0 else 0
            before.append(Conv3x3(inputs, channels[level]))
            after.append(Conv3x3(channels[level] + skip, channels[level]))
            inputs = channels[level]
        self.before = nn.ModuleList(before)
        self.after = nn.ModuleList(after)
        self.output = Conv3x3(inputs, feature_channels)

    def forward(self, taps: Sequence[Tensor]) -> Tensor:
        """Five maps, finest first, to (N,C,H,W)."""
        features: Tensor = self.output(self.trunk(taps))
        return features

    def trunk(self, taps: Sequence[Tensor]) -> Tensor:
        """What the output convolution reads: (N,channels[0],H,W)."""
        x = taps[-1]
        for step, (before, after) in enumerate(zip(self.before, self.after, strict=True)):
            x = F.interpolate(F.elu(before(x)), scale_factor=2.0, mode="nearest")
            level = 4 - step
            if level > 0:
                x = torch.cat([x, taps[level - 1]], dim=1)
            x = F.elu(after(x))
        return x
