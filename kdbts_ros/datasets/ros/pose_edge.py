"""The poses of one frame in its parent, and which of them hold at a stamp."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from itertools import pairwise
from typing import NamedTuple

from kdbts_ros.datasets.ros import pose_rules as rules
from kdbts_ros.datasets.ros.pose_rules import NoPose, Rules, Sample, jump_between
from kdbts_ros.density.geometry.poses import Matrix, between, matrix

# So many jumps within `UNREST_NS` of an image are two nodes that contradict each other.
UNREST_COUNT = 3
UNREST_NS = 1_000_000_000
# An edge that has stepped back is trusted to go forward again after so many transforms.
CALM_COUNT = 20


class Between(NamedTuple):
    """The pose at `share` of the way from a to b; both have one parent."""

    a: Sample
    b: Sample
    share: float

    def matrix(self) -> Matrix:
        """(4,4) T_parent_child: linear in translation, spherical-linear in rotation, as in tf2."""
        a, b, share = self
        if share == 0:
            return matrix(a.translation, a.quaternion)
        mixed = tuple(
            p + share * (q - p) for p, q in zip(a.translation, b.translation, strict=True)
        )
        return between(mixed, a.quaternion, b.quaternion, share)


class Added(NamedTuple):
    """What adding a sample did: whether it was kept, and whether the edge began anew with it."""

    kept: bool
    anew: bool = False


class Edge:
    """Samples of one child frame, by stamp; `static` holds at any.

    Args:
        cache_ns: how far behind the newest sample others are kept, ns; None keeps all, and takes a
            step back for a sample that was overtaken.
    """

    def __init__(self, child: str, cache_ns: int | None) -> None:
        self._child = child
        self._cache_ns = cache_ns
        self.static: Sample | None = None
        self.samples: list[Sample] = []
        # Every parent that was named in this epoch.
        self.parents: set[str] = set()
        # Stamps of samples that jump away from the one before.
        self._jumps: list[int] = []
        self._steps_back = 0

    @property
    def parent(self) -> str:
        """The parent that was named last."""
        return (self.static or self.samples[-1]).parent

    def hold(self, sample: Sample) -> Added:
        """Take a static sample; of two with one parent the newer holds."""
        if self.static is not None and self.static.parent != sample.parent:
            sample = sample._replace(rival=self.static)
        elif self.static is not None:
            sample = sample._replace(rival=self.static.rival)
        if self.samples and self.samples[-1].parent == sample.parent:
            self.forget()
        self.static = sample
        self.parents.add(sample.parent)
        return Added(kept=True)

    def add(self, sample: Sample, max_speed: float) -> Added:
        """Take a moving sample; of two with one stamp the first holds."""
        if self.static is not None and self.static.parent == sample.parent:
            self.static = None
        anew = self._begin_anew(sample.stamp_ns)
        self.parents.add(sample.parent)
        at = bisect_left(self.samples, sample.stamp_ns, key=_stamp)
        if at < len(self.samples) and self.samples[at].stamp_ns == sample.stamp_ns:
            held = self.samples[at]
            if held.parent != sample.parent or jump_between(held, sample, max_speed):
                self.samples[at] = held._replace(rival=sample)
            return Added(kept=False)
        self.samples.insert(at, sample)
        self._mark(at, max_speed)
        self._mark(at + 1, max_speed)
        self._prune()
        # tf2 would let a moving transform replace a static one of another parent.
        return Added(kept=self.static is None, anew=anew)

    def steps_back(self) -> str:
        """That the edge's stamps stepped back, in words; empty if not of late."""
        if self._steps_back == 0:
            return ""
        edge = f"transform {self.parent} -> {self._child}"
        if self._steps_back == 1:
            return f"{edge} stepped back in time: a recording began again, or its clock was set"
        return (
            f"{edge} steps back in time again and again ({self._steps_back} times): two nodes with "
            "different clocks broadcast it; stop one of them"
        )

    def forget(self) -> None:
        """Drop what moves."""
        self.samples.clear()
        self._jumps.clear()
        self.parents = {self.static.parent} if self.static else set()

    def is_of(self, stamp_ns: int) -> bool:
        """Whether the newest sample belongs to the epoch in which `stamp_ns` is now."""
        if not self.samples or self._cache_ns is None:
            return False
        newest = self.samples[-1].stamp_ns
        return stamp_ns - self._cache_ns < newest <= stamp_ns + rules.REGRESSION_NS

    def at(self, stamp_ns: int, bounds: Rules) -> Between:
        """The pose at a stamp; raises NoPose."""
        if self.static is not None:
            recent = [s for s in self.samples[-1:] if self._is_recent(s, stamp_ns)]
            self._check_parents(self.static, *recent)
            return Between(self.static, self.static, 0.0)
        samples = self.samples
        at = bisect_left(samples, stamp_ns, key=_stamp)
        if at < len(samples) and samples[at].stamp_ns == stamp_ns:
            around = samples[max(at - 1, 0) : at + 2]
            self._check_parents(*around)
            self._check_jumps(around, stamp_ns)
            return Between(samples[at], samples[at], 0.0)
        if at == 0 or at == len(samples):
            raise self._outside(stamp_ns)
        a, b = samples[at - 1], samples[at]
        self._check_parents(a, b)
        self._check_gap(a, b, bounds)
        self._check_jumps([a, b], stamp_ns)
        return Between(a, b, (stamp_ns - a.stamp_ns) / (b.stamp_ns - a.stamp_ns))

    def _is_recent(self, sample: Sample, stamp_ns: int) -> bool:
        return self._cache_ns is None or abs(stamp_ns - sample.stamp_ns) <= self._cache_ns

    def _begin_anew(self, stamp_ns: int) -> bool:
        if self._cache_ns is None or not self.samples:
            return False
        if len(self.samples) >= CALM_COUNT:
            self._steps_back = 0
        if stamp_ns >= self.samples[-1].stamp_ns - rules.REGRESSION_NS:
            return False
        self.forget()
        self._steps_back += 1
        return True

    def _mark(self, at: int, max_speed: float) -> None:
        """Note whether the sample of that index jumps away from the one before."""
        if not 0 < at < len(self.samples):
            return
        before, sample = self.samples[at - 1], self.samples[at]
        place = bisect_left(self._jumps, sample.stamp_ns)
        if place < len(self._jumps) and self._jumps[place] == sample.stamp_ns:
            del self._jumps[place]
        if before.parent == sample.parent and jump_between(before, sample, max_speed):
            insort(self._jumps, sample.stamp_ns)

    def _prune(self) -> None:
        if self._cache_ns is None:
            return
        oldest = self.samples[-1].stamp_ns - self._cache_ns
        if self.samples[0].stamp_ns < oldest:
            del self.samples[: bisect_left(self.samples, oldest, key=_stamp)]
            del self._jumps[: bisect_left(self._jumps, oldest)]

    def _outside(self, stamp_ns: int) -> NoPose:
        first, last = self.samples[0].stamp_ns, self.samples[-1].stamp_ns
        edge = f"transform {self.parent} -> {self._child}"
        back = self.steps_back() if self._steps_back > 1 else ""
        if stamp_ns < first:
            words = f"{edge} begins {(first - stamp_ns) / 1e9:.3f} s after the image"
            return NoPose(rules.TOO_OLD, back or words)
        words = f"{edge} ends {(stamp_ns - last) / 1e9:.3f} s before the image"
        if len(self.samples) == 1:
            words += ", its only stamp: what does not move belongs on /tf_static"
        return NoPose(rules.EXTRAPOLATION, back or words)

    def _check_parents(self, *samples: Sample) -> None:
        """tf2 takes the newest parent in silence; a pose would then depend on who spoke last."""
        parents = {s.parent for s in samples} | {s.rival.parent for s in samples if s.rival}
        if len(parents) > 1:
            first, second, *_ = sorted(parents)
            raise NoPose(
                rules.TWO_PARENTS,
                f"frame '{self._child}' has two parents, '{first}' and '{second}': two nodes "
                "broadcast it; stop one of them (and activate this node again if it is static)",
            )

    def _check_gap(self, a: Sample, b: Sample, bounds: Rules) -> None:
        seconds = (b.stamp_ns - a.stamp_ns) / 1e9
        if seconds > bounds.max_gap:
            raise NoPose(
                rules.TF_GAP,
                f"transform {a.parent} -> {self._child} has a gap of {seconds:.3f} s around the "
                f"image, more than {bounds.max_gap:g} s",
            )

    def _check_jumps(self, around: list[Sample], stamp_ns: int) -> None:
        """Next to a jump nobody knows where the robot was; jumps back and forth are two nodes."""
        edge = f"transform {around[0].parent} -> {self._child}"
        rival = next((s for s in around if s.rival), None)
        if rival is not None:
            raise NoPose(
                rules.POSE_JUMP,
                f"{edge} is given twice for one stamp, and differently: two nodes broadcast it, "
                "or two runs of one simulated time are mixed",
            )
        first = bisect_left(self._jumps, stamp_ns - UNREST_NS)
        last = bisect_right(self._jumps, stamp_ns + UNREST_NS)
        if last - first >= UNREST_COUNT:
            raise NoPose(
                rules.POSE_JUMP,
                f"{edge} jumps back and forth, {last - first} times around the image: two nodes "
                "broadcast it; stop one of them",
            )
        for a, b in pairwise(around):
            place = bisect_left(self._jumps, b.stamp_ns)
            if place < len(self._jumps) and self._jumps[place] == b.stamp_ns:
                raise NoPose(
                    rules.POSE_JUMP,
                    f"{edge} jumps by {jump_between(a, b, 0.0)} in "
                    f"{(b.stamp_ns - a.stamp_ns) / 1e9:.3f} s at the image: a corrected pose, or a "
                    "second node that broadcasts it",
                )


def _stamp(sample: Sample) -> int:
    return sample.stamp_ns
