"""`python -m kdbts_ros.replay.wait /kdbts`: ends when that node is active; see `readiness`."""

from __future__ import annotations

import sys

from kdbts_ros import ending


def main() -> int:
    """Wait; 0 when the node is active, 1 when it will not be, 130 or 143 if told to end."""
    # A wait that was interrupted must not look like a node that is active.
    ending.begin()
    from kdbts_ros.replay.readiness import main as run

    try:
        return run()
    finally:
        # An interpreter that ends has no handlers any more: a signal would set the exit code.
        ending.over()


if __name__ == "__main__":
    sys.exit(main())
