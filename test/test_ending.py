"""Signals in each age of a process; programs of ours from their first line to their last."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from kdbts_ros import ending

ROOT = Path(__file__).resolve().parents[1]
SIGNALS = (signal.SIGINT, signal.SIGTERM)
# What a process must not take longer than, on a machine that does nothing else; how long it waited
# for a core is told with it. Where time itself is not tested, a hang is what this is told from.
SOON, HANGS = 2.0, 30.0

if not sys.platform.startswith("linux"):
    pytest.skip("reads /proc", allow_module_level=True)

HEAD = """
import hashlib, os, signal, sys, time
from kdbts_ros import ending
ending.begin()
def told():
    print("ready", flush=True)
def work_in_c():
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""
STARTING = "told()\ntime.sleep(60)"
TIDIES = """
ending.run()
try:
    told()
    time.sleep(60)
finally:
    ending.tidy()
    print("tidied", flush=True)
    ending.over()
"""
# The exception is raised where nobody can catch it, and the process goes on.
LOST = """
ending.run()
class Destroyed:
    def __del__(self):
        told()
        time.sleep(1.0)
kept = Destroyed()
del kept
time.sleep(60)
"""
# No handler of Python's can run meanwhile.
BUSY = "ending.run()\ntold()\nwork_in_c()"
TIDYING_TAKES_LONG = "ending.run()\nending.tidy()\ntold()\nwork_in_c()"


def started(code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HEAD + code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def ended(process: subprocess.Popen[str], *signals: int) -> tuple[int, str, str, float]:
    """Exit code, output, errors, and seconds from the first signal on."""
    for number in signals:
        process.send_signal(number)
    began = time.monotonic()
    try:
        out, err = process.communicate(timeout=HANGS)
    finally:
        process.kill()
        process.wait()
    return process.returncode, out, err, time.monotonic() - began


@pytest.mark.parametrize("how", SIGNALS)
@pytest.mark.parametrize("code", [STARTING, LOST, BUSY, TIDYING_TAKES_LONG])
def test_a_signal_ends_a_process_in_any_age(code: str, how: signal.Signals) -> None:
    status, out, err, _ = ended(started(code), how)
    assert (status, out, err) == (ending.CODES[how], "", "")


@pytest.mark.parametrize("how", SIGNALS)
@pytest.mark.parametrize("times", [1, 3])
def test_a_running_process_tidies_up_once_however_often_it_is_told(
    how: signal.Signals, times: int
) -> None:
    status, out, err, _ = ended(started(TIDIES), *[how] * times)
    assert (status, out, err) == (ending.CODES[how], "tidied\n", "")


@pytest.mark.parametrize("how", SIGNALS)
def test_the_deadline_leaves_no_child_behind(how: signal.Signals) -> None:
    code = """
import subprocess
stubborn = "import signal, time\\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\\n"
stubborn += "print(flush=True)\\ntime.sleep(120)"
child = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
child.stdout.readline()
ending.run()
try:
    told()
    work_in_c()
except SystemExit:
    work_in_c()
"""
    process = started(code)
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert ended(process, how)[:3] == (ending.CODES[how], "", "")
    with pytest.raises(ProcessLookupError):
        os.kill(int(child), 0)


@pytest.mark.parametrize("how", SIGNALS)
def test_what_a_library_makes_of_an_interrupt_is_one(how: signal.Signals) -> None:
    """As compiled loops do: `SystemError: ... returned a result with an exception set`."""
    code = """
ending.run()
try:
    told()
    time.sleep(60)
except SystemExit as interrupt:
    raise SystemError("returned a result with an exception set") from interrupt
"""
    assert ended(started(code), how)[:3] == (ending.CODES[how], "", "")


@pytest.mark.parametrize("how", SIGNALS)
def test_a_command_takes_it_for_one_too(how: signal.Signals) -> None:
    """typer has a hook of its own for what nobody catches."""
    code = """
from kdbts_ros.cli import main
def works():
    try:
        told()
        time.sleep(60)
    except SystemExit as interrupt:
        raise SystemError("returned a result with an exception set") from interrupt
main.register = lambda word: main.app.command("works")(works)
sys.argv = ["kdbts", "works"]
main.run()
"""
    expected = (ending.CODES[how], "", "kdbts: interrupted\n")
    assert ended(started(code), how)[:3] == expected


def test_an_exit_with_a_code_of_its_own_keeps_it() -> None:
    """As of a command that answers Ctrl-C by saying what it saved."""
    told = SystemExit(5)
    told.__context__ = ending.Interrupted(130)
    assert ending.code_of(told) is None
    assert ending.code_of(ending.Interrupted(143)) == 143
    assert ending.code_of(KeyboardInterrupt()) == 130


def test_a_fault_stays_one() -> None:
    code = "ending.run()\ntold()\nraise SystemError('of another kind')"
    status, _, err, _ = ended(started(code))
    assert status == 1 and "SystemError: of another kind" in err


def test_one_that_is_over_keeps_its_exit_code() -> None:
    code = "ending.run()\nending.over()\ntold()\ntime.sleep(1.0)\nsys.exit(7)"
    assert ended(started(code), *SIGNALS)[:3] == (7, "", "")


def test_patience_outlasts_the_deadline() -> None:
    code = """
ending.run()
with ending.patience():
    try:
        told()
        time.sleep(60)
    except SystemExit:
        time.sleep(ending.PATIENCE + 1.0)
        print("saved", flush=True)
ending.leave(5)
"""
    assert ended(started(code), signal.SIGTERM)[:3] == (5, "saved\n", "")


def test_a_fork_does_not_speak_for_the_process() -> None:
    code = """
ending.run()
child = os.fork()
if not child:
    time.sleep(60)
    os._exit(1)
os.kill(child, signal.SIGTERM)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
told()
time.sleep(ending.PATIENCE + 0.5)
print("alive", flush=True)
"""
    process = started(code)
    out, err = process.communicate(timeout=HANGS)
    assert (process.returncode, out, err) == (0, "alive\n", "")


def test_without_begin_nothing_is_taken_over() -> None:
    before = [signal.getsignal(how) for how in SIGNALS]
    ending.run()
    ending.over()
    assert [signal.getsignal(how) for how in SIGNALS] == before
    with pytest.raises(SystemExit, match="3"):
        ending.leave(3)


# Whatever runs long, with what lets it: what they are told of is torn down at any moment.
PROGRAMS = {
    "node": ("kdbts_ros.node.start", (), {0}),
    "wait": ("kdbts_ros.replay.wait", ("/nobody",), {130, 143}),
    "info": ("kdbts_ros.cli.start", ("info", "kdbts"), {0, 130, 143}),
    "demo": ("kdbts_ros.cli.start", ("demo", "--frames", "4", "--out", "out"), {0, 130, 143}),
    "benchmark": ("kdbts_ros.cli.start", ("benchmark", "--repeats", "50"), {0, 130, 143}),
    "benchmark_node": ("kdbts_ros.cli.start", ("benchmark", "--node"), {0, 130, 143}),
    "evaluate": ("kdbts_ros.cli.start", ("evaluate", "depth", "--worlds", "50"), {0, 130, 143}),
    "warm_up": ("kdbts_ros.cli.start", ("warm-up",), {0, 130, 143}),
}


def caught(process: int) -> set[int]:
    """The signals that a process has handlers for."""
    words = Path(f"/proc/{process}/status").read_text().split("SigCgt:")[1].split()[0]
    return {n for n in range(1, 65) if int(words, 16) >> (n - 1) & 1}


def queued(process: int) -> float:
    """Seconds that the thread of a process that waited longest for a core has waited so far."""
    waited = 0
    for task in Path(f"/proc/{process}/task").glob("*/schedstat"):
        with suppress(OSError, IndexError):  # it has ended meanwhile
            waited = max(waited, int(task.read_text().split()[1]))
    return waited / 1e9


class Ended(NamedTuple):
    """Exit code, all that was written; seconds from the signal to the end, and for how many of them
    other programs had the cores."""

    code: int
    said: str
    took: float
    waited: float


def end_at(program: str, how: signal.Signals, seconds: float, folder: Path) -> Ended:
    """A program that is told to end so long after its first line."""
    module, arguments, _ = PROGRAMS[program]
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=folder,
            env=os.environ
            | {
                "PYTHONPATH": str(ROOT),
                "ROS_DOMAIN_ID": str(1 + os.getpid() % 100),
                "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
                "ROS_LOG_DIR": str(folder),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        while process.poll() is None and signal.SIGTERM not in caught(process.pid):
            time.sleep(0.002)
        time.sleep(seconds)
        process.send_signal(how)
        began, before, waited = time.monotonic(), queued(process.pid), 0.0
        while process.poll() is None and time.monotonic() < began + 60:
            waited = max(waited, queued(process.pid) - before)
            time.sleep(0.01)
        took = time.monotonic() - began
        return Ended(process.wait(1), log.read_text(), took, waited)
    finally:
        process.kill()
        process.wait()


# One moment amid the imports, one about where rclpy starts or a command begins its work.
@pytest.mark.parametrize(
    ("program", "how", "seconds"),
    [
        ("node", signal.SIGINT, 0.1),
        ("node", signal.SIGTERM, 1.5),
        ("benchmark", signal.SIGTERM, 0.5),
        ("evaluate", signal.SIGINT, 4.0),
    ],
)
def test_a_program_ends_in_silence(
    program: str, how: signal.Signals, seconds: float, tmp_path: Path
) -> None:
    if program == "node":
        pytest.importorskip("rclpy", reason="needs ROS 2")
    code, said, *_ = end_at(program, how, seconds, tmp_path)
    assert code in PROGRAMS[program][2] and "Traceback" not in said, said


@pytest.mark.nightly
@pytest.mark.parametrize("how", SIGNALS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_ends_soon_at_any_moment(
    program: str, how: signal.Signals, tmp_path: Path
) -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2")
    rng = random.Random(f"{program} {how}")
    found = []
    for moment in [*(rng.uniform(0, 3) for _ in range(8)), *(rng.uniform(3, 12) for _ in range(8))]:
        code, said, took, waited = end_at(program, how, moment, tmp_path)
        if code not in PROGRAMS[program][2] or "Traceback" in said or took > SOON:
            found.append(
                f"at {moment:.2f} s: code {code} after {took:.2f} s, of which {waited:.2f} were "
                f"spent waiting for a core; load {os.getloadavg()[0]:.1f}: {said[-800:]}"
            )
    assert not found, "\n".join(found)
