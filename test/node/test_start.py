"""The first seconds of a program, when there is no ROS to end yet: Ctrl-C, and what is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The signal comes amid the import, and the import makes an error of its own of the exception.
INTERRUPTED = """
import importlib, signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == sys.argv[2]:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise ImportError("half imported")

sys.meta_path.insert(0, Finder())
sys.exit(importlib.import_module(sys.argv[1]).main())
"""


@pytest.mark.parametrize(
    ("program", "amid", "code"),
    # A wait that was interrupted must not look like a node that is active.
    [
        ("kdbts_ros.node.start", "kdbts_ros.node.kdbts_node", 0),
        ("kdbts_ros.replay.wait", "kdbts_ros.replay.readiness", 130),
    ],
)
def test_ctrl_c_amid_the_imports_ends_a_program_quietly(program: str, amid: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, program, amid],
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")


# Ubuntu 24.04 has pydantic 1; what it has of what is asked for.
OLD_PYDANTIC = """
import sys, types
sys.modules["pydantic"] = old = types.ModuleType("pydantic")
old.BaseModel, old.Field = object, lambda **_: None
from kdbts_ros.node.start import main
sys.exit(main())
"""


def test_the_node_names_the_version_of_pydantic_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OLD_PYDANTIC],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("kdbts_node: ") and done.stderr.count("\n") == 1
    assert "pydantic 2" in done.stderr and "docs/install.md" in done.stderr
