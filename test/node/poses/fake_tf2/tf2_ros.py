"""What we use of tf2_ros, with its refusals, for machines without it.

Put this folder on PYTHONPATH and the node takes it for the genuine one. It follows the behaviour of
tf2's BufferCore: what it ignores (loudly there, in `ignored` here), what it raises, what it clears.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.srv import GetState
from rclpy.clock import Clock, JumpThreshold
from rclpy.duration import Duration
from rclpy.task import Future
from scipy.spatial.transform import Rotation, Slerp

CACHE_NS = 10_000_000_000
MAX_DEPTH = 1000


class TransformException(Exception):
    """Base of what lookups raise."""


class LookupException(TransformException):
    """A frame is unknown, or the tree has a loop."""


class ConnectivityException(TransformException):
    """The frames are in two trees."""


class ExtrapolationException(TransformException):
    """No data at the stamp; only the prose tells on which side."""


class InvalidArgumentException(TransformException):
    """A frame's name is empty or begins with a slash."""


class TimeoutException(TransformException):
    """Never raised here."""


class _Stored(NamedTuple):
    stamp_ns: int
    parent: str
    t: tuple[float, float, float]
    q: tuple[float, float, float, float]


class _Cache:
    """Newest first, as in tf2; a static one holds a single transform."""

    def __init__(self, static: bool) -> None:
        self.static = static
        self.stored: list[_Stored] = []

    def insert(self, new: _Stored) -> bool:
        if self.static:
            self.stored = [new]
            return True
        latest = self.stored[0].stamp_ns if self.stored else 0
        while self.stored and self.stored[-1].stamp_ns + CACHE_NS < latest:
            self.stored.pop()
        if self.stored and new.stamp_ns < latest - CACHE_NS:
            return False
        if new not in self.stored:
            at = next((i for i, s in enumerate(self.stored) if s.stamp_ns <= new.stamp_ns), None)
            self.stored.insert(len(self.stored) if at is None else at, new)
        return True

    def at(self, stamp_ns: int) -> _Stored:
        stored = self.stored
        if self.static:
            return stored[0]
        if not stored:
            raise ExtrapolationException(_asked(stamp_ns) + ", but only time 0 is in the buffer")
        for one in (stored[0], stored[-1]):
            if one.stamp_ns == stamp_ns:
                return one
        if len(stored) == 1:
            only = f", but only time {stored[0].stamp_ns / 1e9:.6f} is in the buffer"
            raise ExtrapolationException(_asked(stamp_ns) + only)
        if stamp_ns > stored[0].stamp_ns:
            raise ExtrapolationException(_asked(stamp_ns) + " into the future")
        if stamp_ns < stored[-1].stamp_ns:
            raise ExtrapolationException(_asked(stamp_ns) + " into the past")
        at = next(i for i, s in enumerate(stored) if s.stamp_ns <= stamp_ns)
        return _interpolated(stored[at], stored[at - 1], stamp_ns)


def _asked(stamp_ns: int) -> str:
    return f"Lookup would require extrapolation at time {stamp_ns / 1e9:.6f}"


def _interpolated(a: _Stored, b: _Stored, stamp_ns: int) -> _Stored:
    if a.parent != b.parent or a.stamp_ns == stamp_ns:
        return a
    share = (stamp_ns - a.stamp_ns) / (b.stamp_ns - a.stamp_ns)
    t = tuple(p + share * (q - p) for p, q in zip(a.t, b.t, strict=True))
    q = Slerp([0, 1], Rotation.from_quat([a.q, b.q]))(share).as_quat()
    return _Stored(a.stamp_ns, a.parent, t, tuple(q))  # type: ignore[arg-type]


class Buffer:
    """tf2_ros.Buffer, as far as a lookup needs it."""

    def __init__(self, cache_time: Duration | None = None, node: Any = None) -> None:
        assert cache_time is None
        self._caches: dict[str, _Cache] = {}
        self._frames: set[str] = set()
        self._new_data: list[Callable[[], None]] = []
        self.ignored: list[str] = []
        self.clock = Clock()
        if node is not None:
            # FrameGraph is not built here; what counts is that there is a service of that name.
            self.srv = node.create_service(GetState, "tf2_frames", lambda _, response: response)
            self.clock = node.get_clock()
        threshold = JumpThreshold(
            min_forward=None, min_backward=Duration(seconds=-1), on_clock_change=True
        )
        self.jump_handle = self.clock.create_jump_callback(
            threshold, post_callback=self.time_jump_callback
        )

    def time_jump_callback(self, time_jump: Any) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget what moves; static transforms stay, and so do the names of frames."""
        for cache in self._caches.values():
            if not cache.static:
                cache.stored.clear()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        self._set(transform, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        self._set(transform, static=True)

    def _set(self, transform: TransformStamped, *, static: bool) -> None:
        # tf2 strips one slash here, and takes none in lookups.
        parent, child = (
            name.removeprefix("/") for name in (transform.header.frame_id, transform.child_frame_id)
        )
        move, stamp = transform.transform, transform.header.stamp
        t = (move.translation.x, move.translation.y, move.translation.z)
        q = (move.rotation.x, move.rotation.y, move.rotation.z, move.rotation.w)
        fault = _refusal(parent, child, t, q)
        if not fault:
            self._frames |= {parent, child}
            cache = self._caches.get(child)
            if cache is None or cache.static != static:
                cache = self._caches[child] = _Cache(static)
            if not cache.insert(_Stored(stamp.sec * 10**9 + stamp.nanosec, parent, t, _unit(q))):
                fault = "TF_OLD_DATA"
        if fault:
            self.ignored.append(f"{fault} {parent} -> {child}")
        for callback in list(self._new_data):
            callback()

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Any, timeout: Any = None
    ) -> TransformStamped:
        found = TransformStamped(child_frame_id=source_frame)
        found.header.frame_id, found.header.stamp = target_frame, time.to_msg()
        found.transform.rotation.w = 1.0
        if target_frame == source_frame:
            return found
        for name in (target_frame, source_frame):
            if not name or name.startswith("/"):
                raise InvalidArgumentException(f'Invalid argument "{name}"')
            if name not in self._frames:
                raise LookupException(f'"{name}" does not exist')
        turn, place = self._between(target_frame, source_frame, int(time.nanoseconds))
        t, q = found.transform.translation, found.transform.rotation
        t.x, t.y, t.z = map(float, place)
        q.x, q.y, q.z, q.w = map(float, turn.as_quat())
        return found

    def _between(self, target: str, source: str, stamp_ns: int) -> tuple[Rotation, Any]:
        to_top, top, lacking = self._climb(source, target, stamp_ns)
        if top == target:
            return to_top
        # From the target up to where the source's climb ended, or to the source itself.
        from_target, end, fault = self._climb(target, source if lacking else top, stamp_ns)
        if end == source and end != top:
            return _inverted(*from_target)
        if end == top:
            turn, place = _inverted(*from_target)
            return turn * to_top[0], turn.apply(to_top[1]) + place
        if fault or lacking:
            raise fault or lacking  # type: ignore[misc]
        raise ConnectivityException(f"'{target}' and '{source}' are not part of the same tree")

    def _climb(
        self, frame: str, end: str, stamp_ns: int
    ) -> tuple[tuple[Rotation, Any], str, TransformException | None]:
        turn, place = Rotation.identity(), [0.0, 0.0, 0.0]
        for _ in range(MAX_DEPTH):
            cache = self._caches.get(frame)
            if frame == end or cache is None:
                return (turn, place), frame, None
            try:
                step = cache.at(stamp_ns)
            except ExtrapolationException as lacking:
                return (turn, place), frame, lacking
            up = Rotation.from_quat(step.q)
            turn, place = up * turn, up.apply(place) + step.t
            frame = step.parent
        raise LookupException("The tf tree is invalid because it contains a loop.")

    def wait_for_transform_async(self, target_frame: str, source_frame: str, time: Any) -> Future:
        future: Future = Future()

        def try_it() -> None:
            try:
                found = self.lookup_transform(target_frame, source_frame, time)
            except TransformException:
                return
            if not future.done():
                future.set_result(found)

        self._new_data.append(try_it)
        try_it()
        return future


def _unit(q: Any) -> Any:
    return tuple(float(x) for x in Rotation.from_quat(q).as_quat())


def _inverted(turn: Rotation, place: Any) -> tuple[Rotation, Any]:
    back = turn.inv()
    return back, -back.apply(place)


def _refusal(parent: str, child: str, t: tuple[float, ...], q: tuple[float, ...]) -> str:
    if parent == child:
        return "TF_SELF_TRANSFORM"
    if not child:
        return "TF_NO_CHILD_FRAME_ID"
    if not parent:
        return "TF_NO_FRAME_ID"
    # Infinity passes: tf2 asks for NaN alone. A quaternion becomes a matrix before it is checked,
    # and so any length but zero passes as well.
    if any(map(math.isnan, (*t, *q))) or not math.hypot(*q):
        return "TF_NAN_INPUT"
    return ""
