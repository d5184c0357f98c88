"""`kdbts_node` from its first moment: Ctrl-C is quiet while torch is still being imported."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from kdbts_ros.errors import UserError


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop; the exit code, 2 where it cannot start."""
    with quiet_imports(interrupted=0):
        try:
            from kdbts_ros.node.kdbts_node import main as run
        except UserError as error:  # something is not installed, or too old
            sys.stderr.write(f"kdbts_node: {error}\n")
            return 2
    return run(args)


@contextmanager
def quiet_imports(interrupted: int) -> Iterator[None]:
    """Until its end, Ctrl-C ends the process with the exit code `interrupted`, without a word."""
    # Some imports turn a KeyboardInterrupt into errors of their own. Nothing is to be tidied yet.
    before = signal.signal(signal.SIGINT, lambda *_: os._exit(interrupted))
    yield
    signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    sys.exit(main())
