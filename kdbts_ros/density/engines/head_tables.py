"""What compiled loops know of a head: its positional half as tables, its last layer as arrays."""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kdbts_ros.density.network.heads import Perceptron
from kdbts_ros.density.network.network import NetworkSpec
from kdbts_ros.density.network.positional_encoding import FREQUENCIES, PositionalCode

Floats = npt.NDArray[np.float32]

# Linear interpolation of sin(48 x), the code's fastest wave, over steps of 1/4096 is off by at most
# 1.7e-5 of its amplitude.
STEPS_PER_UNIT = 4096
# Mapped depths the table covers: from infinitely far to about half of `depth_near`; what is nearer
# is computed, not looked up.
DEPTH_CODES = (-1.25, 3.0)


class HeadArrays(NamedTuple):
    """A perceptron over (feature, code), its feature half already folded into a map.

    hidden: channels of that map. u, v, z (n*hidden): the code's half of the first layer by
    coordinate, row by row, z with the layer's bias; u and v are from -1, z from `z_low`, `steps`
    rows per unit. z_waves (14,hidden):
    weights of the mapped depth, its sines and cosines in turn, and the bias; octaves (6,) their
    frequencies. slope, shift: mapped depth = slope / z + shift.
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
    out: Floats
    out_bias: Floats

    def reading(self, layers: Perceptron) -> HeadArrays:
        """The same hidden layer, read by the last layer of another perceptron."""
        return self._replace(
            out=_array(layers.lin_out.weight.detach().cpu().flatten()),
            out_bias=_array(layers.lin_out.bias.detach().cpu()),
        )


def head_arrays(layers: Perceptron, spec: NetworkSpec, code: PositionalCode) -> HeadArrays:
    """Tables of a head over its own folded map."""
    weight = layers.lin_in.weight.detach().cpu()[:, spec.feature_channels :]
    bias = layers.lin_in.bias.detach().cpu()
    unit = _rows(-1, 1)
    low, high = DEPTH_CODES
    depths = _rows(low, high)
    near, far = 1 / spec.depth_near, 1 / spec.depth_far
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
        np.float32(2 / (near - far)),
        np.float32(-2 * far / (near - far) - 1),
        _array(layers.lin_out.weight.detach().cpu().flatten()),
        _array(layers.lin_out.bias.detach().cpu()),
    )


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
