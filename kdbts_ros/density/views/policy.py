"""How many views the next map may use, by mode, and why it uses only one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.views.keyframes import BufferRules, KeptView, ViewBuffer, ViewGate

Mode = Literal["kdbts", "mvbts", "auto"]
MODES: tuple[Mode, ...] = ("kdbts", "mvbts", "auto")
# So many frames with good poses in a row, and auto trusts the poses of several views again.
RECOVERY_FRAMES = 5


@dataclass(frozen=True)
class ViewAccount:
    """Which views a map used: "kdbts" (one) or "mvbts" (several), and why one where more may be.

    kept, kept_bytes: views in the buffer and their memory; pose_jumps: times it was cleared because
    a camera moved faster than it can.
    """

    mode: str = "kdbts"
    note: str = ""
    used: int = 1
    kept: int = 0
    kept_bytes: int = 0
    pose_jumps: int = 0


@dataclass
class ViewUse:
    """Which views besides the newest a map uses: the buffer, and the trust in its poses.

    `auto` uses one view until others add something, and again for `RECOVERY_FRAMES` frames after
    poses failed: views fused under wrong poses are worse than one view. `mvbts` trusts them.
    """

    mode: Mode
    rules: BufferRules
    gate: ViewGate | None = None
    buffer: ViewBuffer = field(init=False)
    pose_jumps: int = 0
    _faults: int = 0
    _good_in_row: int = RECOVERY_FRAMES

    def __post_init__(self) -> None:
        self.buffer = ViewBuffer(self.rules, self.gate)

    def update(self, rules: BufferRules) -> None:
        """Take new limits; views beyond them go with the next frame."""
        self.rules = self.buffer.rules = rules

    def clear(self) -> None:
        """Forget every view."""
        self.buffer.clear()

    def add(self, kept: KeptView, pose_faults: int = 0) -> None:
        """Take a camera's newest view; `pose_faults` as in `settings.FrameStamp`."""
        jumped = self.buffer.add(kept)
        self.pose_jumps += int(jumped)
        failed = jumped or pose_faults > self._faults
        self._faults = pose_faults
        self._good_in_row = 0 if failed else self._good_in_row + 1

    def choose(self, camera: str, points: Array) -> tuple[list[KeptView], ViewAccount]:
        """Views for a map around `points` (N,3), the newest of `camera` first.

        The camera must have been added before.
        """
        trusted = self.mode == "mvbts" or self._good_in_row >= RECOVERY_FRAMES
        chosen = self.buffer.select(camera, points, limit=None if trusted else 1)
        note = ""
        if not trusted:
            note = f"poses failed {self._good_in_row} frames ago"
        elif len(chosen) == 1:
            note = "no other view adds enough" if self.rules.max_views > 1 else "max_views is 1"
        account = ViewAccount(
            "mvbts" if len(chosen) > 1 else "kdbts",
            note,
            len(chosen),
            len(self.buffer),
            self.buffer.nbytes,
            self.pose_jumps,
        )
        return chosen, account
