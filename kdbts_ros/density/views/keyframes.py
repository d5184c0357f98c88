"""Encoded views kept for the maps to come: which frames stay, and which of them a map uses.

Every frame is encoded once. The newest of each camera is always at hand; it stays as a **keyframe**
when it lies `min_baseline` from the camera's last keyframe or is turned by `keyframe_rotation`.
Keyframes leave when they are older than `max_age`, further than `max_baseline` from where their
camera is now, or when number or memory exceed their limits, the oldest first.

A map uses the newest view of the reference camera, then the newest view of each other camera, then
keyframes as long as they add something (`view_choice`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Array, inverse
from kdbts_ros.density.views.novelty import Novelty, Sights
from kdbts_ros.errors import UserError

if TYPE_CHECKING:
    from kdbts_ros.density.engines.encoded_view import EncodedView

# A keyframe that adds less than this, averaged over the points the reference view sees, is not
# worth its share of every query.
MIN_GAIN = 0.02
# Distances between frames of one camera below this are never a jump of its pose, whatever its
# speed: odometry is corrected by as much.
JUMP_MARGIN = 0.5


@dataclass(frozen=True)
class BufferRules:
    """Limits of the buffer: lengths in metres, times in seconds, angles in radians.

    Attributes:
        max_views: views behind one map, the newest included.
        max_keyframes: kept of each camera.
        min_baseline, max_baseline: of a keyframe to the camera's place now.
        keyframe_rotation: turn that makes a keyframe without a baseline.
        max_age: of a view, by its stamp; bounds what moving objects can spoil.
        min_overlap: map points a view must see, as a share of what the reference view sees.
        max_bytes: of all encoded views; the newest one stays in any case.
        max_speed: of the camera; a faster move between two frames is a jump of the pose.
    """

    max_views: int = 4
    max_keyframes: int = 8
    min_baseline: float = 1.0
    max_baseline: float = 10.0
    keyframe_rotation: float = 0.26
    max_age: float = 5.0
    min_overlap: float = 0.2
    max_bytes: int = 512_000_000
    max_speed: float = 40.0

    def __post_init__(self) -> None:
        if self.min_baseline >= self.max_baseline:
            raise UserError(
                f"min_baseline ({self.min_baseline:g} m) must lie below max_baseline "
                f"({self.max_baseline:g} m)"
            )


@dataclass(frozen=True, eq=False)
class KeptView:
    """An encoded view with the name of its camera and the stamp of its image."""

    view: EncodedView
    camera: str
    stamp_ns: int

    @property
    def centre(self) -> Array:
        """(3,) of the camera in the world, metres."""
        return self.view.T_world_cam[:3, 3]

    @cached_property
    def projection(self) -> Array:
        """(3,4): homogeneous image positions of points in the world."""
        return np.asarray(self.view.camera.ndc @ inverse(self.view.T_world_cam)[:3])


# How far a view can be trusted beside the reference view: 1 fully, 0 not at all (a veto).
ViewGate = Callable[[KeptView, KeptView], float]


@dataclass
class _Track:
    """What is kept of one camera."""

    newest: KeptView
    keyframes: list[KeptView] = field(default_factory=list)


class ViewBuffer:
    """The views of every camera. Poses share one world; stamps need not agree.

    Args:
        gate: `gate(reference, candidate)` weighs what a candidate adds.
    """

    def __init__(self, rules: BufferRules, gate: ViewGate | None = None) -> None:
        self.rules = rules
        self._gate = gate
        self._tracks: dict[str, _Track] = {}

    def __iter__(self) -> Iterator[KeptView]:
        for track in self._tracks.values():
            if track.newest not in track.keyframes:
                yield track.newest
            yield from track.keyframes

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def nbytes(self) -> int:
        """Memory of all kept views, bytes."""
        return sum(kept.view.nbytes for kept in self)

    def clear(self) -> None:
        """Forget every view: time or the world's frame has jumped."""
        self._tracks.clear()

    def add(self, new: KeptView) -> bool:
        """Take a camera's newest view; True if its pose jumped, and with it all others went."""
        track = self._tracks.get(new.camera)
        jumped = track is not None and self._is_jump(track.newest, new)
        if jumped:
            self.clear()
        track = self._tracks.setdefault(new.camera, _Track(new))
        track.newest = new
        if not track.keyframes or self._is_apart(track.keyframes[-1], new):
            track.keyframes.append(new)
        self._evict(new)
        return jumped

    def select(
        self, reference: str, points: npt.ArrayLike, limit: int | None = None
    ) -> list[KeptView]:
        """Views for a map, the newest of the camera `reference` first; none if it has none yet.

        Args:
            points: (N,3) in the world, spread over the map.
            limit: at most so many views, besides `max_views`.
        """
        track = self._tracks.get(reference)
        if track is None:
            return []
        count = self.rules.max_views if limit is None else min(limit, self.rules.max_views)
        chosen = [track.newest]
        if count > 1:
            self._choose(chosen, count, np.asarray(points, np.float64))
        return chosen

    def _choose(self, chosen: list[KeptView], count: int, points: Array) -> None:
        reference = chosen[0]
        others = [kept for kept in self if kept is not reference]
        weights = np.array([0.0, *(self._weight(reference, kept) for kept in others)])
        views = [reference, *others]
        sights = Sights.of([k.projection for k in views], [k.centre for k in views], points)
        shown = sights.seen.sum(1)
        enough = max(1.0, shown[0])
        weights[shown < self.rules.min_overlap * enough] = 0.0
        newest = np.array([kept is self._tracks[kept.camera].newest for kept in views])
        novelty = Novelty(sights)
        novelty.beside(0)
        for candidates, worth in ((newest, 0.0), (~newest, MIN_GAIN * enough)):
            while len(chosen) < count:
                gains = np.where(candidates, weights * novelty.gain.sum(1), 0.0)
                best = int(np.argmax(gains))
                if gains[best] <= worth:
                    break
                weights[best] = 0.0
                chosen.append(views[best])
                if len(chosen) < count:
                    novelty.beside(best)

    def _weight(self, reference: KeptView, kept: KeptView) -> float:
        """Of a candidate beside the reference; 0 if it must not be used."""
        rules = self.rules
        baseline = _distance(reference, kept)
        if abs(reference.stamp_ns - kept.stamp_ns) > rules.max_age * 1e9:
            return 0.0
        if baseline > rules.max_baseline:
            return 0.0
        if kept.camera == reference.camera and not self._is_apart(reference, kept):
            return 0.0
        return 1.0 if self._gate is None else self._gate(reference, kept)

    def _is_apart(self, a: KeptView, b: KeptView) -> bool:
        rules = self.rules
        if _distance(a, b) >= rules.min_baseline:
            return True
        return _angle(a.view.T_world_cam, b.view.T_world_cam) >= rules.keyframe_rotation

    def _is_jump(self, before: KeptView, after: KeptView) -> bool:
        seconds = abs(after.stamp_ns - before.stamp_ns) / 1e9
        return _distance(before, after) > JUMP_MARGIN + self.rules.max_speed * seconds

    def _evict(self, new: KeptView) -> None:
        rules = self.rules
        for name, track in list(self._tracks.items()):
            if new.stamp_ns - track.newest.stamp_ns > rules.max_age * 1e9:
                del self._tracks[name]
                continue
            track.keyframes = [
                kept
                for kept in track.keyframes[-rules.max_keyframes :]
                if new.stamp_ns - kept.stamp_ns <= rules.max_age * 1e9
                and _distance(kept, track.newest) <= rules.max_baseline
            ]
        while self.nbytes > rules.max_bytes and self._drop_oldest(new):
            pass

    def _drop_oldest(self, new: KeptView) -> bool:
        """Make room, keyframes before newest views; False if only the new view is left."""
        newest = [track.newest for track in self._tracks.values()]
        old = [kept for kept in self if kept not in newest]
        old = old or [kept for kept in newest if kept is not new]
        if not old:
            return False
        gone = min(old, key=lambda kept: kept.stamp_ns)
        track = self._tracks[gone.camera]
        if gone is track.newest:
            del self._tracks[gone.camera]
        else:
            track.keyframes.remove(gone)
        return True


def _distance(a: KeptView, b: KeptView) -> float:
    return float(np.linalg.norm(a.centre - b.centre))


def _angle(T_a: Array, T_b: Array) -> float:
    """Angle between two orientations, rad."""
    cosine = (np.trace(T_a[:3, :3].T @ T_b[:3, :3]) - 1) / 2
    return float(np.arccos(np.clip(cosine, -1.0, 1.0)))
