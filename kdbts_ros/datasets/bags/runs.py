"""Recordings whose time begins anew: two runs of a simulator, or a bag that was looped."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

# Stamps overtake one another by less; the live node begins a new epoch at the same step.
JUMP_NS = 1_000_000_000
# So many stamps of each run lie within the other: one wrong stamp is no run.
SHARED = 2


def two_runs(told: Sequence[tuple[int, int]], what: str) -> str | None:
    """Why messages cannot be those of one run, in one sentence without its subject.

    Messages of both runs would be taken for those of one: the robot would stand in two places at
    once. Stamps of 0 say nothing.

    Args:
        told: stamps and log times, ns, in the order of the log.
        what: the messages, for the sentence.
    """
    stamps = [(stamp, logged) for stamp, logged in told if stamp > 0]
    starts = [k for k in range(1, len(stamps)) if stamps[k][0] < stamps[k - 1][0] - JUMP_NS]
    bounds = [0, *starts, len(stamps)]
    for (begin, start), (_, end) in pairwise(pairwise(bounds)):
        before = [stamp for stamp, _ in stamps[begin:start]]
        after = [stamp for stamp, _ in stamps[start:end]]
        if _within(before, after) >= SHARED and _within(after, before) >= SHARED:
            stamp, logged = stamps[start]
            return (
                f"holds two runs of one clock: the stamps of {what} go back from "
                f"{before[-1] / 1e9:.3f} to {stamp / 1e9:.3f} s, logged at {logged / 1e9:.3f} s; "
                "record each run by itself"
            )
    return None


def _within(some: Sequence[int], others: Sequence[int]) -> int:
    lowest, highest = min(others), max(others)
    return sum(lowest <= stamp <= highest for stamp in some)
