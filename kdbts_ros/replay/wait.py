"""`python -m kdbts_ros.replay.wait /kdbts`: ends when that node is active; see `readiness`."""

from __future__ import annotations

import sys

from kdbts_ros.node.start import quiet_imports

INTERRUPTED = 130


def main() -> int:
    """Wait; 0 when the node is active, 1 when it will not be, 130 at Ctrl-C."""
    with quiet_imports(INTERRUPTED):
        from kdbts_ros.replay.readiness import main as run
    return run()


if __name__ == "__main__":
    sys.exit(main())
