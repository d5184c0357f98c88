"""Heads φ: from per-view vectors (F_k(u_k), γ(u_k, d_k)) of a point to one density."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdbts_ros.errors import UserError

# A logit this low leaves a masked view no weight at all in a float32 softmax.
MASKED_LOGIT = -1e9
# Of attention: how many look side by side, and how often.
ATTENTION_HEADS, ATTENTION_LAYERS = 4, 3


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
    """φ of BTS, φ_SV of KDBTS: the density seen by view 0 alone, whatever else is encoded."""

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
    """φ_MV of MVBTS: each view k votes with a confidence c_k (KDBTS paper, §3.2).

    The softmax of the c_k weighs the votes; a second perceptron reads their mean.
    """

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
        """(B,V,M,1+F) of c_k and vote f_k by view and (B,V,M) masks to (B,M) pre-densities: the
        second perceptron of Σ_k softmax(c)_k f_k."""
        weights = view_weights(per_view[..., 0], seen)
        pre_density: Tensor = self.mlp2((weights.unsqueeze(-1) * per_view[..., 1:]).sum(1))
        return pre_density.squeeze(-1)

    @torch.no_grad()
    def begin_as_mean(self, single: SingleViewHead) -> None:
        """Say, until it learns more, the mean pre-density that a head of one view says of each.

        The first vote is that pre-density, all confidences are alike, and the second perceptron
        passes it on as x = relu(x) - relu(-x). Other votes and hidden units stay as they were drawn
        and have no say yet.

        Raises:
            UserError: the hidden layers differ in width, or there are less than two units to pass
                the vote on.
        """
        source, votes, passes = single.mlp, self.mlp.lin_out, self.mlp2
        alike = source.lin_in.weight.shape == self.mlp.lin_in.weight.shape
        if not alike or len(passes.lin_in.bias) < 2:
            raise UserError(
                "a multi-view head that begins as the mean of views needs as many hidden units as "
                f"the student, {len(source.lin_in.bias)}, and two or more after the fusion"
            )
        self.mlp.lin_in.load_state_dict(source.lin_in.state_dict())
        votes.weight[0], votes.bias[0] = 0, 0
        votes.weight[1], votes.bias[1] = source.lin_out.weight[0], source.lin_out.bias[0]
        passes.lin_in.weight[:2], passes.lin_in.bias[:2] = 0, 0
        passes.lin_in.weight[0, 0], passes.lin_in.weight[1, 0] = 1, -1
        passes.lin_out.weight.zero_()
        passes.lin_out.bias.zero_()
        passes.lin_out.weight[0, 0], passes.lin_out.weight[0, 1] = 1, -1


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


class AttentionHead(nn.Module):
    """A learned token t_0 and one vector per view look at each other (KDBTS paper, §3.2).

    The paper's first formula; `MultiViewHead` is the confidence vote the method was released with.
    The token's last vector decides, after three transformer layers.

    Views have no order: any permutation of them gives the same density, any number may come, and
    a view that does not see the point has no influence. Where no view sees it, the token has only
    itself to look at, and the density means nothing, as with every head.

    Args:
        inputs: width of the (feature, code) vectors. hidden: of the perceptron that embeds them.
        width: of the embedding and the token. hidden2: of the perceptron that reads the token.

    The embedding is linear, ReLU, linear and not normalised before, unlike the transformer
    variants of the reference: its first half can then be folded into the feature map.
    """

    multi_view = True

    def __init__(self, inputs: int, hidden: int = 64, width: int = 32, hidden2: int = 16) -> None:
        super().__init__()
        self.mlp = Perceptron(inputs, hidden, width)
        self.token = nn.Parameter(torch.randn(width) * 0.02)
        self.layers = nn.ModuleList(AttentionLayer(width) for _ in range(ATTENTION_LAYERS))
        self.norm = nn.LayerNorm(width)
        self.mlp2 = Perceptron(width, hidden2, 1)

    def first_layers(self) -> Perceptron:
        return self.mlp

    def output_bias(self) -> nn.Parameter:
        """The bias that sets the density of a fresh network."""
        return self.mlp2.lin_out.bias

    def fuse(self, per_view: Tensor, seen: Tensor) -> Tensor:
        """(B,V,M,width) embeddings and (B,V,M) masks to (B,M) pre-densities."""
        views = per_view.movedim(1, -2)
        token = self.token.expand(*views.shape[:-2], 1, -1)
        tokens = torch.cat([token, views], dim=-2)
        hidden = F.pad(~seen.movedim(1, -1), (1, 0))
        for layer in self.layers[:-1]:
            tokens = layer(tokens, tokens, hidden)
        # Nothing but the token is read after the last layer.
        token = self.layers[-1](tokens[..., :1, :], tokens, hidden)
        pre_density: Tensor = self.mlp2(self.norm(token))
        return pre_density[..., 0, 0]


class AttentionLayer(nn.Module):
    """Attention and a perceptron, each on normalised input and added to it.

    Written out because the fused kernels behind `nn.TransformerEncoderLayer` refuse batches as
    large as the points of a frame, and because queries may be fewer than keys.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.queries = nn.Linear(width, width)
        self.keys_values = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = Perceptron(width, width, width)

    def forward(self, asking: Tensor, tokens: Tensor, hidden: Tensor) -> Tensor:
        """(...,Q,width) asking of (...,T,width) tokens; hidden (...,T) ones are not looked at."""
        known = self.norm_attention(tokens)
        queries = _split(self.queries(self.norm_attention(asking)))
        keys, values = self.keys_values(known).chunk(2, dim=-1)
        keys, values = _split(keys), _split(values)
        logits = torch.einsum("...qhd,...khd->...hqk", queries, keys) / queries.shape[-1] ** 0.5
        weights = logits.masked_fill(hidden[..., None, None, :], MASKED_LOGIT).softmax(-1)
        heard = torch.einsum("...hqk,...khd->...qhd", weights, values).flatten(-2)
        asking = asking + self.output(heard)
        added: Tensor = asking + self.mlp(self.norm_mlp(asking))
        return added


def view_weights(confidence: Tensor, seen: Tensor) -> Tensor:
    """Softmax of confidences c_k: (B,V,M) logits and masks to weights over V; uniform where no view
    sees the point."""
    return torch.softmax(confidence.masked_fill(~seen, MASKED_LOGIT), dim=1)


def _split(x: Tensor) -> Tensor:
    """(...,width) to (...,heads,width/heads)."""
    return x.reshape(*x.shape[:-1], ATTENTION_HEADS, -1)
