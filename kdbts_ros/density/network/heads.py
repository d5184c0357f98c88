"""Heads: from per-view (feature, code) vectors of a point to one density."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# A logit this low leaves a masked view no weight at all in a float32 softmax.
MASKED_LOGIT = -1e9


class Perceptron(nn.Module):
    """Linear, ReLU, linear: the reference's residual MLP with no residual block."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.lin_in = nn.Linear(inputs, hidden)
        self.lin_out = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.lin_out(F.relu(self.lin_in(x)))
        return y


class Head(Protocol):
    """What the field asks of a head."""

    multi_view: bool

    def first_layers(self) -> Perceptron:
        """The perceptron that reads the (feature, code) vectors."""
        ...

    def output_bias(self) -> nn.Parameter:
        """The bias that sets the density of a fresh network, the last one before softplus."""
        ...

    def fuse(self, per_view: Tensor, seen: Tensor) -> Tensor:
        """(B,V,M,K) outputs of `first_layers` and (B,V,M) masks to (B,M) pre-densities."""
        ...


class SingleViewHead(nn.Module):
    """BTS and KDBTS: the density seen by view 0 alone, whatever else is encoded."""

    multi_view = False

    def __init__(self, inputs: int, hidden: int = 64) -> None:
        super().__init__()
        self.mlp = Perceptron(inputs, hidden, 1)

    def first_layers(self) -> Perceptron:
        return self.mlp

    def output_bias(self) -> nn.Parameter:
        return self.mlp.lin_out.bias

    def fuse(self, per_view: Tensor, seen: Tensor) -> Tensor:
        return per_view[:, 0, :, 0]


class MultiViewHead(nn.Module):
    """MVBTS: each view votes with a confidence; the fused feature decides (KDBTS paper, §3.2)."""

    multi_view = True

    def __init__(self, inputs: int, hidden: int = 128, fused: int = 16, hidden2: int = 16) -> None:
        super().__init__()
        self.mlp = Perceptron(inputs, hidden, 1 + fused)
        self.mlp2 = Perceptron(fused, hidden2, 1)

    def first_layers(self) -> Perceptron:
        return self.mlp

    def output_bias(self) -> nn.Parameter:
        return self.mlp2.lin_out.bias

    def fuse(self, per_view: Tensor, seen: Tensor) -> Tensor:
        weights = view_weights(per_view[..., 0], seen)
        pre_density: Tensor = self.mlp2((weights.unsqueeze(-1) * per_view[..., 1:]).sum(1))
        return pre_density.squeeze(-1)


class SimpleMultiViewHead(nn.Module):
    """The ablation of MVBTS that fuses pre-densities instead of features."""

    multi_view = True

    def __init__(self, inputs: int, hidden: int = 64) -> None:
        super().__init__()
        self.mlp = Perceptron(inputs, hidden, 2)

    def first_layers(self) -> Perceptron:
        return self.mlp

    def output_bias(self) -> nn.Parameter:
        return self.mlp.lin_out.bias

    def fuse(self, per_view: Tensor, seen: Tensor) -> Tensor:
        return (view_weights(per_view[..., 0], seen) * per_view[..., 1]).sum(1)


def view_weights(confidence: Tensor, seen: Tensor) -> Tensor:
    """(B,V,M) logits and masks to weights over V; uniform where no view sees the point."""
    return torch.softmax(confidence.masked_fill(~seen, MASKED_LOGIT), dim=1)
