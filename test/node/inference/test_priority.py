"""Threads that compute maps make way, and nobody else does."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from kdbts_ros.node.inference.priority import make_way

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="niceness by thread")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def in_a_thread(steps: int) -> list[int]:
    """What `make_way` says there, how nice that thread is then, and one that it starts."""
    found: list[int] = []

    def compute() -> None:
        found.append(make_way(steps))
        found.append(niceness())
        child = threading.Thread(target=lambda: found.append(niceness()))
        child.start()
        child.join()

    thread = threading.Thread(target=compute)
    thread.start()
    thread.join()
    return found


def test_a_thread_makes_way_with_those_it_starts_and_no_other_does() -> None:
    before = niceness()
    nicer = min(19, before + 3)
    assert in_a_thread(3) == [nicer] * 3 and niceness() == before


def test_there_is_a_nicest() -> None:
    assert in_a_thread(19) == [19] * 3


def test_who_wants_none_of_it_is_left_alone() -> None:
    assert in_a_thread(0) == [0, niceness(), niceness()]
