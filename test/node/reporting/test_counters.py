"""What happened is told once, and as one thing where it happens again and again."""

from __future__ import annotations

from kdbts_ros.node.reporting.counters import JUMPS_REPEATED, JUMPS_WITHIN, Jumps


def test_jumps_are_said_one_by_one_until_they_are_many() -> None:
    jumps = Jumps()
    said = [jumps.add("/clock", at) for at in (0.0, 1.0, 2.0, 3.0)]
    assert said == [True] * (JUMPS_REPEATED - 1) + [False, False]
    assert jumps.repeated(3.0) == ("/clock",)
    assert jumps.add("/image", 3.0), "another topic's jumps are its own"
    later = 3.0 + JUMPS_WITHIN
    assert jumps.repeated(later) == ()
    assert jumps.add("/clock", later + 1.0)
