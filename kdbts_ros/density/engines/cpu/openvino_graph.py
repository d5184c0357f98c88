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
from kdbts_ros.density.network.activation_ranges import Range, Ranges, convolutions
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.network.trunk import Activation, Layer, Residual, Step

# Of 8 bits: of what is read all steps, of weights those that lie evenly about 0.
STEPS, WEIGHT_STEPS = 256, 255
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
        self._names = {id(layer): name for name, layer in convolutions(network).items()}

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
        for step, (before, after) in enumerate(zip(decoder.before, decoder.after, strict=True)):
            height, width = (side >> (5 - step) for side in size)
            x = self._bare(_mirrored(x), before.conv)
            if decoder.rows:
                x = ops.add(x, _constant(decoder.rows[step](height)))
            x = _enlarged(ops.elu(x, 1.0), (2 * height, 2 * width))
            if taps:
                x = ops.concat([x, taps.pop()], 1)
            x = ops.elu(self._bare(_mirrored(x), after.conv), 1.0)
        return _mirrored(x)

    def _bare(self, x: Node, conv: nn.Conv2d) -> Node:
        assert conv.bias is not None
        return self._convolved(x, conv, conv.weight, conv.bias)

    def _convolved(
        self,
        x: Node,
        conv: nn.Conv2d,
        weight: Tensor,
        bias: Tensor,
        border: tuple[int, int] = (0, 0),
    ) -> Node:
        """x in the way of `conv` by weights and biases that it may have folded in.

        border: as in `trunk.Layer`.
        """
        kernels = _array(weight)
        if conv.groups > 1:
            kernels = kernels.reshape(conv.groups, -1, *kernels.shape[1:])
        constant = ops.constant(kernels)
        if self._ranges is not None:
            x = _rounded(x, self._ranges[self._names[id(conv)]])
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
    ends = _constant(torch.tensor(-below * step)), _constant(torch.tensor((STEPS - 1 - below) * step))
    return ops.fake_quantize(x, *ends, *ends, levels=STEPS)


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
