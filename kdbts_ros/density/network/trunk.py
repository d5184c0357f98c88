"""What every trunk is: convolutions in five levels, as one list that all who compute them walk.

`Trunk.steps` is that list. The network's own forward pass follows it, and so does every engine, so
that a new trunk needs no engine of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor, nn
from torch.nn import functional as F

Activation: TypeAlias = Literal["none", "relu", "relu6"]
Five: TypeAlias = tuple[int, int, int, int, int]


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution, its norm and what follows; square, alike along both axes.

    `border`: zeros put before and after each axis, beyond the convolution's own padding, which is
    the same on both sides.
    """

    conv: nn.Conv2d
    norm: nn.BatchNorm2d
    activation: Activation
    border: tuple[int, int] = (0, 0)

    def __call__(self, x: Tensor) -> Tensor:
        if any(self.border):
            x = F.pad(x, self.border * 2)
        return activated(self.norm(self.conv(x)), self.activation)


@dataclass(frozen=True, eq=False)
class Residual:
    """A path of layers, added to its input or to what `shortcut` makes of it, and activated."""

    path: tuple[Layer, ...]
    shortcut: Layer | None
    activation: Activation

    def __call__(self, x: Tensor) -> Tensor:
        skip = x if self.shortcut is None else self.shortcut(x)
        for layer in self.path:
            x = layer(x)
        return activated(x + skip, self.activation)


@dataclass(frozen=True)
class Pool:
    """The largest of 3x3 at every second pixel, from the first on."""

    def __call__(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 2, 1)


Step: TypeAlias = Layer | Residual | Pool


class Trunk(nn.Module):
    """Images to five feature maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of their size.

    `channels` are those of the five maps, finest first; sizes of images are multiples of 32.
    Images in [0,1] are normalised by one `mean` and `deviation` for all channels.
    """

    channels: Five
    mean: float
    deviation: float

    def steps(self) -> tuple[tuple[Step, ...], ...]:
        """For each of the five levels, finest first, what makes its map of the one before."""
        raise NotImplementedError

    def levels(self) -> tuple[tuple[nn.Module, ...], ...]:
        """The modules whose parameters belong to each of the five levels, finest first."""
        raise NotImplementedError

    def normalised(self, images: Tensor) -> Tensor:
        """Images in [0,1], as the first convolution reads them."""
        return (images - self.mean) / self.deviation

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N,3,H,W) RGB in [0,1] to the five maps, finest first."""
        x, taps = self.normalised(images), []
        for level in self.steps():
            for step in level:
                x = step(x)
            taps.append(x)
        return taps


def activated(x: Tensor, activation: Activation) -> Tensor:
    if activation == "relu":
        return F.relu(x)
    return F.relu6(x) if activation == "relu6" else x
