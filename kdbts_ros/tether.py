"""A child process that cannot outlive the process that started it.

Ending one's children in a `finally` is not enough: a SIGKILL, a crash, or a Ctrl-C between the fork
and the `with` leaves them behind. Here the kernel ends the child, whatever happens to the parent.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

_PR_SET_PDEATHSIG = 1


def command(module: str, arguments: Sequence[str]) -> list[str]:
    """Command line that runs a Python module as `python -m` does, tied to this process."""
    return [sys.executable, "-m", "kdbts_ros.tether", str(os.getpid()), module, *arguments]


def tie(parent: int) -> None:
    """Let the kernel kill this process when `parent`, which started it, ends; Linux only.

    Exits at once if `parent` has ended already. The thread that started this process counts as
    the parent: call it for children of a main thread.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"prctl: {os.strerror(number)}")
    # It may have ended before the kernel was asked; then this process has another parent by now.
    if os.getppid() != parent:
        os._exit(1)


def end(process: subprocess.Popen[Any], *steps: tuple[int, float]) -> None:
    """End a child and wait until it has: by each signal with its seconds of patience, then at once.

    Whatever interrupts the waiting, the child is gone when this is over.
    """
    try:
        for how, patience in steps:
            if process.poll() is not None:
                return
            process.send_signal(how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def main() -> None:
    """`python -m kdbts_ros.tether PARENT MODULE [ARGUMENT ...]`."""
    parent, module = int(sys.argv[1]), sys.argv[2]
    tie(parent)
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
