"""Ctrl-C that cannot get lost.

Python raises KeyboardInterrupt wherever the signal finds it. Inside a destructor or a callback of a
compiled library it is printed or dropped, and the program goes on: whoever waits must look again.
"""

from __future__ import annotations

import signal
from types import FrameType

_asked: list[int] = []


def listen() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt here, or at the next `check`."""
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(how, _interrupt)


def check() -> None:
    """Raise KeyboardInterrupt if a signal came whose exception did not arrive; once for each."""
    if _asked:
        _asked.clear()
        raise KeyboardInterrupt


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _asked.append(number)
    raise KeyboardInterrupt
