"""One camera a topic: images of a second one are refused, so that maps do not alternate."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped

# So long is a camera silent, seconds and its usual intervals, before another may take its place.
HOLD_SECONDS = 1.0
HOLD_INTERVALS = 3
# A resolution may change and change back; more often within this, seconds, it is two cameras.
ALTERNATION_SECONDS = 2.0
ALTERNATIONS = 3


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
