"""Ubuntu 24.04 has pydantic 1, and the rest of `kdbts` works with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What the code asks of version 2 and finds nothing of in version 1.
OLD = (
    "class BaseModel: ...\nclass ValidationError(Exception): ...\ndef Field(*args, **kwargs): ...\n"
)


def test_training_names_the_version_it_needs(tmp_path: Path) -> None:
    (tmp_path / "pydantic.py").write_text(OLD)
    (tmp_path / "run.yaml").write_text("name: x\n")
    done = subprocess.run(
        [sys.executable, "-m", "kdbts_ros.cli.main", "train", str(tmp_path / "run.yaml")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    (sentence,) = done.stderr.strip().splitlines()
    assert "pydantic 2" in sentence and "docs/install.md" in sentence
