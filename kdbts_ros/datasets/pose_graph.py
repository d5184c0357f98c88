"""Recorded transforms as one graph, asked for poses at any stamp they cover.

The rules are those of tf2: linear in translation, spherical-linear in rotation, no extrapolation.
Unlike a live buffer it knows the whole recording, so that it can also say where poses are missing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.camera import Array, inverse
from kdbts_ros.density.rotations import matrix, slerp
from kdbts_ros.errors import UserError

# Between poses farther apart than this nothing is interpolated: a robot can do anything meanwhile.
LONGEST_GAP_NS = 1_000_000_000
QUATERNION_TOLERANCE = 1e-2


@dataclass
class _Edge:
    """Poses of a child in its parent; `stamps` is sorted before it is searched."""

    parent: str
    static: bool
    stamps: list[int] = field(default_factory=list)
    poses: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] = field(
        default_factory=list
    )


class PoseGraph:
    """Transforms of a recording by child frame."""

    def __init__(self) -> None:
        self._edges: dict[str, _Edge] = {}
        self._sorted = True

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
        """Add the pose of `child` in `parent`; of two parents the first stands.

        Raises:
            UserError: values not finite, or a quaternion that is not of unit length.
        """
        parent, child = parent.lstrip("/"), child.lstrip("/")
        t, q = np.asarray(translation, np.float64), np.asarray(quaternion_xyzw, np.float64)
        if not (np.isfinite(t).all() and np.isfinite(q).all()):
            raise UserError(f"the recorded transform {parent} -> {child} contains NaN or infinity")
        if abs(float(q @ q) - 1) > QUATERNION_TOLERANCE:
            raise UserError(
                f"the recorded transform {parent} -> {child} has a quaternion of length "
                f"{np.linalg.norm(q):.3f}, not 1"
            )
        edge = self._edges.setdefault(child, _Edge(parent, static))
        if edge.parent != parent or (edge.static and edge.stamps):
            return
        edge.stamps.append(stamp_ns)
        edge.poses.append((t, q / np.linalg.norm(q)))
        self._sorted = False

    @property
    def frames(self) -> tuple[str, ...]:
        """All frames, sorted."""
        return tuple(sorted({*self._edges, *(edge.parent for edge in self._edges.values())}))

    def ancestors(self, frame: str) -> list[str]:
        """The frame and its ancestors up to the root; a loop ends where it closes."""
        path = [frame.lstrip("/")]
        while path[-1] in self._edges and self._edges[path[-1]].parent not in path:
            path.append(self._edges[path[-1]].parent)
        return path

    def moves(self, frame: str) -> bool:
        """Whether the frame's own edge to its parent is a moving one."""
        return frame in self._edges and not self._edges[frame].static

    def span(self, frame: str) -> tuple[int, int]:
        """First and last stamp of a moving frame, ns."""
        self._sort()
        return self._edges[frame].stamps[0], self._edges[frame].stamps[-1]

    def lookup(self, target: str, source: str, stamp_ns: int) -> Array | None:
        """(4,4) T_target_source at the stamp, None where no transform covers it.

        Raises:
            UserError: the frames are unknown or not connected at all.
        """
        up_target, up_source = self.ancestors(target), self.ancestors(source)
        common = next((frame for frame in up_source if frame in up_target), None)
        if common is None:
            raise UserError(
                f"no transform connects '{target}' with '{source}'; the recording holds "
                f"{', '.join(self.frames) or 'none'}"
            )
        T_common_target = self._chain(up_target[: up_target.index(common)], stamp_ns)
        T_common_source = self._chain(up_source[: up_source.index(common)], stamp_ns)
        if T_common_target is None or T_common_source is None:
            return None
        return inverse(T_common_target) @ T_common_source

    def _chain(self, frames: list[str], stamp_ns: int) -> Array | None:
        self._sort()
        T = np.eye(4)
        for child in frames:
            pose = self._edge(self._edges[child], stamp_ns)
            if pose is None:
                return None
            T = pose @ T
        return T

    def _edge(self, edge: _Edge, stamp_ns: int) -> Array | None:
        """T_parent_child at the stamp."""
        if edge.static:
            return matrix(*edge.poses[0])
        at = bisect_left(edge.stamps, stamp_ns)
        if at < len(edge.stamps) and edge.stamps[at] == stamp_ns:
            return matrix(*edge.poses[at])
        if at == 0 or at == len(edge.stamps):
            return None
        gap = edge.stamps[at] - edge.stamps[at - 1]
        if gap > LONGEST_GAP_NS:
            return None
        share = (stamp_ns - edge.stamps[at - 1]) / gap
        (t_a, q_a), (t_b, q_b) = edge.poses[at - 1], edge.poses[at]
        return matrix(t_a + share * (t_b - t_a), slerp(q_a, q_b, share))

    def _sort(self) -> None:
        if self._sorted:
            return
        for edge in self._edges.values():
            order = np.argsort(edge.stamps, kind="stable")
            edge.stamps = [edge.stamps[i] for i in order]
            edge.poses = [edge.poses[i] for i in order]
        self._sorted = True
