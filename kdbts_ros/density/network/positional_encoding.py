"""γ, the positional code of a point: where it falls in the image and how deep it lies."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

FREQUENCIES = 6
BASE_FREQUENCY = 1.5


class PositionalCode(nn.Module):
    """γ(u_k, d_k): sines and cosines of (u, v, mapped depth), after the raw triple itself.

    Six octaves starting at 1.5 rad, without a factor of pi; a cosine is written as a sine with a
    phase of pi/2, as the trained weights expect it (float32 sin(x + pi/2) is not cos(x) to the
    last bit). BTS, CVPR 2023, section 3.1.
    """

    width = 3 + 2 * FREQUENCIES * 3

    freqs: Tensor
    phases: Tensor

    def __init__(self) -> None:
        super().__init__()
        # A range asked for its shape alone would make torch import its symbolic algebra.
        octaves = torch.tensor([BASE_FREQUENCY * 2.0**octave for octave in range(FREQUENCIES)])
        self.register_buffer("freqs", octaves.repeat_interleave(2), persistent=False)
        self.register_buffer(
            "phases", torch.tensor([0.0, math.pi / 2] * FREQUENCIES), persistent=False
        )

    def forward(self, uvz: Tensor) -> Tensor:
        """(..., 3) to (..., 39)."""
        waves = torch.sin(uvz.unsqueeze(-2) * self.freqs[:, None] + self.phases[:, None])
        return torch.cat([uvz, waves.flatten(-2)], dim=-1)


def map_depth(z: Tensor, near: float, far: float, offset: float = 0.0) -> Tensor:
    """d_k as γ reads it: 1 / (z + offset), `near` at +1, `far` at -1, linear; nearer exceeds 1.

    offset: m; the original has none. From a `near` of half a metre on, inverse depth alone would
    leave a sixth of the code to all beyond 3 m.
    """
    first, last = 1 / (near + offset), 1 / (far + offset)
    return 2 * (1 / (z + offset) - last) / (first - last) - 1
