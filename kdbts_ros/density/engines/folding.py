"""The folded heads: the same densities for a fraction of the arithmetic.

Bilinear sampling and the first layer of a head are both linear, so the feature half of that layer
can be applied to the map once, inside the decoder's output convolution or right after it, instead
of at every point.
The positional half is a sum of functions of u, of v and of depth alone. Equal to the plain
formulation of `DensityNetwork.density` up to rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.engines.head_tables import HeadArrays, coordinate_half, head_arrays
from kdbts_ros.density.network.baseline_heads import fuse_along
from kdbts_ros.density.network.decoder import mirrored
from kdbts_ros.density.network.heads import Head
from kdbts_ros.density.network.network import DensityNetwork, sample_features
from kdbts_ros.density.network.positional_encoding import map_depth
from kdbts_ros.density.network.precision import HALF
from kdbts_ros.density.network.projection import Projected
from kdbts_ros.density.network.volume_rendering import composite

# Sets of rays whose positional halves are kept: of the map's light and of the depth image, for
# cameras of two scales.
KEPT_RAYS = 4


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

    def density(self, maps: Tensor, projected: Projected, samples: int = 1) -> Tensor:
        """Densities (M,) in 1/m of points projected into the V views of maps (V,hidden,H,W).

        `projected` has no batch: uv (V,M,2), z (V,M), seen (V,M). samples: of each ray that the
        points make up, see `fuse_along`.
        """
        views = maps.shape[0] if self.head.multi_view else 1
        uv, z = projected.uv[:views], projected.z[:views]
        sampled = sample_features(maps[None, :views], uv[None])[0]
        per_view = self.last(F.relu(sampled + self._positional(uv, z)))
        seen = projected.seen[None, :views]
        return F.softplus(fuse_along(self.head, per_view[None], seen, samples)[0])

    def own_depth(
        self, maps: Tensor, t: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Expected depth, median depth and opacity (h,w) of a single view in its own camera.

        maps (hidden,H,W); t (S,) z-depths; size (h,w) of the answer over the same image. The
        expectation forces the last sample opaque; opacity does not.
        """
        h, w = size
        u, v = pixel_centres(w, maps.device), pixel_centres(h, maps.device)
        grid = torch.stack(torch.meshgrid(u, v, indexing="xy"), dim=-1)
        sampled = sample_features(maps[None, None], grid.reshape(1, 1, -1, 2))[0, 0]
        u_half, v_half, z_half = self.ray_halves(t, size)
        pixel_part = sampled + (u_half[None, :] + v_half[:, None]).reshape(h * w, -1)
        pre = torch.stack([self.last(F.relu(pixel_part + row))[:, 0] for row in z_half], -1)
        sigma = F.softplus(pre)
        rendering = composite(sigma, t, force_last=True)
        return (
            rendering.depth.view(h, w),
            median_depth(sigma, t).view(h, w),
            rendering.opacity.view(h, w),
        )

    def ray_halves(self, t: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """The first layer's positional half (w,hidden), (h,hidden), (S,hidden) by coordinate.

        For rays through pixel centres of a grid of `size` (h,w) at depths t; the last has the bias.
        """
        device = self.code_weight.device
        mapped = map_depth(t, self.spec.depth_near, self.spec.depth_far)
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
        depth = map_depth(z, self.spec.depth_near, self.spec.depth_far).unsqueeze(-1)
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

    def by_head(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the `own` heads, to one for every head."""
        return maps * (len(self.heads) // len(maps))

    def encode(self, images: Tensor, precision: str = "float32") -> list[Tensor]:
        """(N,3,H,W) in [0,1] to a folded map (N,hidden,H,W) per head, by torch's convolutions.

        Maps are float32 and channels last in memory. precision: of convolutions.
        """
        half = HALF.get(precision)
        with torch.autocast(images.device.type, half, enabled=half is not None):
            padded = mirrored(self.network.decoder.trunk(self.network.encoder(images)))
        # Maps feed an exponential: their convolution stays in float32.
        padded = padded.float()
        maps = [F.conv2d(padded, head.conv_weight, head.conv_bias) for head in self.own]
        return self.by_head([m.contiguous(memory_format=torch.channels_last) for m in maps])


def pixel_centres(count: int, device: torch.device) -> Tensor:
    """Centres (count,) in [-1,1] of pixels along an axis."""
    return (torch.arange(count, device=device) + 0.5) / count * 2 - 1


def median_depth(sigma: Tensor, t: Tensor) -> Tensor:
    """Depth (...) at which half the light is gone; the last sample where that never happens."""
    rendering = composite(sigma, t, force_last=False)
    after = rendering.transmittance - rendering.weights
    crossed = after <= 0.5
    first = crossed.to(torch.int8).argmax(-1, keepdim=True)
    last = torch.full_like(first, sigma.shape[-1] - 1)
    index = torch.where(crossed.any(-1, keepdim=True), first, last)
    return t.expand_as(sigma).gather(-1, index).squeeze(-1)
