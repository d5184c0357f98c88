"""Whenever and however a command with a child process ends, the child ends as well."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kdbts_ros import tether

if not sys.platform.startswith("linux"):
    pytest.skip("the kernel of Linux ends orphans", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
# Ends by none of the signals that a parent sends before it kills.
STUBBORN = """
import pathlib, signal, sys, time
for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(how, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(120)
"""
# As `kdbts demo` and `kdbts benchmark --node` hold theirs, with and without a handler.
PARENT = """
import signal, sys, time
from pathlib import Path
# Whatever started the tests may have them ignore Ctrl-C, and their children with them.
signal.signal(signal.SIGINT, signal.default_int_handler)
from kdbts_ros.demo import children, interrupt
folder = Path(sys.argv[1])
children._PATIENCE = (0.5, 0.5)
if sys.argv[2] == "listens":
    interrupt.listen()
with children.Child("stubborn_child", [str(folder / "ready")], folder / "log"):
    while not (folder / "stop").exists():
        time.sleep(0.02)
    (folder / "stopping").touch()
"""


def alive(words: str) -> list[int]:
    """Processes other than this one whose command line holds these words."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            # A process that has ended and waits to be reaped has no command line.
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words in line:
            found.append(int(folder.name))
    return found


def until(condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true within half a minute."""
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "stubborn_child.py").write_text(STUBBORN)
    yield tmp_path
    for number in alive(str(tmp_path)):
        os.kill(number, signal.SIGKILL)


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join([str(ROOT), str(folder)])
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), *arguments],
        env=os.environ | {"PYTHONPATH": paths},
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("handler", ["listens", "plain"])
@pytest.mark.parametrize("moment", ["forked", "running", "stopping"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_child_outlives_its_command(
    folder: Path, how: signal.Signals, moment: str, handler: str
) -> None:
    parent = start(folder, handler)
    child = f"stubborn_child {folder}"
    try:
        assert until(lambda: bool(alive(child)))
        if moment != "forked":
            assert until((folder / "ready").exists)
        if moment == "stopping":
            (folder / "stop").touch()
            assert until((folder / "stopping").exists)
        parent.send_signal(how)
        parent.wait(30)
    finally:
        parent.kill()
        parent.wait()
    assert until(lambda: not alive(child)), f"{alive(child)} lives on"


def test_a_child_whose_parent_ended_before_it_was_tied_ends() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    words = tether.command("this", [])
    words[words.index(str(os.getpid()))] = str(ended.pid)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1 and done.stdout == b""


def test_a_tied_module_runs_as_its_own_main(tmp_path: Path) -> None:
    (tmp_path / "plain_module.py").write_text(
        "import sys\nif __name__ == '__main__':\n    print(sys.argv[1:])\n    sys.exit(7)\n"
    )
    done = subprocess.run(
        tether.command("plain_module", ["a", "--b"]),
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "['a', '--b']\n"), done.stderr


def test_whatever_starts_processes_ties_them() -> None:
    starters = [
        path
        for path in sorted((ROOT / "kdbts_ros").rglob("*.py"))
        # `subprocess.run` waits for what it started, and ends it when its time is up.
        if re.search(r"\bPopen\(|^\s*(import|from) multiprocessing\b", path.read_text(), re.M)
    ]
    assert {path.name for path in starters} >= {"children.py", "pool.py", "supply.py"}
    untied = [path.name for path in starters if "tether." not in path.read_text()]
    assert untied == []
