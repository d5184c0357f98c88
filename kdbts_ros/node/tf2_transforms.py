"""Poses from the genuine tf2_ros buffer."""

from __future__ import annotations

from typing import Any

import tf2_ros
from rclpy.node import Node
from rclpy.time import Time

from kdbts_ros.node import drops
from kdbts_ros.node.transforms import Matrix, TransformUnavailable, matrix


class Tf2Transforms:
    """`Transforms` over ``tf2_ros.Buffer``; the node lets the buffer see jumps of its clock."""

    def __init__(self, node: Node) -> None:
        self.buffer = tf2_ros.Buffer(node=node)

    def lookup(self, target_frame: str, source_frame: str, stamp_ns: int) -> Matrix:
        """(4,4) T_target_source at the stamp; raises TransformUnavailable."""
        try:
            found = self.buffer.lookup_transform(
                target_frame, source_frame, Time(nanoseconds=stamp_ns)
            ).transform
        except tf2_ros.ExtrapolationException as error:
            reason = self._direction(target_frame, source_frame, stamp_ns)
            raise TransformUnavailable(reason, str(error)) from error
        except tf2_ros.ConnectivityException as error:
            raise TransformUnavailable(drops.DISCONNECTED, str(error)) from error
        except tf2_ros.TransformException as error:
            raise TransformUnavailable(drops.NO_TF, str(error)) from error
        t, q = found.translation, found.rotation
        return matrix((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))

    def time_jumped(self, stamp_ns: int) -> None:
        """Forget moving transforms; tf2 refuses the new life's as too old until it is cleared."""
        self.buffer.clear()

    def _direction(self, target_frame: str, source_frame: str, stamp_ns: int) -> str:
        # The exception tells the direction in prose only; the newest common stamp tells it safely.
        try:
            newest: Any = self.buffer.get_latest_common_time(target_frame, source_frame)
        except tf2_ros.TransformException:
            return drops.EXTRAPOLATION
        future = stamp_ns > newest.nanoseconds
        return drops.EXTRAPOLATION if future else drops.TOO_OLD
