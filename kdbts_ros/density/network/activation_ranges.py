"""What each convolution of a network reads, at least and at most: steps of 8 bits lie between."""

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
# A byte tells so many numbers apart.
STEPS = 256


@dataclass(frozen=True)
class Range:
    """What a convolution reads lies in [low, high], 0 within it; what does not is clipped."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise UserError("a range of activations needs finite bounds")
        if not self.low <= 0 < self.high:
            raise UserError(
                f"a range of activations needs low <= 0 < high, got {self.low:g} to {self.high:g}"
            )


# By name of a convolution, a range for each map that is joined to what it reads.
Ranges = Mapping[str, tuple[Range, ...]]


def convolutions(network: DensityNetwork) -> dict[str, nn.Conv2d]:
    """Those of trunk and decoder by name, the output convolution included."""
    parts = {"encoder": network.encoder, "decoder": network.decoder}
    return {
        f"{part}.{name}": module
        for part, whole in parts.items()
        for name, module in whole.named_modules()
        if isinstance(module, nn.Conv2d)
    }


def joined(network: DensityNetwork) -> dict[str, tuple[int, ...]]:
    """By name of a convolution, the channels of each map that is joined to what it reads.

    The decoder joins its own map to one of the trunk, whose numbers can be forty times as large.
    """
    layers = convolutions(network)
    channels: dict[str, tuple[int, ...]] = {k: (v.in_channels,) for k, v in layers.items()}
    for step in range(len(network.decoder.after)):
        own = layers[f"decoder.before.{step}.conv"].out_channels
        skip = layers[f"decoder.after.{step}.conv"].in_channels - own
        if skip:
            channels[f"decoder.after.{step}.conv"] = own, skip
    return channels


@torch.inference_mode()
def observe(network: DensityNetwork, images: Iterable[Tensor]) -> dict[str, tuple[Range, ...]]:
    """Ranges by name of the convolution, means over images (1,3,H,W) in [0,1].

    Raises:
        UserError: there are no images.
    """
    channels = joined(network)
    found: dict[str, list[Tensor]] = {name: [] for name in channels}

    def look(name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        maps = inputs[0].split_with_sizes(channels[name], dim=1)
        found[name].append(torch.stack([_ends(each) for each in maps]))

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
    means = {name: torch.stack(seen).mean(0).tolist() for name, seen in found.items()}
    return {name: tuple(Range(*ends) for ends in mean) for name, mean in means.items()}


def write_note(ranges: Ranges) -> str:
    """Ranges as the note of a checkpoint, JSON."""
    rows = {name: [[each.low, each.high] for each in maps] for name, maps in ranges.items()}
    return json.dumps(rows)


def read_note(text: str | None, network: DensityNetwork) -> dict[str, tuple[Range, ...]] | None:
    """What `write_note` wrote for such a network; None of a checkpoint without the note.

    Raises:
        UserError: it is something else, or of another network.
    """
    if text is None:
        return None
    try:
        entries: dict[str, Any] = dict(json.loads(text))
        found = {
            str(name): tuple(Range(float(low), float(high)) for low, high in entry)
            for name, entry in entries.items()
        }
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UserError(f"the checkpoint's ranges of activations cannot be read: {error}") from None
    if {k: len(v) for k, v in found.items()} != {k: len(v) for k, v in joined(network).items()}:
        raise UserError("the checkpoint's ranges of activations are those of another network")
    return found


def _ends(x: Tensor) -> Tensor:
    """(2,): the least and the largest of a map's numbers, 0 between them."""
    low, high = x.aminmax()
    # A map that is zero everywhere needs steps all the same.
    return torch.stack([low.clamp(max=0), high.clamp(min=1e-6)])
