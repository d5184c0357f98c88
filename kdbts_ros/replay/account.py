"""What the node says became of its images, from its diagnostics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus


@dataclass
class Account:
    """Counts of all cameras since `configure`. `reports`: how many messages were read."""

    frames_in: int = 0
    maps_out: int = 0
    views_in: int = 0
    drops: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    reports: int = 0

    @property
    def open(self) -> int:
        """Images that are neither a map nor a view nor dropped; less than 0: counted twice."""
        return self.frames_in - self.maps_out - self.views_in - sum(self.drops.values())

    @property
    def settled(self) -> bool:
        """Every image became a map or a view, or was dropped."""
        return self.open == 0

    def read(self, message: Any) -> None:
        """Take a DiagnosticArray of the node."""
        faults, frames_in, inputs = [], 0, 0
        for status in message.status:
            values = {entry.key: entry.value for entry in status.values}
            if "frames in" in values:
                # One status for each camera.
                frames_in, inputs = frames_in + int(values["frames in"]), inputs + 1
            self.maps_out = int(values.get("maps out", self.maps_out))
            self.views_in = int(values.get("views in", self.views_in))
            for key, value in values.items():
                what, _, reason = key.partition(", ")
                if what == "dropped":
                    self.drops[reason] = int(value)
            if status.level == DiagnosticStatus.ERROR:
                faults.append(status.message)
        if inputs:
            self.frames_in = frames_in
        self.drops = +self.drops
        self.faults = faults
        self.reports += 1
