"""`kdbts_node` from its first moment: Ctrl-C is quiet while torch is still being imported."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop; the exit code."""
    # Some imports turn a KeyboardInterrupt into errors of their own. Nothing is to be tidied yet.
    before = signal.signal(signal.SIGINT, _leave)
    from kdbts_ros.node.kdbts_node import main as run

    signal.signal(signal.SIGINT, before)
    return run(args)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
