"""Reading a training file: YAML, overrides, and mistakes told in one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.clip_stages import DistillStage, PhotometricStage
from kdbts_ros.learning.config.frames import JitterConfig, PlacesConfig, PoolConfig, StreetsConfig
from kdbts_ros.learning.config.section import Section
from kdbts_ros.learning.config.stages import OptimiserConfig, SupervisedStage
from kdbts_ros.learning.config.training import NetworkConfig, TrainingConfig, WatchConfig
from kdbts_ros.yaml_files import load_yaml, read_yaml


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Read a YAML file and apply `a.b=c` overrides (list elements by number: `stages.0.steps=5`).

    Raises:
        UserError: the file cannot be read, or a key or value is wrong; names the near key.
    """
    path = Path(path)
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise UserError(f"{path} must hold keys and values, see config/training for examples")
    for override in overrides:
        _apply(data, override)
    return parse_config(data)


def parse_config(data: Mapping[str, Any]) -> TrainingConfig:
    """Check a mapping; raises UserError naming the first wrong key."""
    try:
        return TrainingConfig.model_validate(data)
    except ValidationError as error:
        raise UserError(_one_sentence(error)) from None


def _apply(data: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise UserError(f"--set needs key=value, got '{override}'")
    *parents, last = key.strip().split(".")
    node: Any = data
    try:
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
        node[int(last) if isinstance(node, list) else last] = load_yaml(text)
    except UserError as error:
        raise UserError(f"--set {key}: its value {error}") from None
    except yaml.YAMLError:
        raise UserError(f"--set {key}: '{text}' is not a YAML value") from None
    except (ValueError, IndexError, AttributeError, TypeError):
        raise UserError(f"--set {key}: no such place in the config") from None


STAGES: dict[str, type[Section]] = {
    "supervised": SupervisedStage,
    "photometric": PhotometricStage,
    "distill": DistillStage,
}
SECTIONS: dict[str, type[Section]] = {
    **STAGES,
    "network": NetworkConfig,
    "optimiser": OptimiserConfig,
    "jitter": JitterConfig,
    "pool": PoolConfig,
    "streets": StreetsConfig,
    "places": PlacesConfig,
    "watch": WatchConfig,
}


def _one_sentence(error: ValidationError) -> str:
    """The most telling of pydantic's complaints, with the nearest known key for a misspelt one."""
    complaints = error.errors()
    first = next((c for c in complaints if c["type"] == "extra_forbidden"), complaints[0])
    where = [str(part) for part in first["loc"]]
    # The kind of a stage is part of pydantic's path, but not a key of the file.
    place = ".".join(part for part in where if part not in STAGES)
    if first["type"] != "extra_forbidden":
        return f"training config: {place}: {first['msg'].removeprefix('Value error, ')}"
    known = list(_section(where[:-1]).model_fields)
    near = difflib.get_close_matches(where[-1], known, n=2, cutoff=0.5)
    hint = " or ".join(f"'{name}'" for name in near) or f"one of {', '.join(known)}"
    return f"training config: unknown key '{place}', did you mean {hint}?"


def _section(parents: Sequence[str]) -> type[Section]:
    """The model a key path leads to; the last part that names a section decides."""
    return next((SECTIONS[p] for p in reversed(parents) if p in SECTIONS), TrainingConfig)
