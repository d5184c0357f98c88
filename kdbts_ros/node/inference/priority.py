"""How the threads that compute maps make way for those that answer.

A map takes all cores for most of the time to the next one. Who asks, drives or answers meanwhile
needs little, but at once; at the same priority it waits in the processors' queue for a map's share.
"""

from __future__ import annotations

import os
import sys
import threading

# Linux knows no less urgent than this.
_LEAST = 19


def make_way(steps: int) -> int:
    """Make the calling thread, and what it starts from now on, so many steps nicer; how nice it is.

    Counted from what the process was started with: without privileges there is no way back.
    """
    # Elsewhere niceness is a whole process's, the executor with it.
    if not steps or not sys.platform.startswith("linux"):
        return 0
    thread = threading.get_native_id()
    nice = min(_LEAST, os.getpriority(os.PRIO_PROCESS, thread) + steps)
    os.setpriority(os.PRIO_PROCESS, thread, nice)
    return nice
