"""What happened since `configure`: counts, silences and durations, for report and diagnostics."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

from kdbts_ros.node import drops
from kdbts_ros.node.drops import Dropped

# Durations are summarised over the newest maps only, so that they tell of now.
WINDOW = 100


@dataclass
class StreamTally:
    """What one camera sent. Times are seconds of a clock that never jumps."""

    image_at: float | None = None
    calibration_at: float | None = None
    calibration_fault: str = ""
    incompatible_qos: str = ""


@dataclass
class Tally:
    """Kept by the executor thread alone. Times are seconds of a clock that never jumps."""

    since: float
    frames_in: int = 0
    maps_out: int = 0
    views_in: int = 0
    time_jumps: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    details: dict[str, str] = field(default_factory=dict)
    drop_at: dict[str, float] = field(default_factory=dict)
    failures_in_row: int = 0
    streams: dict[str, StreamTally] = field(default_factory=dict)
    transform_fault: str = ""
    transform_fault_at: float = float("-inf")
    pose_at: float | None = None
    map_at: float | None = None
    stages: dict[str, deque[float]] = field(default_factory=dict)
    # Why the network may do badly with a camera, by optical frame.
    concerns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def stream(self, camera: str) -> StreamTally:
        """The account of one camera."""
        return self.streams.setdefault(camera, StreamTally())

    def image(self, now: float, camera: str = "") -> None:
        """An image arrived."""
        self.frames_in += 1
        self.stream(camera).image_at = now

    def drop(self, drop: Dropped, now: float) -> None:
        """An image was not used."""
        self.dropped[drop.reason] += 1
        self.details[drop.reason] = drop.detail
        self.drop_at[drop.reason] = now
        if drop.reason == drops.INFERENCE_ERROR:
            self.failures_in_row += 1

    @property
    def pose_faults(self) -> int:
        """Images lost so far because their pose could not be had."""
        return sum(self.dropped[reason] for reason in drops.POSE_REASONS)

    def map(self, now: float, stages_ms: dict[str, float]) -> None:
        """A map was published."""
        self.maps_out += 1
        self.map_at = now
        self.failures_in_row = 0
        for name, value in stages_ms.items():
            self.stages.setdefault(name, deque(maxlen=WINDOW)).append(value)

    def percentiles(self) -> dict[str, tuple[float, float]]:
        """Median and 95th percentile in milliseconds by stage, over the newest maps."""
        return {
            name: (float(np.percentile(values, 50)), float(np.percentile(values, 95)))
            for name, values in self.stages.items()
        }
