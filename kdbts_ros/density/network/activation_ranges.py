"""What each convolution of a network reads, at least and at most: 8-bit convolutions count in it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.errors import UserError

# The note of a checkpoint that holds them.
NOTE = "activation_ranges"
# Rare peaks are worth less than steps that are as much finer for all the rest.
CLIPPED = 1e-4
# Numbers of a map that are looked at: enough for such a share, and `torch.quantile` has a limit.
_LOOKED_AT = 1 << 18


@dataclass(frozen=True)
class Range:
    """What a convolution reads lies in [low, high], 0 within it but for a share of `CLIPPED`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise UserError("a range of activations needs finite bounds")
        if not self.low <= 0 < self.high:
            raise UserError(
                f"a range of activations needs low <= 0 < high, got {self.low:g} to {self.high:g}"
            )


Ranges = Mapping[str, Range]


def convolutions(network: DensityNetwork) -> dict[str, nn.Conv2d]:
    """Those of trunk and decoder by name, the output convolution included."""
    parts = {"encoder": network.encoder, "decoder": network.decoder}
    return {
        f"{part}.{name}": module
        for part, whole in parts.items()
        for name, module in whole.named_modules()
        if isinstance(module, nn.Conv2d)
    }


@torch.inference_mode()
def observe(network: DensityNetwork, images: Iterable[Tensor]) -> dict[str, Range]:
    """Ranges by name of the convolution, means over images (1,3,H,W) in [0,1].

    Raises:
        UserError: there are no images.
    """
    found: dict[str, list[Tensor]] = {name: [] for name in convolutions(network)}

    def look(name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found[name].append(_bounds(inputs[0]))

    hooks = [
        layer.register_forward_pre_hook(partial(look, name))
        for name, layer in convolutions(network).items()
    ]
    try:
        for image in images:
            network.decoder(network.encoder(image))
    finally:
        for hook in hooks:
            hook.remove()
    if not all(found.values()):
        raise UserError("ranges of activations need at least one image")
    return {name: _range(*torch.stack(seen).mean(0).tolist()) for name, seen in found.items()}


def write_note(ranges: Ranges) -> str:
    """Ranges as the note of a checkpoint, JSON."""
    return json.dumps({name: [each.low, each.high] for name, each in ranges.items()})


def read_note(text: str | None, network: DensityNetwork) -> dict[str, Range] | None:
    """What `write_note` wrote for such a network; None of a checkpoint without the note.

    Raises:
        UserError: it is something else, or of another network.
    """
    if text is None:
        return None
    try:
        entries: dict[str, Any] = dict(json.loads(text))
        found = {str(name): Range(*map(float, entry)) for name, entry in entries.items()}
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UserError(f"the checkpoint's ranges of activations cannot be read: {error}") from None
    if found.keys() != convolutions(network).keys():
        raise UserError("the checkpoint's ranges of activations are those of another network")
    return found


def _bounds(x: Tensor) -> Tensor:
    """(2,): what all but the share `CLIPPED` of x is not below, and not above."""
    values = x.flatten()
    values = values[:: math.ceil(len(values) / _LOOKED_AT)]
    return torch.quantile(values, torch.tensor([CLIPPED, 1 - CLIPPED]))


def _range(low: float, high: float) -> Range:
    # A map that is zero everywhere needs steps all the same.
    return Range(min(low, 0.0), max(high, 1e-6))
