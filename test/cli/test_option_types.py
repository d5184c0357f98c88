"""The command line lives with the oldest typer that a supported distribution has."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Optional, get_args, get_origin, get_type_hints

import typer

from kdbts_ros.cli.main import app, register


def commands(group: typer.Typer) -> Iterator[Any]:
    """The functions behind a command line, those of its groups included."""
    yield from (command.callback for command in group.registered_commands)
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from commands(inner.typer_instance)


def has_bar(hint: Any) -> bool:
    """Whether a type is written `X | Y` anywhere."""
    return get_origin(hint) is types.UnionType or any(has_bar(part) for part in get_args(hint))


def test_no_option_is_written_with_a_bar() -> None:
    # typer 0.9, as Ubuntu 24.04 has it: one such option, and `kdbts --help` dies.
    # A run of one command attaches that one alone.
    if "warm-up" not in {command.name for command in app.registered_commands}:
        register()
    functions = list(commands(app))
    assert len(functions) > 15
    for function in functions:
        hints = get_type_hints(function, include_extras=True)
        barred = [name for name, hint in hints.items() if has_bar(hint)]
        assert barred == [], f"{function.__name__}: write Optional[...] for {barred}"


def test_a_bar_is_seen() -> None:
    assert has_bar(list[int | None]) and not has_bar(Optional[int])  # noqa: UP045
