"""What one parameter may be, how a bad value is refused, and how values are written down."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from kdbts_ros.errors import UserError

Value = bool | int | float | str | tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """What one parameter may be. `low` and `high` are inclusive, `live` may change while active."""

    meaning: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    def check(self, name: str, default: Value, value: object) -> Value:
        """The value in the type of `default`, or UserError naming the parameter and its range."""
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if isinstance(value, bool) and literal(value) in self.choices:
            # `-p rectified:=true` arrives as a boolean.
            value = literal(value)
        if isinstance(default, tuple):
            return _strings(name, value)
        if type(value) is not type(default):
            raise UserError(
                f"parameter '{name}' must be {_noun(default)}, got {value!r}; "
                f"for example {name}:={literal(default)}"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"parameter '{name}' must be finite, got {value}")
        if not self._in_range(value):
            raise UserError(
                f"parameter '{name}' must lie in [{self.low:g}, {self.high:g}], got {value:g}"
            )
        if self.choices and value not in self.choices:
            raise UserError(
                f"parameter '{name}' must be one of {', '.join(self.choices)}, got '{value}'"
            )
        return value  # type: ignore[return-value]

    def _in_range(self, value: Value) -> bool:
        if self.low is None or self.high is None or isinstance(value, str | tuple):
            return True
        return self.low <= value <= self.high


def _strings(name: str, value: object) -> tuple[str, ...]:
    """A list of strings; empty ones stand for nothing, since ROS has no empty list of a type."""
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        raise UserError(
            f"parameter '{name}' must be a list of strings, got {value!r}; "
            f"for example {name}:=[front, left]"
        )
    return tuple(v for v in value if v)


def rule(default: Value, meaning: str, **limits: Any) -> Any:
    return field(default=default, metadata={"rule": Rule(meaning, **limits)})


def limits(rule: Rule) -> str:
    if rule.choices:
        return ", ".join(rule.choices)
    return "" if rule.low is None else f"{rule.low:g} to {rule.high:g}"


def literal(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(literal(v) for v in value or ("",)) + "]"
    # Quotes: a bare `true`, an empty string or a number would be read as another type.
    return f'"{value}"' if isinstance(value, str) else str(value)


def _noun(value: Value) -> str:
    nouns = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}
    return nouns[type(value)]
