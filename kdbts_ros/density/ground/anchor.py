"""What ties a network's distances to the ground: one scale and pitch by camera, filtered over time.

The plane that transforms give is the metre. See docs/ground_anchor.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.ground.plane_fit import GroundFit
from kdbts_ros.errors import UserError

Mode = Literal["auto", "off"]


class GroundUse(NamedTuple):
    """What the ground that views see is used for: to tie distances to it, and for the height band
    to follow it. What follows is not turned down as well: the band takes all of its pitch."""

    anchored: bool = True
    followed: bool = False


# What a frame's scale (log) and pitch (rad) may differ by, a second since the one before it: more
# counts as this, so that a wrong fit moves little.
_FASTEST = 0.5, float(np.radians(5.0))
# Scales are applied in steps of this share: what is kept by scale is made anew less often.
_STEP = np.log(1.005)


@dataclass(frozen=True)
class Anchor:
    """Divide distances of a view by `scale`; its ground, seen to rise by `pitch` rad, goes down."""

    scale: float = 1.0
    pitch: float = 0.0

    @property
    def R_view_seen(self) -> Array:
        """(3,3): directions as seen to directions of the view, optical frame."""
        c, s = np.cos(self.pitch), np.sin(self.pitch)
        return np.array([[1.0, 0, 0], [0, c, s], [0, -s, c]])


AS_SEEN = Anchor()


@dataclass(frozen=True)
class AnchorRules:
    """Bounds and times.

    most_scale: and least its inverse. most_pitch: rad. Times in s: `settle`, in which the filter
    follows to 1/e; `hold`, for which the last clear ground stands; `release`, in which it then
    returns to 1 by 1/e.
    """

    most_scale: float = 1.3
    most_pitch: float = float(np.radians(2.0))
    settle: float = 0.3
    hold: float = 5.0
    release: float = 10.0

    def __post_init__(self) -> None:
        times = self.settle, self.hold, self.release
        if not (self.most_scale > 1 and 0 <= self.most_pitch < 0.2 and min(times) > 0):
            raise UserError(
                "an anchor needs a most_scale above 1, a most_pitch from 0 to 0.2 rad, and times "
                f"above 0, got {self}"
            )


@dataclass(frozen=True)
class GroundAccount:
    """What a frame was anchored by.

    scale, pitch: as applied, 1 and 0 as seen; NaN where the ground was never clear. seen_scale: as
    the filter has it, without bounds.
    """

    scale: float = float("nan")
    pitch: float = float("nan")
    seen_scale: float = float("nan")

    def concern(self, rules: AnchorRules = AnchorRules()) -> str:
        """A sentence where the ground is out of bounds, or ""."""
        if not abs(np.log(self.seen_scale)) > np.log(rules.most_scale):
            return ""
        return (
            f"the ground looks {self.seen_scale:.2f} times as far as TF says: check the mounting "
            "height of the camera in TF"
        )


@dataclass
class Track:
    """The anchor of one camera over time."""

    rules: AnchorRules = field(default_factory=AnchorRules)
    _log_scale: float = 0.0
    _pitch: float = 0.0
    _last_ns: int = 0
    _clear_ns: int | None = None

    @property
    def known(self) -> bool:
        """Whether there was clear ground."""
        return self._clear_ns is not None

    @property
    def anchor(self) -> Anchor:
        """For the frame to come."""
        most = np.log(self.rules.most_scale)
        log_scale = float(np.clip(np.rint(self._log_scale / _STEP) * _STEP, -most, most))
        pitch = float(np.clip(self._pitch, -self.rules.most_pitch, self.rules.most_pitch))
        return Anchor(float(np.exp(log_scale)), pitch) if log_scale or pitch else AS_SEEN

    def anchor_for(self, use: GroundUse) -> Anchor:
        """As `anchor`, as far as the ground is used for it."""
        if not use.anchored:
            return AS_SEEN
        anchor = self.anchor
        if not use.followed or not anchor.pitch:
            return anchor
        return Anchor(anchor.scale) if anchor.scale != 1 else AS_SEEN

    def account(self, applied: Anchor) -> GroundAccount:
        """Of a frame that an anchor was applied to."""
        if not self.known:
            return GroundAccount()
        return GroundAccount(applied.scale, applied.pitch, float(np.exp(self._log_scale)))

    def add(self, fit: GroundFit | None, stamp_ns: int) -> None:
        """Take what a frame saw, None where its ground was not clear; stamps never go back."""
        seconds = max(0, stamp_ns - self._last_ns) / 1e9
        self._last_ns = stamp_ns
        if fit is not None:
            follows, most = 1.0, (np.inf, np.inf)
            if self.known:
                follows = float(1.0 - np.exp(-seconds / self.rules.settle))
                most = _FASTEST[0] * seconds, _FASTEST[1] * seconds
            new = float(np.log(fit.scale)) - self._log_scale, fit.pitch - self._pitch
            self._log_scale += follows * float(np.clip(new[0], -most[0], most[0]))
            self._pitch += follows * float(np.clip(new[1], -most[1], most[1]))
            self._clear_ns = stamp_ns
        elif self._clear_ns is not None and stamp_ns - self._clear_ns > self.rules.hold * 1e9:
            keeps = float(np.exp(-seconds / self.rules.release))
            self._log_scale *= keeps
            self._pitch *= keeps


class GroundAnchors:
    """The tracks of all cameras. One thread owns it."""

    def __init__(self, rules: AnchorRules | None = None) -> None:
        self.rules = rules or AnchorRules()
        self._tracks: dict[str, Track] = {}

    def track(self, camera: str | None) -> Track:
        """Of the camera of that name; None: one that nothing remembers."""
        if camera is None:
            return Track(self.rules)
        return self._tracks.setdefault(camera, Track(self.rules))

    def forget(self) -> None:
        """Begin anew: time has jumped, or everything changed."""
        self._tracks.clear()
