"""The folded head: the same densities for a fraction of the arithmetic.

Bilinear sampling and the first layer of the head are both linear, so the feature half of that layer
can be applied to the map once, inside the decoder's output convolution, instead of at every point.
The positional half is a sum of functions of u, of v and of depth alone. Equal to the plain
formulation of `DensityNetwork.density` up to rounding.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from kdbts_ros.density import kernels
from kdbts_ros.density.network import DensityNetwork, sample_features
from kdbts_ros.density.positional import map_depth
from kdbts_ros.density.projection import Projected
from kdbts_ros.density.rendering import composite


class FoldedField:
    """Encodes to folded maps and evaluates densities on them; holds no images of its own."""

    def __init__(self, network: DensityNetwork) -> None:
        self.network = network
        self.spec = network.spec
        first = network.density_head.first_layers().lin_in
        features = self.spec.feature_channels
        output = network.decoder.output.conv
        feature_half = first.weight.detach()[:, :features]
        self.feature_half = feature_half
        self.conv_weight = torch.einsum("hc,cikl->hikl", feature_half, output.weight.detach())
        assert output.bias is not None
        self.conv_bias = feature_half @ output.bias.detach()
        self.code_weight = first.weight.detach()[:, features:].contiguous()
        self.code_bias = first.bias.detach()
        self.last = network.density_head.first_layers().lin_out

    def encode(self, images: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to folded maps (N,hidden,H,W), channels last in memory, float32."""
        trunk = self.network.decoder.trunk(self.network.encoder(images))
        padded = F.pad(trunk, (1, 1, 1, 1), mode="reflect")
        # The map feeds an exponential: its convolution stays in float32 under autocast.
        with torch.autocast(images.device.type, enabled=False):
            maps = F.conv2d(padded.float(), self.conv_weight, self.conv_bias)
        return maps.contiguous(memory_format=torch.channels_last)

    def density(self, maps: Tensor, projected: Projected) -> Tensor:
        """Densities (M,) in 1/m of points projected into the V views of maps (V,hidden,H,W).

        `projected` has no batch: uv (V,M,2), z (V,M), seen (V,M).
        """
        head = self.network.density_head
        views = maps.shape[0] if head.multi_view else 1
        uv, z = projected.uv[:views], projected.z[:views]
        positional = self._positional(uv, z)
        if maps.device.type == "cpu" and not head.multi_view:
            pre = kernels.point_pre_density(
                maps[0].permute(1, 2, 0).numpy(),
                uv[0].contiguous().numpy(),
                positional[0].numpy(),
                *self._last_layer(),
            )
            return F.softplus(torch.from_numpy(pre))
        sampled = sample_features(maps[None, :views], uv[None])[0]
        per_view = self.last(F.relu(sampled + positional))
        return F.softplus(head.fuse(per_view[None], projected.seen[None, :views])[0])

    def own_depth(self, maps: Tensor, t: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
        """Expected depth, median depth and opacity (h,w) of view 0 in its own camera.

        t (S,) are z-depths; stride skips pixels of the map in both axes. The expectation forces the
        last sample opaque; opacity does not.
        """
        _, _, height, width = maps.shape
        h, w = height // stride, width // stride
        device = maps.device
        v = (torch.arange(h, device=device) + 0.5) / h * 2 - 1
        u = (torch.arange(w, device=device) + 0.5) / w * 2 - 1
        grid = torch.stack(torch.meshgrid(u, v, indexing="xy"), dim=-1)
        sampled = maps[0].permute(1, 2, 0)
        if stride > 1:
            sampled = sample_features(maps[None, :1], grid.reshape(1, 1, -1, 2))[0, 0]
        pixel_part = (
            sampled.reshape(h, w, -1)
            + self._coordinate_part(u, 0)[None, :]
            + self._coordinate_part(v, 1)[:, None]
        ).reshape(h * w, -1)
        mapped = map_depth(t, self.spec.depth_near, self.spec.depth_far)
        depth_part = self._coordinate_part(mapped, 2) + self.code_bias
        if device.type == "cpu":
            results = kernels.ray_depths(
                pixel_part.contiguous().numpy(), depth_part.numpy(), t.numpy(), *self._last_layer()
            )
            expected, median, opacity = (torch.from_numpy(r) for r in results)
        else:
            expected, median, opacity = self._ray_depths(pixel_part, depth_part, t)
        return expected.view(h, w), median.view(h, w), opacity.view(h, w)

    def _ray_depths(
        self, pixel_part: Tensor, depth_part: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        pre = torch.stack([self.last(F.relu(pixel_part + row))[:, 0] for row in depth_part], -1)
        sigma = F.softplus(pre)
        rendering = composite(sigma, t, force_last=True)
        return rendering.depth, median_depth(sigma, t), rendering.opacity

    def _positional(self, uv: Tensor, z: Tensor) -> Tensor:
        depth = map_depth(z, self.spec.depth_near, self.spec.depth_far).unsqueeze(-1)
        code = self.network.code(torch.cat([uv, depth], dim=-1))
        flat = torch.addmm(self.code_bias, code.flatten(0, -2), self.code_weight.T)
        return flat.reshape(*code.shape[:-1], -1)

    def _coordinate_part(self, values: Tensor, axis: int) -> Tensor:
        """The code's contribution (N,hidden) of one coordinate, the other two left out."""
        uvz = torch.zeros(*values.shape, 3, device=values.device)
        uvz[..., axis] = values
        columns = torch.arange(axis, self.code_weight.shape[1], 3, device=values.device)
        return self.network.code(uvz)[..., columns] @ self.code_weight[:, columns].T

    def _last_layer(self) -> tuple[npt.NDArray[np.float32], np.float32]:
        weight = self.last.weight.detach()[0].contiguous().numpy()
        return weight, np.float32(self.last.bias.detach()[0].item())


def median_depth(sigma: Tensor, t: Tensor) -> Tensor:
    """Depth (...) at which half the light is gone; the last sample where that never happens."""
    rendering = composite(sigma, t, force_last=False)
    after = rendering.transmittance - rendering.weights
    crossed = after <= 0.5
    first = crossed.to(torch.int8).argmax(-1, keepdim=True)
    last = torch.full_like(first, sigma.shape[-1] - 1)
    index = torch.where(crossed.any(-1, keepdim=True), first, last)
    return t.expand_as(sigma).gather(-1, index).squeeze(-1)
