"""Processes end with the block that started them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kdbts_ros.demo.children import Child

STUBBORN = """
import signal, time
for how in (signal.SIGINT, signal.SIGTERM):
    signal.signal(how, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> Child:
    (tmp_path / "child_module.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Child("child_module", [], tmp_path / "log")


def wait_for_words(child: Child, words: str) -> None:
    end = time.monotonic() + 30
    while words not in child.last_words() and time.monotonic() < end:
        time.sleep(0.02)
    assert words in child.last_words()


def test_a_child_ends_even_when_the_block_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = start(tmp_path, monkeypatch, "import time; print('ready', flush=True); time.sleep(60)")

    def interrupted() -> None:
        with child:
            wait_for_words(child, "ready")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert child.exit_code is not None


def test_a_child_that_does_not_listen_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdbts_ros.demo.children._PATIENCE", (0.1, 0.1))
    with start(tmp_path, monkeypatch, STUBBORN) as child:
        wait_for_words(child, "ready")
    assert child.exit_code == -9


def test_the_last_words_are_the_end_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start(tmp_path, monkeypatch, "for i in range(20): print('line', i)") as child:
        wait_for_words(child, "line 19")
        assert child.last_words(2) == "line 18\nline 19"
