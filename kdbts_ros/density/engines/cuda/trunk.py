"""From images to folded maps as a GPU answers them fastest: half precision, batch norm folded
away, and one pass over memory between two convolutions.

Needs Triton: imported only where `support.available()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import triton
from torch import Tensor, nn
from torch.nn import functional as F

from kdbts_ros.density.engines.cuda.kernels.image import add_and_clamp, join_mirrored
from kdbts_ros.density.engines.folding import FoldedHead
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.network.trunk import Activation, Layer, Residual, Step

# The image has three channels; matrix units want a multiple of eight, and the rest stay zero.
INPUT_CHANNELS = 8
# What an activation leaves: None bounds nothing.
_BOUNDS: dict[Activation, tuple[float | None, float | None]] = {
    "none": (None, None),
    "relu": (0.0, None),
    "relu6": (0.0, 6.0),
}
# Pixels and channels of a program of the kernels between convolutions.
_ROWS, _CHANNELS = 32, 64


@dataclass(frozen=True, eq=False)
class _Layer:
    """A convolution without its bias, which the kernel behind it adds: bias (O,) float32."""

    weight: Tensor
    bias: Tensor
    stride: int = 1
    padding: int = 0
    groups: int = 1
    border: tuple[int, int] = (0, 0)
    activation: Activation = "none"

    @classmethod
    def of(cls, layer: Layer, dtype: torch.dtype) -> _Layer:
        """A trunk's layer, its norm folded in."""
        bare = cls.of_convolution(layer.conv, layer.norm, dtype)
        return replace(bare, border=layer.border, activation=layer.activation)

    @classmethod
    def of_convolution(
        cls, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, dtype: torch.dtype
    ) -> _Layer:
        weight = conv.weight.detach().double()
        zero = torch.zeros(len(weight), dtype=torch.float64, device=weight.device)
        bias = zero if conv.bias is None else conv.bias.detach().double()
        if norm is not None:
            assert norm.running_mean is not None and norm.running_var is not None
            factor = norm.weight.detach().double() / torch.sqrt(norm.running_var + norm.eps)
            weight = weight * factor[:, None, None, None]
            bias = norm.bias.detach() + (bias - norm.running_mean) * factor
        stride, padding = conv.stride[0], conv.padding[0]
        assert isinstance(padding, int)
        laid_out = channels_last(weight, dtype), bias.float().contiguous()
        return cls(*laid_out, stride, padding, conv.groups)

    def __call__(self, x: Tensor) -> Tensor:
        """The bare convolution."""
        if any(self.border):
            x = F.pad(x, self.border * 2)
        y = F.conv2d(x, self.weight, None, self.stride, self.padding, groups=self.groups)
        return y.contiguous(memory_format=torch.channels_last)

    def whole(self, x: Tensor) -> Tensor:
        """Bias and activation as well."""
        return finished(self(x), self.bias, self.activation)


@dataclass(frozen=True, eq=False)
class _Block:
    """A residual block: `path` of convolutions, the bias of `shortcut` within that of the last."""

    path: tuple[_Layer, ...]
    shortcut: _Layer | None
    activation: Activation

    @classmethod
    def of(cls, residual: Residual, dtype: torch.dtype) -> _Block:
        *path, last = (_Layer.of(layer, dtype) for layer in residual.path)
        shortcut = None
        if residual.shortcut is not None:
            shortcut = _Layer.of(residual.shortcut, dtype)
            last = replace(last, bias=last.bias + shortcut.bias)
        return cls((*path, last), shortcut, residual.activation)

    def whole(self, x: Tensor) -> Tensor:
        skip = x if self.shortcut is None else self.shortcut(x)
        for layer in self.path[:-1]:
            x = layer.whole(x)
        return finished(self.path[-1](x), self.path[-1].bias, self.activation, skip)


def _step(step: Step, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    if isinstance(step, Layer):
        return _Layer.of(step, dtype).whole
    return _Block.of(step, dtype).whole if isinstance(step, Residual) else step


class CudaTrunk:
    """`DensityNetwork`'s encoder and decoder, up to what the output convolution reads."""

    def __init__(self, network: DensityNetwork, dtype: torch.dtype) -> None:
        decoder = network.decoder
        (first, *others), *levels = network.encoder.steps()
        assert isinstance(first, Layer)
        stem = _Layer.of(first, dtype)
        spare = INPUT_CHANNELS - stem.weight.shape[1]
        wide = channels_last(F.pad(stem.weight, (0, 0, 0, 0, 0, spare)), dtype)
        self.levels = [
            [replace(stem, weight=wide).whole, *(_step(step, dtype) for step in others)],
            *([_step(step, dtype) for step in level] for level in levels),
        ]
        self.before = [_Layer.of_convolution(c.conv, None, dtype) for c in decoder.before]  # type: ignore[arg-type]
        self.after = [_Layer.of_convolution(c.conv, None, dtype) for c in decoder.after]  # type: ignore[arg-type]
        # Coarsest first: the five levels halve from 1/32 to 1/2 of the input's rows.
        heights = [network.spec.image_height >> shift for shift in (5, 4, 3, 2, 1)]
        with torch.no_grad():
            self.rows = [
                channels_last(rows(height), dtype)
                for rows, height in zip(decoder.rows, heights, strict=False)
            ]
        self.dtype = dtype

    def encode(self, x: Tensor) -> list[Tensor]:
        """(1,INPUT_CHANNELS,H,W) normalised, to the encoder's five maps, finest first."""
        taps = []
        for level in self.levels:
            for step in level:
                x = step(x)
            taps.append(x)
        return taps

    def decode(self, taps: list[Tensor]) -> Tensor:
        """The five maps to (1,C,H+2,W+2), with a mirrored border."""
        x = joined(taps[-1])
        for step, (before, after) in enumerate(zip(self.before, self.after, strict=True)):
            skip = taps[3 - step] if step < 4 else None
            x = before(x)
            if self.rows:
                x += self.rows[step]
            x = joined(x, before.bias, skip, up=2)
            x = joined(after(x), after.bias)
        return x


class CudaField:
    """The maps of heads, with convolutions as a GPU answers them fastest.

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
        self.mean, self.deviation = network.encoder.mean, network.encoder.deviation
        self._normalised = network.encoder.normalised
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
            padded[:, :3] = self._normalised(image.float())
            features = self.trunk.decode(self.trunk.encode(padded))
            maps = [self.output(features, k) for k in range(len(self._weights))]
            return [m.float() + bias for m, bias in zip(maps, self._biases, strict=True)]


def finished(x: Tensor, bias: Tensor, activation: Activation, skip: Tensor | None = None) -> Tensor:
    """x + bias [+ skip], activated, in place, of (1,C,H,W) channels last; bias (C,) float32."""
    channels, pixels = x.shape[1], x.shape[2] * x.shape[3]
    grid = triton.cdiv(pixels, _ROWS), triton.cdiv(channels, _CHANNELS)
    low, high = _BOUNDS[activation]
    add_and_clamp[grid](
        x, bias, x if skip is None else skip, pixels, channels, LOW=low, HIGH=high,
        SKIP=skip is not None, ROWS=_ROWS, BLOCK=_CHANNELS,
    )  # fmt: skip
    return x


def joined(
    x: Tensor, bias: Tensor | None = None, skip: Tensor | None = None, up: int = 1
) -> Tensor:
    """[elu(x + bias)] of (1,C,H,W), `up` times as large, beside skip (1,S,up H,up W), with a
    mirrored border: (1,C+S,up H+2,up W+2)."""
    channels, height, width = x.shape[1], x.shape[2] * up, x.shape[3] * up
    others = 0 if skip is None else skip.shape[1]
    out = torch.empty(
        (1, channels + others, height + 2, width + 2),
        dtype=x.dtype,
        device=x.device,
        memory_format=torch.channels_last,
    )
    pixels = (height + 2) * (width + 2)
    grid = triton.cdiv(pixels, _ROWS), triton.cdiv(channels + others, _CHANNELS)
    join_mirrored[grid](
        x, x if bias is None else bias, x if skip is None else skip, out,
        height, width, channels, others,
        UP=up, ELU=bias is not None, SKIP=skip is not None, ROWS=_ROWS, BLOCK=_CHANNELS,
    )  # fmt: skip
    return out


def channels_last(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Weights (O,I,k,k) of a convolution over channels-last maps."""
    return weight.to(dtype).contiguous(memory_format=torch.channels_last)
