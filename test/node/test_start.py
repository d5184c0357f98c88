"""Ctrl-C in the first seconds of the node, when there is no ROS to end yet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The signal comes amid the import, and the import makes an error of its own of the exception.
INTERRUPTED = """
import signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == "kdbts_ros.node.kdbts_node":
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise ImportError("half imported")

sys.meta_path.insert(0, Finder())
from kdbts_ros.node.start import main
sys.exit(main())
"""


def test_ctrl_c_while_the_node_is_imported_ends_it_quietly() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], cwd=ROOT, capture_output=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
