"""The network's convolutions as a graph of OpenVINO: the same steps as the packed ones, norms
folded in, and for `precision: int8` what each convolution reads rounded to 256 steps.

Needs OpenVINO: imported only where `openvino_trunk.load` has found it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from openvino import Model
from openvino import opset13 as ops
from torch import Tensor, nn

from kdbts_ros.density.engines.folding import FoldedHead
from kdbts_ros.density.network.activation_ranges import STEPS, Range, Ranges, convolutions
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.network.trunk import Activation, Layer, Residual, Step

# Of the steps of a byte, those that lie evenly about 0.
WEIGHT_STEPS = STEPS - 1
# A node of a graph; OpenVINO's own are typed by its version.
Node = Any
Array = npt.NDArray[np.float32]


def field_graph(
    network: DensityNetwork,
    heads: Sequence[FoldedHead],
    size: tuple[int, int],
    ranges: Ranges | None = None,
) -> Model:
    """Images (1,H,W,3) in [0,1] of a size (H,W) to a folded map (1,H,W,hidden) per head.

    heads: those with a map of their own. ranges: of what convolutions read, for 8 bits; None for
    float32.
    """
    return _Graph(network, ranges).field(heads, size)


class _Graph:
    def __init__(self, network: DensityNetwork, ranges: Ranges | None) -> None:
        self._network, self._ranges = network, ranges
        self._layers = convolutions(network)
        self._names = {id(layer): name for name, layer in self._layers.items()}

    def field(self, heads: Sequence[FoldedHead], size: tuple[int, int]) -> Model:
        encoder, decoder = self._network.encoder, self._network.decoder
        images = ops.parameter([1, *size, 3], np.float32)
        x = ops.transpose(images, np.array([0, 3, 1, 2]))
        x = ops.subtract(x, np.float32(encoder.mean))
        x = ops.multiply(x, np.float32(1 / encoder.deviation))
        taps = []
        for level in encoder.steps():
            for step in level:
                x = self._step(x, step)
            taps.append(x)
        features = self._decoded(taps, size)
        maps = [
            self._convolved(features, decoder.output.conv, h.conv_weight, h.conv_bias)
            for h in heads
        ]
        return Model([ops.transpose(each, np.array([0, 2, 3, 1])) for each in maps], [images])

    def _step(self, x: Node, step: Step) -> Node:
        if isinstance(step, Layer):
            return _activated(self._layer(x, step), step.activation)
        if isinstance(step, Residual):
            skip = x if step.shortcut is None else self._layer(x, step.shortcut)
            *path, last = step.path
            for layer in path:
                x = _activated(self._layer(x, layer), layer.activation)
            return _activated(ops.add(self._layer(x, last), skip), step.activation)
        pooled = ops.max_pool(x, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3], index_element_type="i64")
        return pooled.output(0)

    def _layer(self, x: Node, layer: Layer) -> Node:
        """A trunk's layer without its activation."""
        norm = layer.norm
        assert norm.running_mean is not None and norm.running_var is not None
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * factor
        if layer.conv.bias is not None:
            shift = shift + layer.conv.bias * factor
        weight = layer.conv.weight * factor[:, None, None, None]
        return self._convolved(x, layer.conv, weight, shift, layer.border)

    def _decoded(self, taps: list[Node], size: tuple[int, int]) -> Node:
        """Five maps, finest first, to what the output convolution reads, its border mirrored."""
        decoder, x = self._network.decoder, taps.pop()
        for step in range(len(decoder.after)):
            before, after = (self._layers[f"decoder.{k}.{step}.conv"] for k in ("before", "after"))
            height, width = (side >> (5 - step) for side in size)
            x = self._bare(x, before)
            if decoder.rows:
                x = ops.add(x, _constant(decoder.rows[step](height)))
            x = _enlarged(ops.elu(x, 1.0), (2 * height, 2 * width))
            x = self._joined(x, taps.pop(), after) if taps else self._bare(x, after)
            x = ops.elu(x, 1.0)
        return _mirrored(x)

    def _bare(self, x: Node, conv: nn.Conv2d) -> Node:
        """A convolution of the decoder's, over a mirrored border."""
        assert conv.bias is not None
        return self._convolved(_mirrored(x), conv, conv.weight, conv.bias)

    def _joined(self, x: Node, skip: Node, conv: nn.Conv2d) -> Node:
        """The same over two maps, side by side."""
        weight: Tensor = conv.weight
        bias: Tensor | None = conv.bias
        ranges = self._ranges
        assert bias is not None
        if ranges is not None:
            # Each in steps of its own, from 0 to 1: the rest is in the weights. The border is no
            # exception, as it is mirrored.
            own, of_skip = ranges[self._names[id(conv)]]
            width = conv.in_channels - skip.get_output_shape(0)[1]
            bounds = [own] * width + [of_skip] * (conv.in_channels - width)
            low = torch.tensor([each.low for each in bounds])
            span = torch.tensor([each.high - each.low for each in bounds])
            bias = bias + weight.sum((2, 3)) @ low
            weight = weight * span[:, None, None]
            x, skip = _in_units(x, own), _in_units(skip, of_skip)
        together = _mirrored(ops.concat([x, skip], 1))
        return self._convolved(together, conv, weight, bias, rounded=ranges is not None)

    def _convolved(
        self,
        x: Node,
        conv: nn.Conv2d,
        weight: Tensor,
        bias: Tensor,
        border: tuple[int, int] = (0, 0),
        rounded: bool = False,
    ) -> Node:
        """x in the way of `conv` by weights and biases that have something folded in.

        border: as in `trunk.Layer`; rounded: x is in steps already.
        """
        kernels = _array(weight)
        if conv.groups > 1:
            kernels = kernels.reshape(conv.groups, -1, *kernels.shape[1:])
        constant = ops.constant(kernels)
        if self._ranges is not None:
            if not rounded:
                (bounds,) = self._ranges[self._names[id(conv)]]
                x = _rounded(x, bounds)
            constant = _rounded_weights(constant, kernels, grouped=conv.groups > 1)
        assert not isinstance(conv.padding, str)
        before, behind = ([side + more for side in conv.padding] for more in border)
        how = list(conv.stride), before, behind, [1, 1]
        convolve = ops.group_convolution if conv.groups > 1 else ops.convolution
        return ops.add(convolve(x, constant, *how), _constant(bias[None, :, None, None]))


def _activated(x: Node, activation: Activation) -> Node:
    if activation == "relu":
        return ops.relu(x)
    return ops.clamp(x, 0.0, 6.0) if activation == "relu6" else x


def _mirrored(x: Node) -> Node:
    """A pixel of mirror on every side."""
    border = np.array([0, 0, 1, 1])
    return ops.pad(x, border, border, "reflect")


def _enlarged(x: Node, size: tuple[int, int]) -> Node:
    """To twice its size (h,w), each pixel four times."""
    return ops.interpolate(
        x,
        np.array(size),
        "nearest",
        "sizes",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
        axes=np.array([2, 3]),
    )


def _rounded(x: Node, bounds: Range) -> Node:
    """x in as many steps as a byte tells apart, one of which is 0: borders are padded with it."""
    step = (bounds.high - bounds.low) / (STEPS - 1)
    below = round(-bounds.low / step)
    above = STEPS - 1 - below
    ends = _constant(torch.tensor(-below * step)), _constant(torch.tensor(above * step))
    return ops.fake_quantize(x, *ends, *ends, levels=STEPS)


def _in_units(x: Node, bounds: Range) -> Node:
    """x in as many steps from 0 to 1."""
    ends = (_constant(torch.tensor(end)) for end in (bounds.low, bounds.high, 0.0, 1.0))
    return ops.fake_quantize(x, *ends, levels=STEPS)


def _rounded_weights(constant: Node, kernels: Array, grouped: bool) -> Node:
    """Weights in steps of their own for each channel they make."""
    inputs = tuple(range(2 if grouped else 1, kernels.ndim))
    largest = np.abs(kernels).max(inputs, keepdims=True).clip(1e-12)
    ends = ops.constant(-largest), ops.constant(largest)
    return ops.fake_quantize(constant, *ends, *ends, levels=WEIGHT_STEPS)


def _constant(values: Tensor) -> Node:
    return ops.constant(_array(values))


def _array(values: Tensor) -> Array:
    return np.ascontiguousarray(values.detach().cpu().numpy(), np.float32)
