"""The head over the map: what columns of densities add up to, seen together with their neighbours.

A density is asked of each point alone. That a row of columns is the side of a car, and that what
lies behind it is as deep as a car, is known to nobody until they are looked at side by side. This
is a U-Net (Ronneberger et al., 2015) over the bird's-eye map and over what the newest image
shows at each cell, gathered at a few heights as BEVFormer and its kin gather it. It says by how
much the log odds of a cell change, so that a head that has learnt nothing changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdbts_ros.errors import UserError

# Planes that describe a cell beside the image's features: see `MapHead`.
PLANES = 7
# The map is halved four times.
LEAST_CELLS = 16
# Far beyond any head of ours, and far below what would take all memory.
MOST_CELLS, WIDEST, MOST_HEIGHTS = 512, 1024, 16


@dataclass(frozen=True)
class MapHeadSpec:
    """Everything needed to build a `MapHeadNetwork` and to lay its lattice before a camera.

    Lengths are those of the world, whatever the network is shown: a chair is as deep for a low
    camera as for a high one.

    Attributes:
        features: channels of the folded map that it gathers from.
        resolution: side of a cell, m.
        cells: along each side of the lattice, a multiple of 16.
        heights: above the ground, m, at which features are gathered.
        widths: channels of the four levels. fine: of the lattice itself. gathered: to which the
            features of a cell are reduced.
        occupied_from: probability in (0, 1) from which a column is best called occupied.
        scales: `View.scale` it has learnt from, least and most; others' maps are left as they are.

    Raises:
        UserError: values that build no head.
    """

    features: int
    resolution: float
    heights: tuple[float, ...]
    cells: int = 128
    widths: tuple[int, int, int, int] = (24, 48, 72, 96)
    fine: int = 12
    gathered: int = 48
    occupied_from: float = 0.3
    scales: tuple[float, float] = (0.7, 1.5)

    def __post_init__(self) -> None:
        sizes = (self.features, self.fine, self.gathered, *self.widths)
        sane = (
            len(self.widths) == 4
            and all(isinstance(n, int) and 0 < n <= WIDEST for n in sizes)
            and isinstance(self.cells, int)
            and LEAST_CELLS <= self.cells <= MOST_CELLS
            and self.cells % LEAST_CELLS == 0
            and 0 < len(self.heights) <= MOST_HEIGHTS
            and all(0 <= z < 100 for z in self.heights)
            and 0.01 <= self.resolution <= 10
            and 0 < self.occupied_from < 1
            and len(self.scales) == 2
            and 0 < self.scales[0] <= self.scales[1]
        )
        if not sane:
            raise UserError(f"no head over maps is like this: {self}")

    @property
    def length(self) -> float:
        """Side of the lattice, m."""
        return self.cells * self.resolution


class Block(nn.Module):
    """Two 3x3 convolutions beside a short cut (He et al., 2016), the first with a stride."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.past = nn.Conv2d(inputs, outputs, 1)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        short = self.past(F.avg_pool2d(x, self.stride) if self.stride > 1 else x)
        return F.relu(short + self.second(F.relu(self.first(x))))


class MapHeadNetwork(nn.Module):
    """See the module. Changes nothing until it is trained."""

    def __init__(self, spec: MapHeadSpec) -> None:
        super().__init__()
        self.spec = spec
        a, b, c, d = spec.widths
        self.planes = nn.Conv2d(PLANES, spec.fine, 3, 1, 1)
        self.reduce = nn.Conv2d(spec.features * len(spec.heights), spec.gathered, 1)
        self.gathered = nn.Conv2d(spec.gathered, a, 3, 1, 1)
        self.down = nn.ModuleList(
            [Block(spec.fine, a, 2), Block(a, b, 2), Block(b, c, 2), Block(c, d, 2), Block(d, d)]
        )
        self.up = nn.ModuleList([Block(d + c, c), Block(c + b, b), Block(b + a, a)])
        self.join = nn.Conv2d(a + spec.fine, spec.fine, 3, 1, 1)
        self.out = nn.Conv2d(spec.fine, 1, 1)
        nn.init.zeros_(self.out.weight)
        if self.out.bias is not None:
            nn.init.zeros_(self.out.bias)

    def forward(self, planes: Tensor, features: Tensor) -> Tensor:
        """Change of the log odds (N,n,n) of each cell.

        planes (N,PLANES,n,n) and features (N,heights*channels,n/2,n/2): see `MapHead`.
        """
        fine = F.relu(self.planes(planes))
        x: Tensor = self.down[0](fine)
        x = F.relu(x + self.gathered(F.relu(self.reduce(features))))
        levels = [x]
        for block in list(self.down)[1:4]:
            levels.append(block(levels[-1]))
        x = self.down[4](levels.pop())
        for block in self.up:
            x = block(torch.cat([_doubled(x), levels.pop()], 1))
        x = F.relu(self.join(torch.cat([_doubled(x), fine], 1)))
        change: Tensor = self.out(x)
        return change[:, 0]


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
