"""Recorded transforms and odometry, asked for poses at any stamp they cover.

The rules are those of the live node (`TransformTree`). Unlike it, a recording is known as a whole,
so that it can also be said where poses are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from kdbts_ros.datasets.ros.pose_rules import DISCONNECTED, NO_TF, NoPose, Refused, frame_name
from kdbts_ros.datasets.ros.transform_tree import TransformTree
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.errors import UserError

# Where odometry names no frames: those that the live node takes by default, and REP-105 names.
FIXED_FRAME, BASE_FRAMES = "odom", ("base_footprint", "base_link")

_Unnamed = tuple[str, int, tuple[float, ...], tuple[float, ...]]


class PoseGraph:
    """Transforms of a recording by child frame."""

    def __init__(self) -> None:
        self._tree = TransformTree(cache_seconds=None)
        self._unnamed: list[_Unnamed] = []

    def add(
        self,
        parent: str,
        child: str,
        stamp_ns: int,
        translation: Sequence[float],
        quaternion_xyzw: Sequence[float],
        *,
        static: bool,
    ) -> None:
        """Add the pose of `child` in `parent`; one that cannot be used is remembered as a reason.

        Of a static transform that is said again the newest holds: add in the order of the log.
        """
        with suppress(Refused):
            self._tree.insert(parent, child, stamp_ns, translation, quaternion_xyzw, static=static)

    def add_odometry(
        self,
        parent: str,
        child: str,
        stamp_ns: int,
        position: Sequence[float],
        orientation_xyzw: Sequence[float],
    ) -> None:
        """Add a nav_msgs/Odometry; without a child frame it waits for `name_base`."""
        parent = frame_name(parent) or FIXED_FRAME
        if frame_name(child):
            self.add(parent, child, stamp_ns, position, orientation_xyzw, static=False)
        else:
            self._unnamed.append((parent, stamp_ns, tuple(position), tuple(orientation_xyzw)))

    def name_base(self, base: str | None) -> None:
        """Say whose pose odometry without a child frame is: `base`, or the usual base frame."""
        usual = next((name for name in BASE_FRAMES if name in self.frames), BASE_FRAMES[-1])
        for parent, stamp_ns, position, orientation in self._unnamed:
            self.add(parent, base or usual, stamp_ns, position, orientation, static=False)
        self._unnamed = []

    @property
    def frames(self) -> tuple[str, ...]:
        """All frames, sorted."""
        return self._tree.frames

    def ancestors(self, frame: str) -> list[str]:
        """The frame and its ancestors up to the root; a loop ends where it closes."""
        return self._tree.ancestors(frame)

    def moves(self, frame: str) -> bool:
        """Whether the frame's own edge to its parent is a moving one."""
        edge = self._tree.edge(frame)
        return edge is not None and edge.static is None

    def span(self, frame: str) -> tuple[int, int]:
        """First and last stamp of a moving frame, ns."""
        edge = self._tree.edge(frame)
        assert edge is not None
        return edge.samples[0].stamp_ns, edge.samples[-1].stamp_ns

    def refusals(self) -> tuple[str, ...]:
        """Why transforms could not be used that no good one has followed."""
        return tuple(self._tree.refusals())

    def refused_above(self, frame: str) -> str:
        """Why a frame has no parent though transforms from one were recorded; else empty."""
        return self._tree.refused_above(frame)

    def pose(self, target: str, source: str, stamp_ns: int) -> Array:
        """(4,4) T_target_source at the stamp.

        Raises:
            NoPose: with the reason why there is none.
        """
        return self._tree.lookup(target, source, stamp_ns)

    def lookup(self, target: str, source: str, stamp_ns: int) -> Array | None:
        """(4,4) T_target_source at the stamp, None where no transform covers it.

        Raises:
            UserError: the frames are unknown or not connected at all.
        """
        try:
            return self.pose(target, source, stamp_ns)
        except NoPose as why:
            if why.reason not in (NO_TF, DISCONNECTED):
                return None
            raise UserError(
                f"no transform connects '{target}' with '{source}' ({why.detail}); the recording "
                f"holds {', '.join(self.frames) or 'none'}"
            ) from why
