"""Poses for the node: the rules of `TransformTree`, and drops for what it cannot say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kdbts_ros.datasets.ros.pose_rules import TOO_OLD, NoPose, Rules
from kdbts_ros.datasets.ros.transform_tree import Taken, TransformTree
from kdbts_ros.density.geometry.poses import Matrix
from kdbts_ros.node.reporting.drops import Dropped


class TransformUnavailable(Dropped):
    """No pose at that stamp: `reason` is one of `drops.POSE_REASONS`.

    Extrapolation into the past is final, since transforms older than the buffer will not come;
    everything else may still be cured by the next transform.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail, final=reason == TOO_OLD)


class Transforms:
    """A source of poses. Stamps are nanoseconds; there is no "latest".

    This one stores and interpolates by itself; `Tf2Transforms` lets tf2_ros do both.

    Args:
        bounds: gives the bounds of now.
    """

    def __init__(self, bounds: Callable[[], Rules] = Rules) -> None:
        self._tree = TransformTree(bounds=bounds)

    def insert(
        self,
        parent: str,
        child: str,
        stamp_ns: int,
        translation: Sequence[float],
        quaternion_xyzw: Sequence[float],
        *,
        static: bool,
    ) -> str:
        """Add the pose of `child` in `parent`; a sentence if its time went back, else empty.

        Raises:
            UserError: the transform cannot be used; it is remembered as a reason.
        """
        taken = self._tree.insert(
            parent, child, stamp_ns, translation, quaternion_xyzw, static=static
        )
        self._store(taken, static=static)
        return taken.notice

    def lookup(self, target_frame: str, source_frame: str, stamp_ns: int) -> Matrix:
        """(4,4) T_target_source at exactly that stamp, interpolated between transforms.

        Raises:
            TransformUnavailable: with the reason why there is none.
        """
        try:
            return self._tree.lookup(target_frame, source_frame, stamp_ns)
        except NoPose as why:
            raise TransformUnavailable(why.reason, why.detail) from None

    def time_jumped(self, stamp_ns: int) -> None:
        """Forget moving transforms of another life: a bag looped to, or a clock leapt to, now.

        Static transforms stay: a latched publisher does not send them again.
        """
        self._tree.time_jumped(stamp_ns)

    def _store(self, taken: Taken, *, static: bool) -> None:
        """Hand on what the rules have taken; the tree itself holds it already."""
