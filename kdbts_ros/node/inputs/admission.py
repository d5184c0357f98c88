"""Which images are taken: those of one camera, in the order of their stamps, of the time of now.

Stamps tell what is a repetition, what is late, and what is a bag that looped. A second camera on
the topic is refused, so that maps do not alternate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped

# Further back than this is a new epoch (bag loop, simulator reset), not a message overtaken.
JUMP_NS = 1_000_000_000
# A bag shorter than that loops too: so many late images in a row are a new epoch as well.
JUMP_COUNT = 5
# A clock that leaps ahead by more (a bag that is wound on) leaves poses and views behind. Far above
# the steps in which any simulator publishes /clock.
LEAP_NS = 10_000_000_000
# Clocks that are years apart do not need to be synchronised: one of them is a simulator's.
OTHER_TIME_SECONDS = 3.0e7
# So long is a camera silent, seconds and its usual intervals, before another may take its place.
HOLD_SECONDS = 1.0
HOLD_INTERVALS = 3
# A resolution may change and change back; more often within this, seconds, it is two cameras.
ALTERNATION_SECONDS = 2.0
ALTERNATIONS = 3


@dataclass
class StampOrder:
    """Judges stamps against the newest image that went to inference.

    Compared with images that went in, not with those that came: one stamp from a far future must
    not make everything after it look late.
    """

    newest_ns: int = 0
    late_in_row: int = 0

    def jumped_back(self, stamp_ns: int) -> bool:
        """Whether this image begins a new epoch; then call `reset` and use it."""
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


def in_words(seconds: float) -> str:
    """How time jumped by so many seconds."""
    return f"{abs(seconds):.3f} s {'ahead' if seconds > 0 else 'back'}"


@dataclass(frozen=True)
class Sender:
    """Where an image comes from.

    `publisher` is its number in the middleware, empty where that is not told; `size` is (width,
    height), None while compressed.
    """

    publisher: str
    frame_id: str
    size: tuple[int, int] | None


class OneCamera:
    """Holds a topic to the first camera heard on it, as long as that is heard.

    A camera is told by its publisher and the frame of its images, and by their size as well once
    sizes have gone back and forth: one change of resolution is a change, not another camera.

    Args:
        topic: for messages.
        is_there: whether the publisher of a number still exists; then its place is kept a while.
    """

    def __init__(self, topic: str, is_there: Callable[[str], bool]) -> None:
        self._topic, self._is_there = topic, is_there
        self._held: Sender | None = None
        self._heard_at = 0.0
        self._interval = 0.0
        self._sizes_count = False
        self._changes: deque[tuple[float, Sender]] = deque(maxlen=ALTERNATIONS)

    def check(self, sender: Sender, now: float) -> bool:
        """Whether an image of `now`, seconds of a clock that never jumps, begins another camera.

        Raises:
            Dropped: other_camera, while the first one is still heard.
        """
        if self._held is None:
            self._hold(sender, now)
            return False
        if not self._sizes_count and replace(sender, size=self._held.size) == self._held:
            self._resize(sender, self._held, now)
        if sender == self._held:
            self._interval, self._heard_at = now - self._heard_at, now
            return False
        if self._gone(self._held, now):
            self._hold(sender, now)
            return True
        raise Dropped(drops.OTHER_CAMERA, self._sentence(sender, self._held))

    def _hold(self, sender: Sender, now: float) -> None:
        self._held, self._heard_at, self._interval = sender, now, 0.0
        self._sizes_count = False
        self._changes.clear()

    def _resize(self, sender: Sender, held: Sender, now: float) -> None:
        """Take another size of the camera, unless sizes alternate: the first one then holds."""
        if sender.size == held.size:
            return
        self._held = sender
        self._changes.append((now, held))
        began, first = self._changes[0]
        if len(self._changes) == ALTERNATIONS and now - began <= ALTERNATION_SECONDS:
            self._held, self._sizes_count = first, True

    def _gone(self, held: Sender, now: float) -> bool:
        patience = max(HOLD_SECONDS, HOLD_INTERVALS * self._interval)
        return now - self._heard_at > patience or not self._is_there(held.publisher)

    def _sentence(self, sender: Sender, held: Sender) -> str:
        if (sender.frame_id, sender.size) == (held.frame_id, held.size):
            differs = "of a second publisher"
        else:
            differs = f"of {_words(sender)}, while those of {_words(held)} are used"
        return f"image {differs}: give each camera on {self._topic} a topic of its own"


def _words(sender: Sender) -> str:
    size = f" {sender.size[0]}x{sender.size[1]}" if sender.size else ""
    return f"frame '{sender.frame_id}'{size}"
