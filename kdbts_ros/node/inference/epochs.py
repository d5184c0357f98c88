"""The node's lives: a deactivation or a jump in time ends one, and nothing of it is sent later."""

from __future__ import annotations

import threading


class Lives:
    """The number of the life of now, which the executor ends and the inference thread asks for.

    Whoever sends something of a life holds `lock` from asking to the end of sending, and waits for
    nothing meanwhile: once `end` has returned, nothing of that life is sent any more.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = 0

    def end(self) -> None:
        """Begin the next life, as soon as what is being sent has gone out."""
        with self.lock:
            self.now += 1
