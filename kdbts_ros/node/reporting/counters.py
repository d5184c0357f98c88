"""What happened since `configure`: counts, silences and durations, for report and diagnostics."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped

# Durations are summarised over the newest maps only, so that they tell of now.
WINDOW = 100
NEVER = float("-inf")
# So many jumps from one source within so many seconds are no loop of a recording worth the name.
JUMPS_REPEATED = 3
JUMPS_WITHIN = 10.0
# What inference finds out about a message, before the network sees it.
_OF_THE_IMAGE = frozenset({drops.BAD_IMAGE, drops.CAMERA_INFO_MISMATCH})


@dataclass
class Losses:
    """Images that were not used, by reason. Times are seconds of a clock that never jumps."""

    dropped: Counter[str] = field(default_factory=Counter)
    details: dict[str, str] = field(default_factory=dict)
    drop_at: dict[str, float] = field(default_factory=dict)

    def add(self, drop: Dropped, now: float) -> None:
        """One more."""
        self.dropped[drop.reason] += 1
        self.details[drop.reason] = drop.detail
        self.drop_at[drop.reason] = now

    def newest(self, since: float) -> str:
        """The newest loss since then in words, but "superseded" only where it is the only one."""
        recent = [reason for reason, at in self.drop_at.items() if at >= since]
        if not recent:
            return ""
        telling = [reason for reason in recent if reason != drops.SUPERSEDED] or recent
        return self.sentence(max(telling, key=self.drop_at.__getitem__))

    def recent(self, reasons: Iterable[str], since: float) -> tuple[str, ...]:
        """Those of the reasons for which an image was lost since then, the newest first."""
        found = [r for r in reasons if self.drop_at.get(r, NEVER) >= since]
        return tuple(sorted(found, key=lambda reason: -self.drop_at[reason]))

    def sentence(self, reason: str) -> str:
        """The newest loss for a reason, in words."""
        return f"{reason}: {self.details[reason]}"


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


@dataclass
class StreamCounters:
    """What one camera sent. Times are seconds of a clock that never jumps.

    `good_at`: when an image was last found usable, with a calibration; `pose_at`: and with a pose.
    `undecoded_since`: since when every image that inference looked at was none.
    concerns: why the network may do badly with the camera, and the frame that was judged.
    """

    image_at: float | None = None
    frames_in: int = 0
    calibration_at: float | None = None
    calibration_fault: str = ""
    incompatible_qos: str = ""
    good_at: float | None = None
    pose_at: float | None = None
    undecoded_since: float | None = None
    failures_in_row: int = 0
    losses: Losses = field(default_factory=Losses)
    concerns: tuple[str, ...] = ()
    frame_id: str = ""


@dataclass
class Debts:
    """What the inference thread owes. Times are seconds of a clock that never jumps.

    Only an answer ends a debt: images that come meanwhile do not make it younger.
    `jobs`: that are under way. `answer_since`: when it last answered, or was given the first job
    after; None where it owes nothing. `map_since`: when it got the first job, after the last map,
    that asks for one.
    """

    jobs: int = 0
    answer_since: float | None = None
    map_since: float | None = None

    def asked(self, now: float, *, for_a_map: bool, instead: bool) -> None:
        """A job was handed over, perhaps instead of one that had not begun."""
        self.jobs += not instead
        if self.answer_since is None:
            self.answer_since = now
        if for_a_map and self.map_since is None:
            self.map_since = now

    def answered(self, now: float, *, with_a_map: bool) -> None:
        """The inference thread is done with a job."""
        self.jobs -= 1
        self.answer_since = now if self.jobs else None
        if with_a_map:
            self.map_since = None

    def taken_back(self, count: int) -> None:
        """So many jobs will not begin; their epoch has ended, and with it the want of a map."""
        self.jobs -= count
        self.map_since = None
        if not self.jobs:
            self.answer_since = None

    def answer_overdue(self, now: float) -> float:
        """For how long there was no answer, seconds."""
        return 0.0 if self.answer_since is None else now - self.answer_since

    def map_overdue(self, now: float) -> float:
        """For how long there was no map though one was asked for, seconds."""
        return 0.0 if self.map_since is None else now - self.map_since


@dataclass
class Counters:
    """Kept by the executor thread alone. Times are seconds of a clock that never jumps."""

    since: float
    frames_in: int = 0
    maps_out: int = 0
    views_in: int = 0
    time_jumps: int = 0
    jumps: Jumps = field(default_factory=Jumps)
    losses: Losses = field(default_factory=Losses)
    streams: dict[str, StreamCounters] = field(default_factory=dict)
    transform_fault: str = ""
    transform_fault_at: float = NEVER
    pose_at: float | None = None
    map_at: float | None = None
    debts: Debts = field(default_factory=Debts)
    stages: dict[str, deque[float]] = field(default_factory=dict)

    def stream(self, camera: str) -> StreamCounters:
        """The account of one camera."""
        return self.streams.setdefault(camera, StreamCounters())

    def image(self, now: float, camera: str = "") -> None:
        """An image arrived."""
        self.frames_in += 1
        account = self.stream(camera)
        account.frames_in += 1
        account.image_at = now

    def posed(self, now: float, camera: str = "") -> None:
        """An image has everything it needs."""
        self.pose_at = self.stream(camera).pose_at = now

    def drop(self, drop: Dropped, now: float, camera: str = "") -> None:
        """An image of a camera was not used."""
        account = self.stream(camera)
        self.losses.add(drop, now)
        account.losses.add(drop, now)
        if drop.reason == drops.INFERENCE_ERROR:
            account.failures_in_row += 1

    def refused(self, drop: Dropped, now: float, camera: str = "") -> None:
        """The inference thread could not use an image of a camera."""
        account = self.stream(camera)
        if drop.reason not in _OF_THE_IMAGE:
            account.undecoded_since = None
        elif account.undecoded_since is None:
            account.undecoded_since = now
        self.drop(drop, now, camera)

    @property
    def dropped(self) -> Counter[str]:
        """Images of all cameras that were not used, by reason."""
        return self.losses.dropped

    @property
    def pose_faults(self) -> int:
        """Images lost so far because their pose could not be had."""
        return sum(self.dropped[reason] for reason in drops.POSE_REASONS)

    def judged(self, camera: str, frame_id: str, concerns: tuple[str, ...]) -> None:
        """An image of a camera went through the network, which may do badly with it."""
        account = self.stream(camera)
        account.frame_id, account.concerns = frame_id, concerns
        account.failures_in_row = 0
        account.undecoded_since = None

    def map(self, now: float, stages_ms: dict[str, float]) -> None:
        """A map was published."""
        self.maps_out += 1
        self.map_at = now
        for name, value in stages_ms.items():
            self.stages.setdefault(name, deque(maxlen=WINDOW)).append(value)

    def percentiles(self) -> dict[str, tuple[float, float]]:
        """Median and 95th percentile in milliseconds by stage, over the newest maps."""
        return {
            name: (float(np.percentile(values, 50)), float(np.percentile(values, 95)))
            for name, values in self.stages.items()
        }
