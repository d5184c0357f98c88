"""YAML whose nesting, aliases and number of values are bounded before anything is built of it.

Ten lines of aliases of aliases name a thousand million values, and twenty thousand brackets keep
a parser busy for seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from kdbts_ros.errors import UserError
from kdbts_ros.files import shown
from kdbts_ros.reading import foreign, read_bounded, reason_of

LARGEST_TEXT = 256_000
DEEPEST = 40
MOST_VALUES = 10_000

# The parser of libyaml where it is there, which is everywhere but on rare machines.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(text: str) -> Any:
    """What `yaml.safe_load` gives of a text within the bounds.

    Raises:
        UserError: beyond them; half a sentence that begins with the verb.
        yaml.YAMLError, ValueError: it is no YAML, or holds values that are none.
    """
    check_yaml(text)
    return yaml.load(text, Loader=_LOADER)


def check_yaml(text: str) -> None:
    """Raise what `load_yaml` does; nothing is built."""
    if len(text) > LARGEST_TEXT:
        raise UserError(f"has {len(text)} characters, more than {LARGEST_TEXT}: shorten it")
    # How many values stand in each open collection, aliases counted as what they stand for.
    counts: list[tuple[str | None, int]] = [(None, 0)]
    sizes: dict[str, int] = {}
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            counts.append((event.anchor, 1))
            if len(counts) > DEEPEST:
                raise UserError(f"is nested more than {DEEPEST} deep: write it flatter")
            continue
        if isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            anchor, size = counts.pop()
        elif isinstance(event, yaml.AliasEvent):
            anchor, size = None, sizes.get(str(event.anchor), 1)
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        counts[-1] = (counts[-1][0], counts[-1][1] + size)
        if counts[-1][1] > MOST_VALUES:
            raise UserError(f"holds more than {MOST_VALUES} values: shorten it")


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        UserError: missing, unreadable, no YAML, or beyond the bounds.
    """
    text = read_bounded(path, LARGEST_TEXT, "name a YAML file of settings")
    try:
        return load_yaml(text.decode("utf-8"))
    except UserError as error:
        raise UserError(f"{shown(path)} {error}") from None
    except foreign("yaml") as error:
        raise UserError(f"{shown(path)} is not valid YAML: {reason_of(error)}") from error
