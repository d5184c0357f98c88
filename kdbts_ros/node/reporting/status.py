"""One line of /diagnostics, and what silence is."""

from __future__ import annotations

from dataclasses import dataclass, field

# As diagnostic_msgs counts them. STALE: what was heard before is heard no more.
OK, WARN, ERROR, STALE = 0, 1, 2, 3


@dataclass(frozen=True)
class Status:
    """One line of /diagnostics. A lasting trouble is logged once, since nothing will change it.

    said: it is in the log already, or another line says it.
    """

    name: str
    level: int
    message: str
    values: dict[str, str] = field(default_factory=dict)
    lasting: bool = False
    said: bool = False


def quiet(at: float | None, since: float, now: float, silence: float) -> bool:
    """Whether nothing came for `silence` s, counted from `since` at the earliest."""
    return now - (since if at is None else max(at, since)) > silence
