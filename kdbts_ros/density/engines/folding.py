"""The folded heads: the same densities for a fraction of the arithmetic.

Bilinear sampling and the first layer of a head are both linear, so the feature half of that layer
can be applied to the map once, inside the decoder's output convolution or right after it, instead
of at every point.
The positional half is a sum of functions of u, of v and of depth alone. Equal to the plain
formulation of `DensityNetwork.density` up to rounding.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.network.baseline_heads import fuse_along
from kdbts_ros.density.network.decoder import mirrored
from kdbts_ros.density.network.heads import Head, Perceptron
from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec, sample_features
from kdbts_ros.density.network.positional_encoding import (
    FREQUENCIES,
    PositionalCode,
    map_depth,
)
from kdbts_ros.density.network.precision import HALF
from kdbts_ros.density.network.projection import Projected
from kdbts_ros.density.network.volume_rendering import HALF_THICKNESS, composite, surface_depth

# Linear interpolation of sin(48 x), the code's fastest wave, over steps of 1/4096 is off by at most
# 1.7e-5 of its amplitude.
STEPS_PER_UNIT = 4096
# Mapped depths the table covers: from infinitely far to about half of `depth_near`; what is nearer
# is computed, not looked up. With an offset to all there is, see `table_ends`.
DEPTH_CODES = (-1.25, 3.0)
# Of ranges of depth as short as no camera's a table would take all memory,.
_LOWEST_CODE = -8.0
# Sets of rays whose positional halves are kept: of the map's light and of the depth image, for
# cameras of two scales.
KEPT_RAYS = 4


class HeadArrays(NamedTuple):
    """A perceptron over (feature, code), its feature half already folded into a map.

    hidden: channels of that map. u, v, z (n*hidden): the code's half of the first layer by
    coordinate, row by row, z with the layer's bias; u and v are from -1, z from `z_low`, `steps`
    rows per unit. z_waves (14,hidden):
    weights of the mapped depth, its sines and cosines in turn, and the bias; octaves (6,) their
    frequencies. slope, shift, offset: mapped depth = slope / (z + offset) + shift.
    out (K*hidden) row by row and out_bias (K,): the last layer.
    """

    hidden: int
    u: Floats
    v: Floats
    z: Floats
    z_low: np.float32
    steps: np.float32
    z_waves: Floats
    octaves: Floats
    slope: np.float32
    shift: np.float32
    offset: np.float32
    out: Floats
    out_bias: Floats

    def reading(self, layers: Perceptron) -> HeadArrays:
        """The same hidden layer, read by the last layer of another perceptron."""
        return self._replace(
            out=_array(layers.lin_out.weight.detach().cpu().flatten()),
            out_bias=_array(layers.lin_out.bias.detach().cpu()),
        )


class FoldedHead:
    """One head of a network and what makes its folded map.

    `name` is the head's, as in `NetworkSpec.head`. `conv_weight` and `conv_bias` are the decoder's
    output convolution with the head's `feature_half` inside. `arrays` are what compiled loops read.
    """

    def __init__(
        self, name: str, head: Head, network: DensityNetwork, beside: FoldedHead | None = None
    ) -> None:
        """beside: a head that reads the same hidden layer."""
        self.name, self.head, self.spec, self.code = name, head, network.spec, network.code
        layers = head.first_layers()
        weight = layers.lin_in.weight.detach()
        features = self.spec.feature_channels
        self.feature_half = weight[:, :features]
        self.code_weight = weight[:, features:].contiguous()
        self.code_bias = layers.lin_in.bias.detach()
        self.last = layers.lin_out
        output = network.decoder.output.conv
        assert output.bias is not None
        folded = torch.einsum("hc,cikl->hikl", self.feature_half, output.weight.detach())
        self.conv_weight = folded.contiguous(memory_format=torch.channels_last)
        self.conv_bias = self.feature_half @ output.bias.detach()
        self.arrays: HeadArrays = (
            head_arrays(layers, self.spec, network.code)
            if beside is None
            else beside.arrays.reading(layers)
        )
        self._ray_halves: dict[tuple[tuple[int, int], bytes], tuple[Floats, Floats, Floats]] = {}

    def density(self, feature_maps: Tensor, projected: Projected, samples: int = 1) -> Tensor:
        """σ (M,) 1/m of points projected into V views, by φ_SV or φ_MV.

        feature_maps (V,hidden,H,W). `projected` has no batch: uv (V,M,2), z (V,M), seen (V,M).
        samples: of each ray that the points make up, see `fuse_along`.
        """
        views = feature_maps.shape[0] if self.head.multi_view else 1
        uv, z = projected.uv[:views], projected.z[:views]
        sampled = sample_features(feature_maps[None, :views], uv[None])[0]
        per_view = self.last(F.relu(sampled + self._positional(uv, z)))
        seen = projected.seen[None, :views]
        return F.softplus(fuse_along(self.head, per_view[None], seen, samples)[0])

    def own_depth(
        self,
        feature_maps: Tensor,
        t: Tensor,
        size: tuple[int, int],
        thickness: float = HALF_THICKNESS,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`RayDepths` of a single view along rays of its own camera.

        feature_maps (hidden,H,W); t (S,) z-depths; size (h,w) of the answer over the same image.
        The expectation forces the last sample opaque; opacity does not. See `surface_depth`.
        """
        h, w = size
        u, v = pixel_centres(w, feature_maps.device), pixel_centres(h, feature_maps.device)
        grid = torch.stack(torch.meshgrid(u, v, indexing="xy"), dim=-1)
        sampled = sample_features(feature_maps[None, None], grid.reshape(1, 1, -1, 2))[0, 0]
        u_half, v_half, z_half = self.ray_halves(t, size)
        pixel_part = sampled + (u_half[None, :] + v_half[:, None]).reshape(h * w, -1)
        pre = torch.stack([self.last(F.relu(pixel_part + row))[:, 0] for row in z_half], -1)
        sigma = F.softplus(pre)
        rendering = composite(sigma, t, force_last=True)
        return (
            rendering.depth.view(h, w),
            surface_depth(sigma, t, thickness).view(h, w),
            rendering.opacity.view(h, w),
        )

    def ray_halves(self, t: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """The first layer's positional half (w,hidden), (h,hidden), (S,hidden) by coordinate.

        For rays through pixel centres of a grid of `size` (h,w) at depths t; the last has the bias.
        """
        device = self.code_weight.device
        mapped = map_depth(t, *self.spec.code_depths)
        u, v = pixel_centres(size[1], device), pixel_centres(size[0], device)
        halves = [
            coordinate_half(self.code, self.code_weight, values, axis)
            for axis, values in enumerate((u, v, mapped))
        ]
        return halves[0], halves[1], halves[2] + self.code_bias

    def flat_ray_halves(self, t: Floats, size: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
        """`ray_halves` row by row for compiled loops; kept, as frames ask for the same ones."""
        key = size, t.tobytes()
        if key not in self._ray_halves:
            if len(self._ray_halves) == KEPT_RAYS:
                self._ray_halves.pop(next(iter(self._ray_halves)))
            u, v, z = (
                part.flatten().numpy() for part in self.ray_halves(torch.from_numpy(t), size)
            )
            self._ray_halves[key] = u, v, z
        return self._ray_halves[key]

    def _positional(self, uv: Tensor, z: Tensor) -> Tensor:
        """What γ(u_k, d_k) adds to the first layer, its bias included."""
        depth = map_depth(z, *self.spec.code_depths).unsqueeze(-1)
        code = self.code(torch.cat([uv, depth], dim=-1))
        flat = torch.addmm(self.code_bias, code.flatten(0, -2), self.code_weight.T)
        return flat.reshape(*code.shape[:-1], -1)


class FoldedField:
    """The folded heads of a network: F_k and the feature half of a head's first layer in one map.

    Heads that share their hidden layer have one map. `own`: heads with a map of their own.
    """

    def __init__(self, network: DensityNetwork) -> None:
        self.network = network
        self.heads = [FoldedHead(network.spec.head, network.density_head, network)]
        shared = self.heads[0] if network.spec.shared_hidden else None
        self.own = self.heads[:1]
        if network.student is not None:
            self.heads.append(FoldedHead("kdbts", network.student, network, shared))
            self.own = self.heads if shared is None else self.heads[:1]

    def answering(self, views: int) -> int:
        """Index of the head that is asked: the student, where there is one, of a single view."""
        return len(self.heads) - 1 if views == 1 else 0

    def map_index(self, head: int) -> int:
        """Which of the maps of `own` heads the head of an index reads."""
        return head if len(self.own) > 1 else 0

    def by_head(self, feature_maps: list[Tensor]) -> list[Tensor]:
        """Maps of the `own` heads, to one for every head."""
        return feature_maps * (len(self.heads) // len(feature_maps))

    def encode(self, images: Tensor, precision: str = "float32") -> list[Tensor]:
        """(N,3,H,W) in [0,1] to a folded map (N,hidden,H,W) per head, by torch's convolutions.

        Maps are float32 and channels last in memory. precision: of convolutions.
        """
        half = HALF.get(precision)
        with torch.autocast(images.device.type, half, enabled=half is not None):
            padded = mirrored(self.network.decoder.trunk(self.network.encoder(images)))
        # Maps feed an exponential: their convolution stays in float32.
        padded = padded.float()
        feature_maps = [F.conv2d(padded, head.conv_weight, head.conv_bias) for head in self.own]
        return self.by_head([m.contiguous(memory_format=torch.channels_last) for m in feature_maps])


def pixel_centres(count: int, device: torch.device) -> Tensor:
    """Centres (count,) in [-1,1] of pixels along an axis."""
    return (torch.arange(count, device=device) + 0.5) / count * 2 - 1


def head_arrays(layers: Perceptron, spec: NetworkSpec, code: PositionalCode) -> HeadArrays:
    """Tables of a head over its own folded map."""
    weight = layers.lin_in.weight.detach().cpu()[:, spec.feature_channels :]
    bias = layers.lin_in.bias.detach().cpu()
    unit = _rows(-1, 1)
    slope, shift, offset = depth_mapping(spec)
    low, high = table_ends(slope, shift, offset)
    depths = _rows(low, high)
    # The code orders its terms u, v, z within the raw triple and within each wave.
    waves = weight[:, 2::3].T
    return HeadArrays(
        weight.shape[0],
        _array(coordinate_half(code, weight, unit, 0).flatten()),
        _array(coordinate_half(code, weight, unit, 1).flatten()),
        _array((coordinate_half(code, weight, depths, 2) + bias).flatten()),
        np.float32(low),
        np.float32(STEPS_PER_UNIT),
        _array(torch.cat([waves, bias[None]])),
        _array(code.freqs.cpu()[::2]),
        np.float32(slope),
        np.float32(shift),
        np.float32(offset),
        _array(layers.lin_out.weight.detach().cpu().flatten()),
        _array(layers.lin_out.bias.detach().cpu()),
    )


def depth_mapping(spec: NetworkSpec) -> tuple[float, float, float]:
    """slope, shift and offset of `HeadArrays`: `map_depth` of a network."""
    near, far, offset = spec.code_depths
    first, last = 1 / (near + offset), 1 / (far + offset)
    return 2 / (first - last), -2 * last / (first - last) - 1, offset


def table_ends(slope: float, shift: float, offset: float) -> tuple[float, float]:
    """Mapped depths of the first and last row of a table, multiples of a quarter.

    `DEPTH_CODES`, but lower where what is infinitely far is, and with an offset no higher than what
    is nearest.
    """
    low, high = DEPTH_CODES
    low = max(_LOWEST_CODE, min(low, math.floor(4 * shift) / 4))
    return low, min(high, math.ceil(4 * (slope / offset + shift)) / 4) if offset > 0 else high


def coordinate_half(code: PositionalCode, weight: Tensor, values: Tensor, axis: int) -> Tensor:
    """What one coordinate's code adds (N,hidden) to the first layer, `weight` (hidden,39)."""
    uvz = torch.zeros(len(values), 3, device=weight.device)
    uvz[:, axis] = values.to(weight.device)
    columns = torch.arange(axis, 3 * (1 + 2 * FREQUENCIES), 3, device=weight.device)
    # Not `code.to`, which would move the network's own code.
    placed = code if code.freqs.device == weight.device else deepcopy(code).to(weight.device)
    return placed(uvz)[:, columns] @ weight[:, columns].T


def _rows(low: float, high: float) -> Tensor:
    """Where the rows of a table from `low` to `high` are."""
    return torch.arange(round((high - low) * STEPS_PER_UNIT) + 1) / STEPS_PER_UNIT + low


def _array(values: Tensor) -> Floats:
    return np.ascontiguousarray(values.numpy(), np.float32)
