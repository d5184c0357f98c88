"""Map heads beside a network's weights in one file: a text that describes them, and their tensors.

Versions of this package that know of none refuse such a file by the names of its tensors.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

import torch
from torch import Tensor

from kdbts_ros.density.checkpoints.weight_files import Shape
from kdbts_ros.density.network.map_head import MapHeadNetwork, MapHeadSpec
from kdbts_ros.errors import UserError

# The text, JSON: specs by the name of the head whose maps they complete.
TEXT = "map_heads"
PREFIX = "map_head."
# A network has two heads at most.
MOST = 4


def read_specs(texts: Mapping[str, str]) -> dict[str, MapHeadSpec]:
    """By head; empty of a file without any.

    Raises:
        UserError: the text is something else.
    """
    if TEXT not in texts:
        return {}
    try:
        entries = json.loads(texts[TEXT])
        if len(entries) > MOST:
            raise ValueError(f"{len(entries)} map heads")
        return {_name(head): _spec(entry) for head, entry in entries.items()}
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"its map heads cannot be read: {reason}") from None


def expected_shapes(specs: Mapping[str, MapHeadSpec]) -> dict[str, Shape]:
    """Of the tensors; nothing of their size is allocated."""
    with torch.device("meta"):
        return {
            f"{PREFIX}{head}.{key}": tuple(value.shape)
            for head, spec in specs.items()
            for key, value in MapHeadNetwork(spec).state_dict().items()
        }


def taken_from(
    weights: dict[str, Tensor], specs: Mapping[str, MapHeadSpec]
) -> dict[str, MapHeadNetwork]:
    """The heads, their tensors taken out of all weights of a file."""
    heads = {}
    for head, spec in specs.items():
        heads[head] = MapHeadNetwork(spec).requires_grad_(False).eval()
        own = heads[head].state_dict()
        heads[head].load_state_dict({key: weights.pop(f"{PREFIX}{head}.{key}") for key in own})
    return heads


def replace(
    texts: dict[str, str],
    weights: dict[str, Tensor],
    heads: Mapping[str, MapHeadNetwork | None],
) -> None:
    """In the texts and tensors of a file: these take the place of those of their names; None: there
    is none any more. Convolutions are stored in float16."""
    entries = json.loads(texts.get(TEXT, "{}"))
    for head, network in heads.items():
        for key in [k for k in weights if k.startswith(f"{PREFIX}{head}.")]:
            del weights[key]
        entries.pop(head, None)
        if network is not None:
            entries[_name(head)] = dataclasses.asdict(network.spec)
            for key, value in network.state_dict().items():
                stored = value.half() if value.ndim == 4 else value
                weights[f"{PREFIX}{head}.{key}"] = stored.contiguous().clone()
    texts.pop(TEXT, None)
    if entries:
        texts[TEXT] = json.dumps(entries)


def _name(head: str) -> str:
    if not head.isidentifier():
        raise ValueError(f"'{head[:80]}' is no name of a head")
    return head


def _spec(entry: dict[str, object]) -> MapHeadSpec:
    lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
    return MapHeadSpec(**{**entry, **lists})  # type: ignore[arg-type]
