"""Exceptions of callbacks: said once, counted, and to be seen in diagnostics."""

from __future__ import annotations

from typing import Any

import pytest

from kdbts_ros.node.reporting.faults import MAX_SENTENCES, Faults, reports_failure
from kdbts_ros.node.reporting.health import OK, WARN


class Watch:
    """A clock that stands."""

    now = 100.0


def made(said: list[str]) -> tuple[Faults, Watch]:
    watch = Watch()
    return Faults(said.append, lambda: watch.now), watch


def test_a_fault_is_said_once_and_counted_every_time() -> None:
    said: list[str] = []
    faults, _ = made(said)
    for _ in range(3):
        try:
            int("x")
        except ValueError as error:
            faults.caught("a message on /clock", error)
    (sentence,) = said
    assert sentence.startswith("a message on /clock failed: ValueError: invalid literal")
    assert "(test_a_fault_is_said_once" in sentence
    assert faults.count == 3
    faults.say("another")
    assert said == [sentence, "another"]


def test_diagnostics_warn_of_a_recent_fault_and_remember_an_old_one() -> None:
    faults, watch = made([])
    assert faults.status(100.0, 5.0).level == OK
    faults.say("it broke")
    watch.now = 101.0
    recent = faults.status(101.0, 5.0)
    assert (recent.level, recent.values) == (WARN, {"it broke": "1"})
    assert recent.said, "the log has it already"
    old = faults.status(107.0, 5.0)
    assert old.level == OK
    assert "1 failed, the last: it broke" in old.message


def test_sentences_without_end_are_counted_together() -> None:
    said: list[str] = []
    faults, _ = made(said)
    for number in range(2 * MAX_SENTENCES):
        faults.say(f"fault {number}")
    assert len(said) == MAX_SENTENCES
    assert len(faults.status(100.0, 5.0).values) == MAX_SENTENCES + 1
    assert faults.count == 2 * MAX_SENTENCES


def test_a_transition_tells_why_it_failed() -> None:
    class Node:
        heard: list[str]

        def __init__(self) -> None:
            self.heard = []

        def caught(self, where: str, error: Exception) -> None:
            self.heard.append(f"{where}: {error}")

        @reports_failure
        def on_activate(self, state: Any) -> str:
            if state == "bad":
                raise OSError("no memory")
            return "done"

    node = Node()
    assert node.on_activate("good") == "done"
    with pytest.raises(OSError, match="no memory"):
        node.on_activate("bad")
    assert node.heard == ["the transition on_activate: no memory"]
