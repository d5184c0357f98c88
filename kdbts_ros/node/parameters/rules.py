"""What one parameter may be, how a bad value is refused, and how values are written down."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from kdbts_ros.errors import UserError

Value = bool | int | float | str | tuple[str, ...]

# The words of YAML 1.1 for a boolean, which ROS reads, in lower case.
WORDS = dict.fromkeys(("on", "yes", "true", "y"), True)
WORDS |= dict.fromkeys(("off", "no", "false", "n"), False)
# How far a number may be from another and still be the same, written down and read again.
SAME = 1e-9


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
        value = self._meant(default, value)
        if isinstance(default, tuple):
            return _strings(name, value)
        if self.choices and value not in self.choices:
            raise UserError(
                f"parameter '{name}' must be one of {', '.join(self.choices)}, got {_said(value)}"
            )
        if type(value) is not type(default):
            raise UserError(
                f"parameter '{name}' must be {_noun(default)}, got {_said(value)}; "
                f"{_example(name, default, value)}"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"parameter '{name}' must be finite, got {value}")
        if not self._in_range(value):
            raise UserError(
                f"parameter '{name}' must lie in [{self.low:g}, {self.high:g}], got {value:g}"
            )
        return value  # type: ignore[return-value]

    def _meant(self, default: Value, value: object) -> object:
        """The value in the type of `default` where it can only mean one; otherwise as it is.

        YAML turns a bare off, no or n into false and on, yes or y into true; a launch argument may
        stay a word.
        """
        switch = WORDS.get(value.casefold()) if isinstance(value, str) else value
        if isinstance(switch, bool):
            if isinstance(default, bool):
                return switch
            words = ("on", "yes", "true") if switch else ("off", "no", "false")
            return next((choice for choice in self.choices if choice in words), value)
        if isinstance(default, float) and type(value) is int:
            return float(value)
        if type(default) is int and isinstance(value, float) and value.is_integer():
            return int(value)
        return value

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


def same(a: Value, b: Value) -> bool:
    """Whether two checked values of a parameter are one."""
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=SAME, abs_tol=SAME)
    return a == b


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


def _said(value: object) -> str:
    """A value as it was given, with what YAML may have made of it."""
    if isinstance(value, bool):
        words = "on, yes and y" if value else "off, no and n"
        return f"{literal(value)} (what ROS makes of a bare {words})"
    return "nothing" if value is None else repr(value)


def _example(name: str, default: Value, value: object) -> str:
    if isinstance(default, str) and isinstance(value, bool | int | float):
        text = literal(value) if isinstance(value, bool) else value
        return f"quote a name that looks like another type: {name}:='\"{text}\"'"
    return f"for example {name}:={literal(default)}"


def _noun(value: Value) -> str:
    nouns = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}
    return nouns[type(value)]
