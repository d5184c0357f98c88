"""What went wrong in a callback, foreseen by nobody: said once, counted, and no end of the node."""

from __future__ import annotations

import functools
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

from kdbts_ros.errors import in_one_line
from kdbts_ros.node.reporting.status import OK, WARN, Status

# Sentences with a number in them could go on for ever; beyond so many they are only counted.
MAX_SENTENCES = 50


class Faults:
    """Keeps the account; any thread may add to it.

    Args:
        log: told every sentence the first time it is heard.
        clock: seconds that never jump.
    """

    def __init__(self, log: Callable[[str], object], clock: Callable[[], float]) -> None:
        self._log, self._clock = log, clock
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._last, self._at = "", float("-inf")

    def caught(self, where: str, error: Exception) -> None:
        """An exception ended `where`, words for the middle of a sentence: "a message on /clock"."""
        self.say(f"{where} failed: {with_place(error)}")

    def say(self, sentence: str) -> None:
        """Count a sentence, and log it if it is new."""
        with self._lock:
            new = sentence not in self._counts and len(self._counts) < MAX_SENTENCES
            self._counts[sentence if new or sentence in self._counts else "others"] += 1
            self._last, self._at = sentence, self._clock()
        if new:
            self._log(sentence)

    @property
    def count(self) -> int:
        """Of all sentences so far."""
        with self._lock:
            return sum(self._counts.values())

    def status(self, now: float, silence: float) -> Status:
        """`callbacks` of /diagnostics: a warning until `silence` s after the last fault."""
        with self._lock:
            counts, last, recent = dict(self._counts), self._last, now - self._at <= silence
        values = {sentence: str(count) for sentence, count in counts.items()}
        if not counts:
            return Status("callbacks", OK, "none failed", said=True)
        total = sum(counts.values())
        message = f"{total} failed, the last: {last}"
        return Status("callbacks", WARN if recent else OK, message, values, said=True)


def with_place(error: Exception) -> str:
    """Kind, words and place of an error nobody foresaw, for the middle of a sentence."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].name}, line {frames[-1].lineno})" if frames else ""
    return f"{in_one_line(error)}{place}"


def reports_failure(transition: Callable[..., Any]) -> Callable[..., Any]:
    """A node's transition that tells `caught` of its exception: rclpy catches it without a word."""

    @functools.wraps(transition)
    def guarded(node: Any, state: Any) -> Any:
        try:
            return transition(node, state)
        except Exception as error:
            node.caught(f"the transition {transition.__name__}", error)
            raise

    return guarded
