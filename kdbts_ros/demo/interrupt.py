"""Ctrl-C that cannot get lost.

A handler raises its exception wherever the signal finds it. Inside a destructor or a callback of a
compiled library it is printed or dropped, and the program goes on: whoever waits must look again.
"""

from __future__ import annotations

import signal
from types import FrameType

from kdbts_ros import ending

# SIGHUP: the terminal was closed.
_CODES: dict[int, int] = {**ending.CODES, signal.SIGHUP: 129}
_asked: list[int] = []


def listen() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise Interrupted here, or at the next `check`."""
    for how in _CODES:
        signal.signal(how, _interrupt)


def check() -> None:
    """Raise Interrupted if a signal came whose exception did not arrive; once for each."""
    if _asked:
        code = _CODES[_asked[0]]
        _asked.clear()
        raise ending.Interrupted(code)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _asked.append(number)
    raise ending.Interrupted(_CODES[number])
