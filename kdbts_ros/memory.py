"""Memory that a long-lived process has no more use for, and how it is given back."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress


def settle() -> None:
    """What has been made until now stays: leave it out of searches for garbage.

    A search through the quarter of a million objects of a model would hold up a frame for a tenth
    of a second.
    """
    give_back()
    gc.freeze()


def give_back() -> None:
    """Find all garbage, and return free pages to the system.

    Each thread has an arena of its own in glibc, which keeps what the thread has freed: after some
    lives of a node several models would lie in them.
    """
    gc.unfreeze()
    gc.collect()
    # Other C libraries have no such function, and keep no arenas.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
