"""`kdbts_node` from its first moment: signals are quiet while torch is still being imported."""

from __future__ import annotations

import sys

from kdbts_ros import ending
from kdbts_ros.errors import UserError


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop; the exit code, 2 where it cannot start."""
    # Told to end, a node has done what it should.
    ending.begin(0)
    try:
        from kdbts_ros.node.kdbts_node import main as run
    except UserError as error:  # something is not installed, or too old
        sys.stderr.write(f"kdbts_node: {error}\n")
        return 2
    return run(args)


if __name__ == "__main__":
    sys.exit(main())
