"""Stands for the SDK of rerun: keeps what it is told, on which time and of which entity."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class Kept:
    """An archetype: its name, arguments and what `compress` gives."""

    def __init__(self, name: str, *positional: Any, **named: Any) -> None:
        self.name, self.positional, self.named = name, positional, named

    def compress(self, **named: Any) -> Kept:
        return self


class Stream:
    """Keeps (time, entity, archetypes, static)."""

    def __init__(self) -> None:
        self.now: Any = None
        self.logged: list[tuple[Any, str, tuple[Kept, ...], bool]] = []

    def set_log_tick_enabled(self, on: bool) -> None:
        assert not on

    def set_log_time_enabled(self, on: bool) -> None:
        assert not on

    def set_time(self, timeline: str, **at: Any) -> None:
        assert timeline == "stamp"
        (self.now,) = at.items()

    def log(self, entity: str, *shown: Kept, static: bool = False) -> None:
        self.logged.append((self.now, entity, shown, static))

    def of(self, name: str) -> list[tuple[Any, str, Kept]]:
        return [(t, e, k) for t, e, shown, _ in self.logged for k in shown if k.name == name]


class Module(SimpleNamespace):
    """Stands for `rerun`: every name makes a `Kept`."""

    def __getattr__(self, name: str) -> Callable[..., Kept]:
        return lambda *positional, **named: Kept(name, *positional, **named)


COMPONENTS = SimpleNamespace(
    ImageFormat=lambda **named: named, Colormap=SimpleNamespace(RvizMap="RvizMap")
)
RERUN = Module(components=COMPONENTS)
