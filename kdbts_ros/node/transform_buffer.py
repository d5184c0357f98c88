"""A small transform buffer with tf2's lookup rules, for machines without tf2_ros."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

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
    """Pose of a child in its parent at a stamp."""

    stamp_ns: int
    parent: str = field(compare=False)
    translation: npt.NDArray[np.float64] = field(compare=False)
    quaternion: npt.NDArray[np.float64] = field(compare=False)


class TransformBuffer:
    """Moving and static transforms by child frame; see `Transforms` for the lookup contract.

    Args:
        cache_seconds: how far behind the newest transform of an edge older ones are kept.
    """

    def __init__(self, cache_seconds: float = 10.0) -> None:
        self._cache_ns = int(cache_seconds * 1e9)
        self._moving: dict[str, list[Sample]] = {}
        self._static: dict[str, Sample] = {}

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
                unit length. The buffer is then unchanged.
        """
        t = np.asarray(translation, np.float64)
        q = np.asarray(quaternion_xyzw, np.float64)
        edge = f"transform {parent} -> {child}"
        if not parent or not child or parent == child:
            raise UserError(f"{edge} needs two different frame names")
        if not (np.isfinite(t).all() and np.isfinite(q).all()):
            raise UserError(f"{edge} contains NaN or infinity")
        if abs(float(q @ q) - 1) > QUATERNION_TOLERANCE:
            raise UserError(f"{edge} has a quaternion of length {np.linalg.norm(q):.3f}, not 1")
        sample = Sample(stamp_ns, parent.lstrip("/"), t, q / np.linalg.norm(q))
        child = child.lstrip("/")
        if static:
            self._static[child] = sample
        else:
            self._static.pop(child, None)
            self._insert_moving(child, sample)

    def _insert_moving(self, child: str, sample: Sample) -> None:
        samples = self._moving.setdefault(child, [])
        if samples and sample.stamp_ns < samples[-1].stamp_ns - REGRESSION_NS:
            self._moving.clear()
            samples = self._moving.setdefault(child, [])
        at = bisect_left(samples, sample)
        if at < len(samples) and samples[at].stamp_ns == sample.stamp_ns:
            samples[at] = sample
        else:
            insort(samples, sample)
        oldest = samples[-1].stamp_ns - self._cache_ns
        if samples[0].stamp_ns < oldest:
            del samples[: bisect_left(samples, oldest, key=lambda s: s.stamp_ns)]

    def time_went_back(self, stamp_ns: int) -> None:
        """Forget moving transforms unless they already belong to the new life."""
        newest = max((s[-1].stamp_ns for s in self._moving.values() if s), default=stamp_ns)
        if newest > stamp_ns + REGRESSION_NS:
            self._moving.clear()

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
                raise TransformUnavailable(
                    drops.NO_TF, f"frame '{frame}' is in no transform received so far"
                )

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
        if child in self._static:
            fixed = self._static[child]
            return matrix(fixed.translation, fixed.quaternion)
        samples = self._moving[child]
        at = bisect_left(samples, stamp_ns, key=lambda s: s.stamp_ns)
        if at < len(samples) and samples[at].stamp_ns == stamp_ns:
            return matrix(samples[at].translation, samples[at].quaternion)
        edge = f"transform {samples[-1].parent} -> {child}"
        if at == 0:
            raise TransformUnavailable(
                drops.EXTRAPOLATION_PAST,
                f"{edge} begins {(samples[0].stamp_ns - stamp_ns) / 1e9:.3f} s after the image",
            )
        if at == len(samples):
            raise TransformUnavailable(
                drops.EXTRAPOLATION_FUTURE,
                f"{edge} ends {(stamp_ns - samples[-1].stamp_ns) / 1e9:.3f} s before the image",
            )
        return _between(samples[at - 1], samples[at], stamp_ns, child)


def _between(a: Sample, b: Sample, stamp_ns: int, child: str) -> Matrix:
    """Linear in translation, spherical-linear in rotation, as tf2 interpolates."""
    if a.parent != b.parent:
        raise TransformUnavailable(
            drops.TWO_PARENTS,
            f"frame '{child}' has two parents, '{a.parent}' and '{b.parent}': "
            "two nodes broadcast it; stop one of them",
        )
    share = (stamp_ns - a.stamp_ns) / (b.stamp_ns - a.stamp_ns)
    translation = a.translation + share * (b.translation - a.translation)
    return matrix(translation, slerp(a.quaternion, b.quaternion, share))
