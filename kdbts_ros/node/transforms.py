"""What the node asks of a transform source, whoever answers."""

from __future__ import annotations

from typing import Protocol

from kdbts_ros.density.rotations import Matrix, matrix
from kdbts_ros.node import drops
from kdbts_ros.node.drops import Dropped

__all__ = ["Matrix", "TransformUnavailable", "Transforms", "matrix"]


class TransformUnavailable(Dropped):
    """No pose at that stamp: `reason` is one of `drops.POSE_REASONS`.

    Extrapolation into the past is final, since transforms older than the buffer will not come;
    everything else may still be cured by the next transform.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail, final=reason == drops.TOO_OLD)


class Transforms(Protocol):
    """A source of poses. Stamps are nanoseconds; there is no "latest"."""

    def lookup(self, target_frame: str, source_frame: str, stamp_ns: int) -> Matrix:
        """(4,4) T_target_source at exactly that stamp, interpolated between transforms.

        Raises:
            TransformUnavailable: a frame is unknown, the frames are not connected, or the stamp
                lies outside what was received.
        """

    def time_jumped(self, stamp_ns: int) -> None:
        """Forget moving transforms of another life: a bag looped to, or a clock leapt to, now.

        Static transforms stay: a latched publisher does not send them again.
        """
