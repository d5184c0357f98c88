"""Becomes another program, tied to the process that started it: a client written in C++, say."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """`PROGRAM [ARGUMENT ...]`; the kernel's tie of `kdbts_ros.tether` outlives the change."""
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
