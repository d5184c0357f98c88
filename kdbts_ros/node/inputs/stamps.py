"""The order of image stamps: what is a repetition, what is late, and what is a bag that looped."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped

# Further back than this is a new life (bag loop, simulator reset), not a message overtaken.
JUMP_NS = 1_000_000_000
# A bag shorter than that loops too: so many late images in a row are a new life as well.
JUMP_COUNT = 5
# A clock that leaps ahead by more (a bag that is wound on) leaves poses and views behind. Far above
# the steps in which any simulator publishes /clock.
LEAP_NS = 10_000_000_000
# Clocks that are years apart do not need to be synchronised: one of them is a simulator's.
OTHER_TIME_SECONDS = 3.0e7
# So many jumps from one source within so many seconds are no loop of a recording worth the name.
JUMPS_REPEATED = 3
JUMPS_WITHIN = 10.0


@dataclass
class StampOrder:
    """Judges stamps against the newest image that went to inference.

    Compared with images that went in, not with those that came: one stamp from a far future must
    not make everything after it look late.
    """

    newest_ns: int = 0
    late_in_row: int = 0

    def jumped_back(self, stamp_ns: int) -> bool:
        """Whether this image begins a new life; then call `reset` and use it."""
        if stamp_ns <= 0 or stamp_ns >= self.newest_ns:
            self.late_in_row = 0
            return False
        self.late_in_row += 1
        return self.newest_ns - stamp_ns >= JUMP_NS or self.late_in_row >= JUMP_COUNT

    def check(self, stamp_ns: int) -> None:
        """Raise Dropped for a zero, repeated or late stamp."""
        if stamp_ns <= 0:
            kind = f"is stamped {stamp_ns / 1e9:.3f} s, before 1970" if stamp_ns else "has no stamp"
            raise Dropped(drops.ZERO_STAMP, f"image {kind}: the driver must set header.stamp")
        if stamp_ns == self.newest_ns:
            raise Dropped(drops.DUPLICATE, f"a second image of stamp {stamp_ns / 1e9:.3f}")
        if stamp_ns < self.newest_ns:
            late = (self.newest_ns - stamp_ns) / 1e9
            raise Dropped(drops.OUT_OF_ORDER, f"image is {late:.3f} s older than the one before")

    def used(self, stamp_ns: int) -> None:
        """An image of this stamp goes to inference."""
        self.newest_ns = stamp_ns

    def reset(self) -> None:
        """Forget, at activation and when time has jumped."""
        self.newest_ns = 0
        self.late_in_row = 0


def check_lead(stamp_ns: int, now_ns: int, lead_seconds: float) -> None:
    """Raise Dropped for a stamp further ahead of the clock than `lead_seconds`.

    A clock at zero says nothing: simulated time has not begun.
    """
    ahead = (stamp_ns - now_ns) / 1e9
    if now_ns <= 0 or ahead <= lead_seconds:
        return
    cure = "synchronise the clocks of camera and robot, or raise max_stamp_lead"
    if ahead > OTHER_TIME_SECONDS:
        cure = "one of them has simulated time: set use_sim_time for both, or for none"
    raise Dropped(
        drops.FUTURE_STAMP, f"image is stamped {ahead:.3f} s ahead of the node's clock: {cure}"
    )


def is_leap(before_ns: int, after_ns: int) -> bool:
    """Whether a clock went on in a leap; the first reading of a clock (from zero) is none."""
    return before_ns > 0 and after_ns - before_ns >= LEAP_NS


@dataclass
class Jumps:
    """When time jumped lately, seconds of a clock that never jumps, by the topic that told it."""

    newest: dict[str, deque[float]] = field(default_factory=dict)

    def add(self, topic: str, now: float) -> bool:
        """A jump was told; whether that is news, and not one more of many."""
        times = self.newest.setdefault(topic, deque(maxlen=JUMPS_REPEATED))
        times.append(now)
        return topic not in self.repeated(now)

    def repeated(self, now: float) -> tuple[str, ...]:
        """Topics that told jumps again and again until now."""
        return tuple(
            topic
            for topic, times in sorted(self.newest.items())
            if len(times) == JUMPS_REPEATED and now - times[0] <= JUMPS_WITHIN
        )


def in_words(seconds: float) -> str:
    """How time jumped by so many seconds."""
    return f"{abs(seconds):.3f} s {'ahead' if seconds > 0 else 'back'}"
