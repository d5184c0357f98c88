"""The network's convolutions as a CPU answers them fastest: weights laid out once, norms folded in.

PyTorch lays weights out anew at every call, and takes a slow path where a map has few pixels. The
operations it compiles models to do neither, and add a shortcut and rectify in the same pass. They
are no public interface, so that `supported` asks whether they are those this was written for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdbts_ros.density.engines.folding import FoldedHead
from kdbts_ros.density.network.decoder import FeatureDecoder, RowBias, mirrored
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.network.trunk import Activation, Layer, Residual, Step, Trunk

_ops: Any = torch.ops.mkldnn
_KNOWN = (
    "mkldnn::_reorder_convolution_weight(Tensor self, int[2] padding=0, int[2] stride=1, "
    "int[2] dilation=1, int groups=1, int[]? input_size=None) -> Tensor Y",
    "mkldnn::_convolution_pointwise(Tensor X, Tensor W, Tensor? B, int[] padding, int[] stride, "
    "int[] dilation, int groups, str attr, Scalar?[] scalars, str? algorithm) -> Tensor Y",
    "mkldnn::_convolution_pointwise.binary(Tensor X, Tensor other, Tensor W, Tensor? B, "
    "int[] padding, int[] stride, int[] dilation, int groups, str binary_attr, Scalar? alpha, "
    "str? unary_attr, Scalar?[] unary_scalars, str? unary_algorithm) -> Tensor Y",
)


# What the operations call each activation, and its numbers.
_AFTER: dict[Activation, tuple[str, list[float]]] = {
    "none": ("none", []),
    "relu": ("relu", []),
    "relu6": ("hardtanh", [0.0, 6.0]),
}


def supported() -> bool:
    """Whether this PyTorch has the operations, as this module calls them."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    try:
        found = (
            _ops._reorder_convolution_weight.default,
            _ops._convolution_pointwise.default,
            _ops._convolution_pointwise.binary,
        )
    except AttributeError:
        return False
    return tuple(str(operation._schema) for operation in found) == _KNOWN


class PackedConvolution:
    """A convolution of given weights; its input is float32 and channels last."""

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0),
        groups: int = 1,
        norm: nn.BatchNorm2d | None = None,
    ) -> None:
        shift = torch.zeros(len(weight)) if bias is None else bias.detach()
        self._weight, self._factor = weight.detach(), None
        if norm is not None:
            assert norm.running_mean is not None and norm.running_var is not None
            factor = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
            self._factor = factor[:, None, None, None]
            shift = (shift - norm.running_mean) * factor + norm.bias.detach()
        self._bias = shift.contiguous()
        self._how = list(padding), list(stride), [1, 1], groups
        self._packed: tuple[torch.Size, Tensor] | None = None

    @classmethod
    def of(
        cls, layer: nn.Conv2d, norm: nn.BatchNorm2d | None = None, border: tuple[int, int] = (0, 0)
    ) -> PackedConvolution:
        """The layer and the norm that follows it; border as in `trunk.Layer`, wider behind."""
        assert not isinstance(layer.padding, str)
        before, behind = border
        # The operations pad both sides alike. Zeros in front of a kernel make up for what that is
        # too much, in half the time of padding the map.
        more = behind - before
        weight = F.pad(layer.weight.detach(), (more, 0, more, 0)) if more else layer.weight
        padding = [side + behind for side in layer.padding]
        return cls(weight, layer.bias, layer.stride, padding, layer.groups, norm)

    def __call__(self, x: Tensor, activation: Activation = "none") -> Tensor:
        """Convolve and activate."""
        found: Tensor = _ops._convolution_pointwise(
            x, self._weights(x), self._bias, *self._how, *_AFTER[activation], ""
        )
        return found

    def onto(self, skip: Tensor, x: Tensor, activation: Activation) -> Tensor:
        """Convolve x, add skip and activate."""
        attribute, scalars = _AFTER[activation]
        found: Tensor = _ops._convolution_pointwise.binary(
            x, skip, self._weights(x), self._bias, *self._how,
            "add", 1.0, None if activation == "none" else attribute, scalars, None,
        )  # fmt: skip
        return found

    def _weights(self, x: Tensor) -> Tensor:
        # The best layout depends on the size of the image, which hardly ever changes.
        if self._packed is None or self._packed[0] != x.shape:
            # Folded here, so that no second copy is kept beside the network's own.
            folded = self._weight if self._factor is None else self._weight * self._factor
            laid_out = _ops._reorder_convolution_weight(
                folded.contiguous(), *self._how, list(x.shape)
            )
            self._packed = x.shape, laid_out
        return self._packed[1]


class PackedLayer:
    """See `trunk.Layer`."""

    def __init__(self, layer: Layer) -> None:
        self._convolution = PackedConvolution.of(layer.conv, layer.norm, layer.border)
        self._activation = layer.activation

    def __call__(self, x: Tensor) -> Tensor:
        return self._convolution(x, self._activation)

    def onto(self, skip: Tensor, x: Tensor, activation: Activation) -> Tensor:
        """What it makes of x, added to skip and activated."""
        return self._convolution.onto(skip, x, activation)


class PackedResidual:
    """See `trunk.Residual`."""

    def __init__(self, residual: Residual) -> None:
        self._layers = [PackedLayer(layer) for layer in residual.path]
        shortcut = residual.shortcut
        self._shortcut = None if shortcut is None else PackedLayer(shortcut)
        self._activation = residual.activation

    def __call__(self, x: Tensor) -> Tensor:
        skip = x if self._shortcut is None else self._shortcut(x)
        for layer in self._layers[:-1]:
            x = layer(x)
        return self._layers[-1].onto(skip, x, self._activation)


def packed(step: Step) -> Callable[[Tensor], Tensor]:
    """A step of a trunk, weights as they are now."""
    if isinstance(step, Layer):
        return PackedLayer(step)
    return PackedResidual(step) if isinstance(step, Residual) else step


class KeptRows:
    """`RowBias` as it is now, kept for the height that hardly ever changes."""

    def __init__(self, rows: RowBias) -> None:
        self._rows, self._height = rows, 0
        self._bias = torch.empty(0)

    @torch.no_grad()
    def __call__(self, height: int) -> Tensor:
        """(1,C,height,1)."""
        if height != self._height:
            self._bias, self._height = self._rows(height), height
        return self._bias


class PackedTrunk:
    """`Trunk` and `FeatureDecoder.trunk`, weights as they are now."""

    def __init__(self, encoder: Trunk, decoder: FeatureDecoder) -> None:
        self._normalised = encoder.normalised
        self._levels = [[packed(step) for step in level] for level in encoder.steps()]
        self._before = [PackedConvolution.of(layer.conv) for layer in decoder.before]  # type: ignore[arg-type]
        self._after = [PackedConvolution.of(layer.conv) for layer in decoder.after]  # type: ignore[arg-type]
        self._rows = [KeptRows(rows) for rows in decoder.rows]  # type: ignore[arg-type]

    def __call__(self, images: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1], channels last, to what the output convolution reads."""
        taps = self._encode(self._normalised(images))
        x = taps.pop()
        for step, (before, after) in enumerate(zip(self._before, self._after, strict=True)):
            x = before(mirrored(x))
            if self._rows:
                x += self._rows[step](x.shape[-2])
            x = F.interpolate(F.elu_(x), scale_factor=2.0, mode="nearest")
            if taps:
                x = torch.cat([x, taps.pop()], dim=1)
            x = F.elu_(after(mirrored(x)))
        return x

    def _encode(self, x: Tensor) -> list[Tensor]:
        taps = []
        for level in self._levels:
            for step in level:
                x = step(x)
            taps.append(x)
        return taps


class PackedField:
    """The maps of heads, with convolutions as a CPU answers them fastest."""

    def __init__(self, network: DensityNetwork, heads: Sequence[FoldedHead]) -> None:
        """heads: those with a map of their own."""
        self.trunk = PackedTrunk(network.encoder, network.decoder)
        output = network.decoder.output.conv
        taps, channels = output.weight[0].numel(), network.spec.feature_channels
        hidden = sum(len(head.feature_half) for head in heads)
        self._shared: PackedConvolution | None = None
        # Products per pixel: of an output convolution for every head, or of one for all, whose
        # features each head then reads.
        if hidden * taps <= channels * taps + hidden * channels:
            self.own = [PackedConvolution(h.conv_weight, h.conv_bias) for h in heads]
        else:
            self._shared = PackedConvolution.of(output)
            self.own = [PackedConvolution(h.feature_half[:, :, None, None], None) for h in heads]

    def encode(self, images: Tensor) -> list[Tensor]:
        """(N,3,H,W) in [0,1] to a folded map (N,hidden,H,W) float32 per head, channels last."""
        features = mirrored(self.trunk(images))
        if self._shared is not None:
            features = self._shared(features)
        return [own(features) for own in self.own]
