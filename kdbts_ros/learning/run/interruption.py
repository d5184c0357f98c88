"""Ctrl-C and SIGTERM as a wish that the run grants between two steps."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from types import FrameType
from typing import Any

from kdbts_ros import ending


class Interruption:
    """Within, SIGINT and SIGTERM are noted instead of ending the process, however long it takes to
    finish the step and save."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}
        self._patience = ExitStack()

    def __enter__(self) -> Interruption:
        self._patience.enter_context(ending.patience())
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._patience.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
