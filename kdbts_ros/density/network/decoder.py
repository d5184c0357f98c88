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


class RowBias(nn.Module):
    """What a level camera at one height knows of a row before it sees anything: how far the ground
    is there.

    A level ground has an inverse depth that is linear in the row below the horizon, and the
    canonical camera is level, as high as the one in training and has its horizon near the middle.
    So every channel gets a line over the rows, and another over those below the middle. That is a
    convolution of two channels that hold the row and the plane (CAM-Convs, CVPR 2019), and costs
    one addition. Starts at nothing.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lines = nn.Parameter(torch.zeros(channels, 2))

    def forward(self, height: int) -> Tensor:
        """(1,C,height,1) for maps of so many rows."""
        middles = torch.arange(height, dtype=torch.float32, device=self.lines.device) + 0.5
        row = 2 * middles / height - 1
        bias = self.lines @ torch.stack([row, row.clamp(min=0)])
        return bias[None, :, :, None]


class FeatureDecoder(nn.Module):
    """Five levels of convolve, upsample, join the skip, convolve; then one linear output map.

    Only the finest scale is computed: nothing ever queries the coarser three of the reference.
    """

    def __init__(
        self,
        encoder_channels: Sequence[int],
        channels: Sequence[int],
        feature_channels: int,
        rows: bool = False,
    ) -> None:
        """rows: every level is told its rows, see `RowBias`."""
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
        told = channels[::-1] if rows else ()
        self.rows = nn.ModuleList([RowBias(width) for width in told])

    def forward(self, taps: Sequence[Tensor]) -> Tensor:
        """Five maps, finest first, to (N,C,H,W)."""
        features: Tensor = self.output(self.trunk(taps))
        return features

    def trunk(self, taps: Sequence[Tensor]) -> Tensor:
        """What the output convolution reads: (N,channels[0],H,W)."""
        x = taps[-1]
        for step, (before, after) in enumerate(zip(self.before, self.after, strict=True)):
            x = before(x)
            if self.rows:
                x = x + self.rows[step](x.shape[-2])
            x = F.interpolate(F.elu(x), scale_factor=2.0, mode="nearest")
            level = 4 - step
            if level > 0:
                x = torch.cat([x, taps[level - 1]], dim=1)
            x = F.elu(after(x))
        return x
