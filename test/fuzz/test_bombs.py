"""Small files that would take all memory are refused in a sentence before any is taken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from test.fuzz.bombs import BOMBS

ROOT = Path(__file__).resolve().parents[2]
MOST_MB = 500


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What reading each bomb cost, by its kind."""
    folder = tmp_path_factory.mktemp("bombs")
    done = subprocess.run(
        [sys.executable, "-m", "test.fuzz.bombs", str(folder)],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["kind"]: line for line in lines} | {"": {"errors": done.stderr}}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_takes_neither_memory_nor_time(told: dict[str, Any], kind: str) -> None:
    assert kind in told, told[""]["errors"]
    assert told[kind]["said"], "it was taken"
    assert "\n" not in told[kind]["said"]
    assert told[kind]["mb"] < MOST_MB
