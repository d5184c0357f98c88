"""The tree of transforms that poses are asked of, live and in recordings.

One set of rules for both (`pose_rules`, `pose_edge`); where tf2_ros is installed the node lets it
store and interpolate what these rules have taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from kdbts_ros.datasets.ros import pose_rules as rules
from kdbts_ros.datasets.ros.pose_edge import Between, Edge
from kdbts_ros.datasets.ros.pose_rules import (
    NoPose,
    Refused,
    Rules,
    Sample,
    beyond_all_maps,
    frame_name,
    read_sample,
)
from kdbts_ros.density.geometry.camera import inverse
from kdbts_ros.density.geometry.poses import Matrix

# Frames that a sentence about a missing one names.
_TOLD = 8


class Taken(NamedTuple):
    """What became of a transform that was inserted.

    kept: it is new. anew: its edge went back in time and begins anew with it; `notice` says so.
    """

    child: str
    sample: Sample
    kept: bool
    anew: bool
    notice: str


@dataclass(frozen=True)
class _Refusal:
    """A transform that was not taken."""

    frames: tuple[str, str]
    why: Refused


@dataclass
class _Walk:
    """From a frame up, along the edges that have a pose at the stamp.

    steps[i] leads from frames[i] to frames[i + 1]. fault: why the last frame's edge has none.
    loop: the frames of a circle that was walked into.
    """

    frames: list[str]
    steps: list[Between] = field(default_factory=list)
    fault: NoPose | None = None
    loop: frozenset[str] = frozenset()


class TransformTree:
    """Moving and static transforms by child frame. Stamps are ns; there is no "latest".

    Args:
        cache_seconds: how far behind the newest transform of an edge older ones are kept; None
            keeps a whole recording.
        bounds: gives the bounds of now.
    """

    def __init__(
        self, cache_seconds: float | None = 10.0, bounds: Callable[[], Rules] = Rules
    ) -> None:
        self._cache_ns = None if cache_seconds is None else int(cache_seconds * 1e9)
        self._bounds = bounds
        self._edges: dict[str, Edge] = {}
        self._refused: dict[str, _Refusal] = {}

    def insert(
        self,
        parent: str,
        child: str,
        stamp_ns: int,
        translation: Sequence[float],
        quaternion_xyzw: Sequence[float],
        *,
        static: bool,
    ) -> Taken:
        """Add the pose of `child` in `parent`.

        Raises:
            Refused: see `read_sample`; or a moving transform is stamped before 1970. Such a
                transform is not used, but remembered as the reason.
        """
        parent, child = frame_name(parent), frame_name(child)
        tx, ty, tz = map(float, translation)
        x, y, z, w = map(float, quaternion_xyzw)
        try:
            sample = read_sample(parent, child, stamp_ns, (tx, ty, tz), (x, y, z, w))
            if stamp_ns < 0 and not static:
                raise Refused(
                    rules.BAD_TRANSFORM,
                    f"transform {parent} -> {child} is stamped {stamp_ns / 1e9:.3f} s, before "
                    "1970: it is not used",
                )
        except Refused as why:
            self._refused[child] = _Refusal((parent, child), why)
            raise
        self._refused.pop(child, None)
        edge = self._edges.get(child)
        if edge is None:
            edge = self._edges[child] = Edge(child, self._cache_ns)
        added = edge.hold(sample) if static else edge.add(sample, self._bounds().max_speed)
        notice = edge.steps_back() if added.anew else ""
        return Taken(child, sample, added.kept, added.anew, notice)

    def time_jumped(self, stamp_ns: int) -> None:
        """Forget what moves unless it already belongs to the new epoch, whose time is now.

        Static transforms stay: a latched publisher does not send them again.
        """
        for child, edge in list(self._edges.items()):
            if edge.is_of(stamp_ns):
                continue
            if edge.static is None:
                del self._edges[child]
            else:
                edge.forget()
        self._refused = {k: r for k, r in self._refused.items() if k in self._edges}

    def samples(self) -> Iterator[tuple[str, Sample, bool]]:
        """Child, sample, and whether it is static, of every transform that holds."""
        for child, edge in self._edges.items():
            if edge.static is not None:
                yield child, edge.static, True
                continue
            for sample in edge.samples:
                yield child, sample, False

    def lookup(self, target: str, source: str, stamp_ns: int) -> Matrix:
        """(4,4) T_target_source at exactly that stamp, interpolated between transforms.

        An edge counts only where it has a pose at the stamp.

        Raises:
            NoPose: with the reason why there is none.
        """
        target, source = frame_name(target), frame_name(source)
        if target == source:
            return np.eye(4)
        self._check_known(target, source)
        from_target, from_source = self._walk(target, stamp_ns), self._walk(source, stamp_ns)
        common = next((f for f in from_source.frames if f in from_target.frames), None)
        if common is None:
            raise self._why_apart(from_target, from_source)
        up, down = from_source.frames.index(common), from_target.frames.index(common)
        used = {*from_source.frames[:up], *from_target.frames[:down]}
        loop = from_source.loop | from_target.loop
        if not used.isdisjoint(loop):
            names = ", ".join(f"'{frame}'" for frame in sorted(loop))
            raise NoPose(
                rules.LOOP,
                f"the transforms of {names} form a loop: some node broadcasts one the wrong way "
                "round; stop it",
            )
        T = inverse(_product(from_target.steps[:down])) @ _product(from_source.steps[:up])
        if beyond_all_maps(*T[:3, 3]):
            far = f"'{source}' is {np.abs(T[:3, 3]).max():.3g} m from '{target}'"
            raise NoPose(rules.BAD_TRANSFORM, far)
        return T

    @property
    def frames(self) -> tuple[str, ...]:
        """All frames, sorted."""
        return tuple(sorted({*self._edges, *(p for e in self._edges.values() for p in e.parents)}))

    def edge(self, frame: str) -> Edge | None:
        """The edge from a frame to its parent."""
        return self._edges.get(frame_name(frame))

    def ancestors(self, frame: str) -> list[str]:
        """The frame and its ancestors up to the root, at any time; a loop ends where it closes."""
        path = [frame_name(frame)]
        while (edge := self._edges.get(path[-1])) is not None and edge.parent not in path:
            path.append(edge.parent)
        return path

    def refusals(self) -> Iterator[str]:
        """Why transforms were refused that no good one has followed."""
        return (str(refusal.why) for refusal in self._refused.values())

    def refused_above(self, frame: str) -> str:
        """Why a frame has no parent though transforms from one came; else empty."""
        refusal = self._refused.get(frame_name(frame))
        return str(refusal.why) if refusal is not None and self.edge(frame) is None else ""

    def _walk(self, frame: str, stamp_ns: int) -> _Walk:
        walk = _Walk([frame])
        bounds = self._bounds()
        while (edge := self._edges.get(walk.frames[-1])) is not None:
            try:
                step = edge.at(stamp_ns, bounds)
            except NoPose as fault:
                walk.fault = self._refusal(walk.frames[-1], fault)
                break
            parent = step.a.parent
            if parent in walk.frames:
                walk.loop = frozenset(walk.frames[walk.frames.index(parent) :])
                break
            walk.frames.append(parent)
            walk.steps.append(step)
        return walk

    def _refusal(self, child: str, fault: NoPose) -> NoPose:
        """Where the transforms that would have helped were refused, that is the reason."""
        refusal = self._refused.get(child)
        if refusal is None or fault.reason != rules.EXTRAPOLATION:
            return fault
        return NoPose(refusal.why.reason, str(refusal.why))

    def _check_known(self, *frames: str) -> None:
        for frame in frames:
            if frame in self._edges or any(frame in e.parents for e in self._edges.values()):
                continue
            others = [*self.frames[:_TOLD], *(["..."] if len(self.frames) > _TOLD else [])]
            heard = f"received are {', '.join(others)}" if others else "none was received"
            raise self._refusal_of(frame) or NoPose(
                rules.NO_TF, f"frame '{frame}' is in no transform received so far; {heard}"
            )

    def _refusal_of(self, *frames: str) -> NoPose | None:
        for refusal in self._refused.values():
            if any(frame in refusal.frames for frame in frames):
                return NoPose(refusal.why.reason, str(refusal.why))
        return None

    def _why_apart(self, from_target: _Walk, from_source: _Walk) -> NoPose:
        """The edge without a pose on the way between two frames, or that there is no way."""
        for walk, other in ((from_source, from_target), (from_target, from_source)):
            if walk.fault and not self._above(walk.frames[-1]).isdisjoint(other.frames):
                return walk.fault
        top_target, top_source = from_target.frames[-1], from_source.frames[-1]
        if not self._above(top_target).isdisjoint(self._above(top_source)):
            fault = from_source.fault or from_target.fault
            if fault is not None:
                return fault
        return self._refusal_of(top_source, top_target) or NoPose(
            rules.DISCONNECTED,
            f"frames '{from_target.frames[0]}' and '{from_source.frames[0]}' are not in one tree "
            f"(roots '{top_target}' and '{top_source}')",
        )

    def _above(self, frame: str) -> set[str]:
        """The frame and what may lie above it at any time."""
        found, next_up = set(), [frame]
        while next_up:
            frame = next_up.pop()
            if frame not in found:
                found.add(frame)
                edge = self._edges.get(frame)
                next_up += edge.parents if edge is not None else ()
        return found


def _product(steps: list[Between]) -> Matrix:
    """T_last_first of steps upward."""
    T = np.eye(4)
    for step in steps:
        T = step.matrix() @ T
    return T
