"""What one parameter may be, how a bad value is refused, and how a value is written down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import Field

Value = bool | int | float | str | tuple[str, ...]

# The words of YAML 1.1 for a boolean, which ROS reads, in lower case.
WORDS = dict.fromkeys(("on", "yes", "true", "y"), True)
WORDS |= dict.fromkeys(("off", "no", "false", "n"), False)
# How far a number may be from another and still be the same, written down and read again.
SAME = 1e-9


def parameter(
    default: Value,
    meaning: str,
    low: float | None = None,
    high: float | None = None,
    *,
    live: bool = False,
) -> Any:
    """A field of the table. `low` and `high` are inclusive, `live` may change while active."""
    return Field(default, ge=low, le=high, description=meaning, json_schema_extra={"live": live})


@dataclass(frozen=True)
class Rule:
    """A field of the table, as descriptors, files and sentences need it."""

    name: str
    default: Value
    meaning: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    live: bool

    @classmethod
    def of(cls, name: str, field: Any) -> Rule:
        """From pydantic's description of a field."""
        kind = field.annotation
        return cls(
            name=name,
            default=field.default,
            meaning=field.description,
            low=_bound(field, "ge"),
            high=_bound(field, "le"),
            choices=get_args(kind) if get_origin(kind) is Literal else (),
            live=field.json_schema_extra["live"],
        )

    def meant(self, value: object) -> object:
        """The value in the parameter's type where it can only mean one; otherwise as it is.

        YAML turns a bare off, no or n into false and on, yes or y into true; a launch argument may
        stay a word. Empty strings in a list stand for nothing, since ROS has no empty list of a
        type.
        """
        switch = WORDS.get(value.casefold()) if isinstance(value, str) else value
        if isinstance(switch, bool):
            if isinstance(self.default, bool):
                return switch
            words = ("on", "yes", "true") if switch else ("off", "no", "false")
            return next((choice for choice in self.choices if choice in words), value)
        if type(self.default) is int and isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(self.default, tuple) and isinstance(value, list | tuple):
            return tuple(v for v in value if v != "")
        return value

    def sentence(self, kind: str, value: object) -> str:
        """Why a value is refused, and what cures it. `kind`: what pydantic calls the error."""
        name = f"parameter '{self.name}'"
        if kind == "literal_error":
            return f"{name} must be one of {', '.join(self.choices)}, got {_quoted(value)}"
        if kind == "finite_number":
            return f"{name} must be finite, got {value}"
        if kind in ("greater_than_equal", "less_than_equal"):
            return f"{name} must lie in [{self.low:g}, {self.high:g}], got {value:g}"
        if isinstance(self.default, tuple):
            example = f"for example {self.name}:=[front, left]"
            return f"{name} must be a list of strings, got {value!r}; {example}"
        noun = _NOUNS[type(self.default)]
        return f"{name} must be {noun}, got {_quoted(value)}; {self._example(value)}"

    def _example(self, value: object) -> str:
        if isinstance(self.default, str) and isinstance(value, bool | int | float):
            text = literal(value) if isinstance(value, bool) else value
            return f"quote a name that looks like another type: {self.name}:='\"{text}\"'"
        return f"for example {self.name}:={literal(self.default)}"


def _bound(field: Any, key: str) -> float | None:
    return next((getattr(limit, key) for limit in field.metadata if hasattr(limit, key)), None)


def same(a: Value, b: Value) -> bool:
    """Whether two checked values of a parameter are one."""
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=SAME, abs_tol=SAME)
    return a == b


def literal(value: Value) -> str:
    """A value as YAML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(literal(v) for v in value or ("",)) + "]"
    # Quotes: a bare `true`, an empty string or a number would be read as another type.
    return f'"{value}"' if isinstance(value, str) else str(value)


_NOUNS = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}


def _quoted(value: object) -> str:
    """A value as it was given, with what YAML may have made of it."""
    if isinstance(value, bool):
        words = "on, yes and y" if value else "off, no and n"
        return f"{literal(value)} (what ROS makes of a bare {words})"
    return "nothing" if value is None else repr(value)
