"""A small transform buffer with tf2's lookup rules, for machines without tf2_ros."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.camera import inverse
from kdbts_ros.density.rotations import slerp
from kdbts_ros.errors import UserError
from kdbts_ros.node import drops
from kdbts_ros.node.transforms import Matrix, TransformUnavailable, matrix

# tf2 accepts |q|^2 within 0.01 of one and refuses the rest.
QUATERNION_TOLERANCE = 1e-2
# An edge whose stamps step back by more than this has begun a new life (a bag loop).
REGRESSION_NS = 1_000_000_000


@dataclass(frozen=True, order=True)
class Sample:
    """Pose of a child in its parent at a stamp; `rival`: another parent was named for it."""

    stamp_ns: int
    parent: str = field(compare=False)
    translation: npt.NDArray[np.float64] = field(compare=False)
    quaternion: npt.NDArray[np.float64] = field(compare=False)
    rival: str = field(default="", compare=False)


@dataclass(frozen=True)
class Refusal:
    """A transform that was not taken: its stamp, its frames, and why."""

    stamp_ns: int
    frames: tuple[str, str]
    sentence: str


class TransformBuffer:
    """Moving and static transforms by child frame; see `Transforms` for the lookup contract.

    Args:
        cache_seconds: how far behind the newest transform of an edge older ones are kept.
    """

    def __init__(self, cache_seconds: float = 10.0) -> None:
        self._cache_ns = int(cache_seconds * 1e9)
        self._moving: dict[str, list[Sample]] = {}
        self._static: dict[str, Sample] = {}
        self._refused: dict[str, Refusal] = {}

    def insert(
        self,
        parent: str,
        child: str,
        stamp_ns: int,
        translation: npt.ArrayLike,
        quaternion_xyzw: npt.ArrayLike,
        *,
        static: bool,
    ) -> None:
        """Add the pose of `child` in `parent`.

        Raises:
            UserError: empty or equal frame names, values not finite, a quaternion that is not of
                unit length. Such a transform is not used, but remembered as the reason.
        """
        t = np.asarray(translation, np.float64)
        q = np.asarray(quaternion_xyzw, np.float64)
        edge = f"transform {parent} -> {child}"
        parent, child = parent.lstrip("/"), child.lstrip("/")
        if not parent or not child or parent == child:
            raise UserError(f"{edge} needs two different frame names")
        fault = _fault(edge, t, q)
        if fault:
            self._refused[child] = Refusal(stamp_ns, (parent, child), fault)
            raise UserError(fault)
        self._refused.pop(child, None)
        sample = Sample(stamp_ns, parent, t, q / np.linalg.norm(q))
        fixed = self._static.get(child)
        if static:
            self._static[child] = replace(sample, rival=_rival(fixed, sample))
        else:
            if fixed is not None and fixed.parent == parent:
                del self._static[child]
            self._insert_moving(child, sample)

    def _insert_moving(self, child: str, sample: Sample) -> None:
        samples = self._moving.setdefault(child, [])
        if samples and sample.stamp_ns < samples[-1].stamp_ns - REGRESSION_NS:
            self._moving.clear()
            samples = self._moving.setdefault(child, [])
        at = bisect_left(samples, sample)
        if at < len(samples) and samples[at].stamp_ns == sample.stamp_ns:
            samples[at] = replace(sample, rival=_rival(samples[at], sample))
        else:
            insort(samples, sample)
        oldest = samples[-1].stamp_ns - self._cache_ns
        if samples[0].stamp_ns < oldest:
            del samples[: bisect_left(samples, oldest, key=lambda s: s.stamp_ns)]

    def time_jumped(self, stamp_ns: int) -> None:
        """Forget moving transforms unless they already belong to the new life."""
        newest = max((s[-1].stamp_ns for s in self._moving.values() if s), default=stamp_ns)
        if not stamp_ns - self._cache_ns < newest <= stamp_ns + REGRESSION_NS:
            self._moving.clear()
        self._refused = {k: r for k, r in self._refused.items() if k in self._static}

    def lookup(self, target_frame: str, source_frame: str, stamp_ns: int) -> Matrix:
        """(4,4) T_target_source at the stamp; raises TransformUnavailable."""
        target, source = target_frame.lstrip("/"), source_frame.lstrip("/")
        if target == source:
            return np.eye(4)
        self._check_known(target, source)
        up_target = self._ancestors(target)
        up_source = self._ancestors(source)
        common = next((frame for frame in up_source if frame in up_target), None)
        if common is None:
            raise TransformUnavailable(
                drops.DISCONNECTED,
                f"frames '{target}' and '{source}' are not in one tree "
                f"(roots '{up_target[-1]}' and '{up_source[-1]}')",
            )
        T_common_target = self._chain(up_target[: up_target.index(common)], stamp_ns)
        T_common_source = self._chain(up_source[: up_source.index(common)], stamp_ns)
        return inverse(T_common_target) @ T_common_source

    def _check_known(self, *frames: str) -> None:
        parents = {s.parent for s in self._static.values()}
        parents |= {samples[-1].parent for samples in self._moving.values() if samples}
        for frame in frames:
            if frame not in self._static and frame not in self._moving and frame not in parents:
                self._raise_refusal(frame)
                raise TransformUnavailable(
                    drops.NO_TF, f"frame '{frame}' is in no transform received so far"
                )

    def _raise_refusal(self, frame: str, after_ns: int = 0) -> None:
        """Where a transform of the frame was refused since, that is why there is no pose."""
        for refusal in self._refused.values():
            if frame in refusal.frames and refusal.stamp_ns >= after_ns:
                raise TransformUnavailable(drops.NON_UNIT_QUATERNION, refusal.sentence)

    def _ancestors(self, frame: str) -> list[str]:
        """The frame and its ancestors up to the root; a loop ends where it closes."""
        path = [frame]
        while True:
            newest = self._static.get(path[-1]) or next(
                iter(self._moving.get(path[-1], [])[-1:]), None
            )
            if newest is None or newest.parent in path:
                return path
            path.append(newest.parent)

    def _chain(self, frames: list[str], stamp_ns: int) -> Matrix:
        """T_ancestor_first along child frames, first to last."""
        T = np.eye(4)
        for child in frames:
            T = self._edge(child, stamp_ns) @ T
        return T

    def _edge(self, child: str, stamp_ns: int) -> Matrix:
        """T_parent_child at the stamp."""
        samples = self._moving.get(child, [])
        if child in self._static:
            fixed = self._static[child]
            _check_one_parent(child, fixed, *samples[-1:])
            return matrix(fixed.translation, fixed.quaternion)
        at = bisect_left(samples, stamp_ns, key=lambda s: s.stamp_ns)
        if at < len(samples) and samples[at].stamp_ns == stamp_ns:
            _check_one_parent(child, *samples[max(at - 1, 0) : at + 2])
            return matrix(samples[at].translation, samples[at].quaternion)
        edge = f"transform {samples[-1].parent} -> {child}"
        if at == 0:
            raise TransformUnavailable(
                drops.TOO_OLD,
                f"{edge} begins {(samples[0].stamp_ns - stamp_ns) / 1e9:.3f} s after the image",
            )
        if at == len(samples):
            self._raise_refusal(child, samples[-1].stamp_ns)
            raise TransformUnavailable(
                drops.EXTRAPOLATION,
                f"{edge} ends {(stamp_ns - samples[-1].stamp_ns) / 1e9:.3f} s before the image",
            )
        return _between(samples[at - 1], samples[at], stamp_ns, child)


def _fault(edge: str, t: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> str:
    """What is wrong with the numbers of a transform; empty if nothing is."""
    if not (np.isfinite(t).all() and np.isfinite(q).all()):
        return f"{edge} contains NaN or infinity"
    if abs(float(q @ q) - 1) > QUATERNION_TOLERANCE:
        return f"{edge} has a quaternion of length {np.linalg.norm(q):.3f}, not 1"
    return ""


def _rival(before: Sample | None, sample: Sample) -> str:
    """The other parent that a transform of the same instant names, if there is one."""
    if before is None:
        return ""
    return before.parent if before.parent != sample.parent else before.rival


def _check_one_parent(child: str, *samples: Sample) -> None:
    """tf2 takes the newest parent in silence; a pose would then depend on who spoke last."""
    parents = {s.parent for s in samples} | {s.rival for s in samples if s.rival}
    if len(parents) > 1:
        first, second, *_ = sorted(parents)
        raise TransformUnavailable(
            drops.TWO_PARENTS,
            f"frame '{child}' has two parents, '{first}' and '{second}': two nodes broadcast it; "
            "stop one of them (and activate this node again if it is static)",
        )


def _between(a: Sample, b: Sample, stamp_ns: int, child: str) -> Matrix:
    """Linear in translation, spherical-linear in rotation, as tf2 interpolates."""
    _check_one_parent(child, a, b)
    share = (stamp_ns - a.stamp_ns) / (b.stamp_ns - a.stamp_ns)
    translation = a.translation + share * (b.translation - a.translation)
    return matrix(translation, slerp(a.quaternion, b.quaternion, share))
