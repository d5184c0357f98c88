"""Images waiting, in the order of their stamps, for pose and calibration to arrive."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from kdbts_ros.datasets.ros.sample_depth import SampleDepth
from kdbts_ros.density.geometry.poses import Matrix
from kdbts_ros.node.inputs.camera_messages import Calibration
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped, as_dropped

T = TypeVar("T")


@dataclass(frozen=True, order=True)
class Frame:
    """An image message that has arrived. `size` is (width, height), None while still compressed.

    `samples` is shared by the images of a stream.
    """

    stamp_ns: int
    frame_id: str = field(compare=False)
    message: Any = field(compare=False)
    size: tuple[int, int] | None = field(compare=False)
    arrived: float = field(compare=False)  # seconds of a clock that never jumps
    camera: str = field(default="", compare=False)
    samples: SampleDepth = field(default_factory=SampleDepth, compare=False)


@dataclass(frozen=True)
class Needs:
    """What a frame waits for."""

    calibration: Calibration
    T_fixed_camera: Matrix
    T_fixed_base: Matrix


@dataclass
class Resolved(Generic[T]):
    """What one look through the queue gave: frames with what they waited for, and drops."""

    ready: list[tuple[Frame, T]] = field(default_factory=list)
    dropped: list[tuple[Frame, Dropped]] = field(default_factory=list)


class WaitingQueue:
    """At most `limit` frames, oldest first; the oldest goes when one too many comes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._frames: list[Frame] = []

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: Frame) -> list[tuple[Frame, Dropped]]:
        """Insert a frame and return what had to go for it, perhaps the frame itself."""
        if any(frame.stamp_ns == other.stamp_ns for other in self._frames):
            twice = f"a second image of stamp {frame.stamp_ns / 1e9:.3f}"
            return [(frame, Dropped(drops.DUPLICATE, twice))]
        insort(self._frames, frame)
        if len(self._frames) <= self._limit:
            return []
        full = f"more than {self._limit} images wait for their pose"
        return [(self._frames.pop(0), Dropped(drops.QUEUE_FULL, full))]

    def resolve(self, attempt: Callable[[Frame], T], now: float, timeout: float) -> Resolved[T]:
        """Try every frame, oldest first; keep those that may still wait.

        Args:
            attempt: gives what the frame waits for, or raises Dropped; what else it raises is a
                drop too.
            now, timeout: seconds of the clock of `Frame.arrived`.
        """
        resolved: Resolved[T] = Resolved()
        frames, self._frames = self._frames, []
        for frame in frames:
            outcome = _outcome(attempt, frame)
            if not isinstance(outcome, Dropped):
                resolved.ready.append((frame, outcome))
            elif outcome.final or now - frame.arrived >= timeout:
                resolved.dropped.append((frame, outcome))
            else:
                self._frames.append(frame)
        return resolved

    def clear(self) -> int:
        """Forget every frame; how many there were."""
        count = len(self._frames)
        self._frames = []
        return count


def _outcome(attempt: Callable[[Frame], T], frame: Frame) -> T | Dropped:
    try:
        return attempt(frame)
    except Exception as error:  # the other frames must not be lost to one
        return as_dropped(error)
