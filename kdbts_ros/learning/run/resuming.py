"""Whether a saved state belongs to what would continue it.

Steps of one experiment and steps of another are no experiment: whoever resumes with other settings,
weights or recordings is told what differs. What only says how long, how fast or where may change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from kdbts_ros.density.checkpoints.checkpoint import resolve, sha256
from kdbts_ros.density.checkpoints.imagenet import IMAGENET
from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.training import TrainingConfig
from kdbts_ros.reading import foreign

# Of a training: the length of its stages, this machine and its folders, and what is told of it.
_FREE = re.compile(
    r"(name|out|threads|device|checkpoint_seconds|log_every|tensorboard|patience_seconds)"
    r"|watch\.(every_minutes|pictures|kitti_root)"
    r"|stages\.\d+\.(minutes|steps|root|split|orbslam_folder|pool\.workers)"
)
_CHECKPOINTS = re.compile(r"network\.(start|heads)_from|stages\.\d+\.(feature_)?teacher")
_MOST = 4
# Keys that begin so are not compared, but told beside what they speak of.
TOLD = "place of "

Identity = dict[str, str]


def identity_of(config: TrainingConfig) -> Identity:
    """What must stay the same of a training, by key of its file; checkpoints by their SHA-256.

    Raises:
        UserError: a checkpoint that the config names is not there.
    """
    found = flattened(config.model_dump(mode="json"))
    for key, text in found.items():
        if _CHECKPOINTS.fullmatch(key) and text not in ("null", json.dumps(IMAGENET)):
            found[key] = f"the checkpoint of sha256 {sha256(resolve(json.loads(text)))}"
    return {key: value for key, value in found.items() if not _FREE.fullmatch(key)}


def completed(saved: Identity, config: TrainingConfig) -> Identity:
    """A saved identity with the keys that there were not yet, where this config leaves them alone.

    A key that is added later must not end the runs of before: its default is what they did.
    """
    given = flattened(config.model_dump(mode="json", exclude_defaults=True))
    added = {k: v for k, v in identity_of(config).items() if k not in saved and k not in given}
    return {**saved, **added}


def flattened(content: object, place: str = "") -> Identity:
    """Leaves of nested settings as JSON, by their place: `stages.0.optimiser.rate`."""
    if isinstance(content, Mapping):
        items = [(str(key), value) for key, value in content.items()]
    elif isinstance(content, (list, tuple)) and any(isinstance(c, Mapping) for c in content):
        items = [(str(index), value) for index, value in enumerate(content)]
    else:
        return {place: json.dumps(content)}
    found: Identity = {}
    for key, value in items:
        found |= flattened(value, f"{place}.{key}" if place else key)
    return found


def refuse_other(saved: Mapping[str, str], now: Mapping[str, str], what: str, cure: str) -> None:
    """Compare what a state was made from with what would continue it.

    Raises:
        UserError: they differ; names what, and `cure` says what to do.
    """
    different = [
        f"{key} was {_told(saved, key)} and is {_told(now, key)}"
        for key in sorted({*saved, *now})
        if saved.get(key) != now.get(key) and not key.startswith(TOLD)
    ]
    if different:
        more = f", and {len(different) - _MOST} more" if different[_MOST:] else ""
        raise UserError(f"{what}: {'; '.join(different[:_MOST])}{more}. {cure}")


def _told(identity: Mapping[str, str], key: str) -> str:
    place = identity.get(TOLD + key)
    return identity.get(key, "not there") + (f" ({place})" if place else "")


def written(identity: Identity) -> str:
    """For a state."""
    return json.dumps(identity)


def read(text: object) -> Identity | None:
    """What `written` gave; None of a state that does not say, as earlier versions wrote them."""
    try:
        content = json.loads(text) if isinstance(text, str) else None
    except foreign("json"):
        return None
    if not isinstance(content, dict):
        return None
    found = {str(k): str(v) for k, v in content.items()}
    if "network.layers" in found:
        # From before `trunk`.
        found["network.trunk"] = json.dumps(f"resnet{found.pop('network.layers')}")
    return found
