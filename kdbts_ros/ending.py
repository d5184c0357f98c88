"""How a process of ours ends at SIGINT and SIGTERM: in silence, soon, with a code that shells know.

A process has three ages, and one handler for all of them, which `begin` installs before anything
that takes time is imported:

starting  nothing has been begun: it exits at once. Raising would not do: what is being imported may
          catch an exception, or make one of its own of it.
running   the exception `Interrupted` lets it tidy up. It may be lost in a destructor or a callback
          of a compiled library, or find the process in a loop of C++: a thread that waits for the
          same signal ends its children and exits when `PATIENCE` has passed. Or a compiled library
          makes an exception of its own of it, which then ends the process as it would have.
over      nobody waits for anything any more: signals change nothing.

Before `begin`, while Python itself starts, the system's own rules hold.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Literal, NoReturn

# What a shell reports of a program that such a signal has ended.
CODES: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143}
# A robot's launch file expects its nodes to be gone within two seconds.
PATIENCE = 1.5
# How long a process that exits at that deadline waits for its killed children, s.
_GRIEF = 0.3


class Interrupted(SystemExit):
    """Raised once in the main thread of a `running` process; `code` is what it is to exit with.

    A SystemExit: whoever lets it pass ends without a traceback.
    """


@dataclass
class _Process:
    """The one there is. `codes` is empty until `begin`: then signals are as Python has them."""

    age: Literal["starting", "running", "over"] = "starting"
    codes: dict[int, int] = field(default_factory=dict)
    asked: bool = False
    patient: bool = False

    def handle(self, number: int, _frame: FrameType | None) -> None:
        if self.age == "starting":
            os._exit(self.codes[number])
        # A second one, as launch files send it, must not turn the way out into a traceback.
        if self.age == "running" and not self.asked:
            self.asked = True
            raise Interrupted(self.codes[number])


_process = _Process()


def begin(code: int | None = None) -> None:
    """Take SIGINT and SIGTERM over; a second call changes nothing.

    code: to exit with at either; by default 130 and 143. A node that is told to end has succeeded.
    """
    if _process.codes:
        return
    _process.codes = {n: c if code is None else code for n, c in CODES.items()}
    for number in CODES:
        signal.signal(number, _process.handle)


def run() -> None:
    """From here on there is something to tidy up; without `begin` this changes nothing."""
    if not _process.codes or _process.age != "starting":
        return
    _process.age = "running"
    sys.unraisablehook, sys.excepthook = _unraisable, _uncaught
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    # A signal that finds a child before it has handlers of its own would be taken for the parent's.
    os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_forked)
    threading.Thread(target=_exit_in_time, args=(heard,), name="ending", daemon=True).start()


def tidy() -> None:
    """The process tidies up: no signal is to disturb it, though `PATIENCE` holds."""
    _process.age = "over"


def over() -> None:
    """All is tidy: signals find nothing to end until the interpreter is gone."""
    tidy()
    if _process.codes:
        for number in CODES:
            signal.signal(number, signal.SIG_IGN)


def leave(code: int) -> NoReturn:
    """Exit with nothing left to do: an interpreter full of libraries takes seconds to end well."""
    if not _process.codes:
        raise SystemExit(code)
    over()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


@contextmanager
def patience() -> Iterator[None]:
    """Within, nothing exits by itself: for work whose state takes longer to save."""
    _process.patient = True
    try:
        yield
    finally:
        _process.patient = False


def _exit_in_time(heard: int) -> None:
    """In a thread of its own: let no signal of `CODES` wait for long."""
    while numbers := os.read(heard, 1):
        if numbers[0] not in _process.codes:
            continue
        end = time.monotonic() + PATIENCE
        while not _process.patient:
            if time.monotonic() > end:
                _end_children()
                os._exit(_process.codes[numbers[0]])
            time.sleep(0.02)


def _end_children() -> None:
    """Kill and reap them; those of `tether` would end a moment after this process and be seen."""
    running: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        # A thread may end while it is looked at; other systems than Linux tell of no children.
        with suppress(OSError):
            running.update(int(child) for child in task.read_text().split())
    for child in running:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    end = time.monotonic() + _GRIEF
    while running and time.monotonic() < end:
        running = {child for child in running if not _reaped(child)}
        time.sleep(0.002)


def _reaped(child: int) -> bool:
    try:
        return os.waitpid(child, os.WNOHANG)[0] == child
    except ChildProcessError:
        # Another thread of this process has waited for it.
        return True


def _block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, CODES)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, CODES)


def _forked() -> None:
    """A copy of the process must not speak for it: its signals are as Python has them."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _unblock()


def code_of(error: BaseException) -> int | None:
    """The exit code of the interrupt that an exception came of, whatever a library in between has
    made of it; None: it came of something else, or is an exit with a code of its own."""
    if isinstance(error, SystemExit) and not isinstance(error, Interrupted):
        return None
    came_of: BaseException | None = error
    while came_of is not None:
        if isinstance(came_of, Interrupted) and isinstance(came_of.code, int):
            return came_of.code
        if isinstance(came_of, KeyboardInterrupt):
            return CODES[signal.SIGINT]
        hidden = came_of.__suppress_context__
        came_of = came_of.__cause__ or (None if hidden else came_of.__context__)
    return None


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    code = code_of(error)
    if code is not None:
        leave(code)
    sys.__excepthook__(kind, error, trace)


def _unraisable(told: sys.UnraisableHookArgs) -> None:
    """An interrupt that got lost in a destructor is nothing to tell of; the process ends anyway."""
    if not isinstance(told.exc_value, Interrupted):
        sys.__unraisablehook__(told)
