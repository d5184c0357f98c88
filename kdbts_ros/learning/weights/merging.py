"""The mean of several checkpoints of one lineage.

Runs that began from the same weights end in one valley, and the mean of their ends is often better
than any of them (Wortsman et al., *Model soups*, ICML 2022).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from kdbts_ros.density.checkpoints.checkpoint import (
    load_network,
    of_descendant,
    resolve,
    save_network,
    sha256,
)
from kdbts_ros.errors import UserError


def merge(checkpoints: Sequence[str | Path], out: Path) -> Path:
    """Write the mean of the weights of checkpoints; notes are those of the first, and the sources.

    Raises:
        UserError: fewer than two, one that cannot be read, other shapes, or `out` not writable.
    """
    if len(checkpoints) < 2:
        raise UserError("a mean takes two checkpoints or more")
    loaded = [load_network(checkpoint) for checkpoint in checkpoints]
    network, info = loaded[0]
    for (_, other), checkpoint in zip(loaded[1:], checkpoints[1:], strict=True):
        if other.spec != info.spec:
            raise UserError(
                f"{checkpoint} is another network than {checkpoints[0]}: only runs of one "
                "network have a mean"
            )
    states = [single.state_dict() for single, _ in loaded]
    mean = {
        key: torch.stack([state[key] for state in states]).mean(0) if value.is_floating_point()
        else value
        for key, value in states[0].items()
    }  # fmt: skip
    network.load_state_dict(mean)
    notes = of_descendant(info.notes)
    notes["mean_of"] = json.dumps([sha256(resolve(checkpoint)) for checkpoint in checkpoints])
    return save_network(out, network, notes)
