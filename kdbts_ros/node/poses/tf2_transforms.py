"""Poses from the genuine tf2_ros buffer, of the transforms that our own rules have taken.

tf2 stores and interpolates. It does not tell between which transforms, nor how far apart they are,
nor does it forget one edge alone; so the rules are asked first, and the buffer is filled by us.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import tf2_ros
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.time import Time

from kdbts_ros.datasets.ros.pose_rules import NO_TF, Rules, Sample, frame_name
from kdbts_ros.datasets.ros.transform_tree import Taken
from kdbts_ros.density.geometry.poses import Matrix
from kdbts_ros.node.outputs.messages import header
from kdbts_ros.node.poses.quaternions import matrix
from kdbts_ros.node.poses.transforms import Transforms, TransformUnavailable

AUTHORITY = "kdbts_ros"


class _Buffer(tf2_ros.Buffer):
    """A buffer that leaves jumps in time to us: it cannot tell a new life from a stale one."""

    def time_jump_callback(self, time_jump: Any) -> None:
        """Keep what is there."""


# Each buffer has a service, /tf2_frames: one for a node's whole life, however often it activates.
_BUFFERS: WeakKeyDictionary[Node, Any] = WeakKeyDictionary()


class Tf2Transforms(Transforms):
    """`Transforms` over ``tf2_ros.Buffer``, one for all activations of a node."""

    def __init__(self, node: Node, bounds: Callable[[], Rules] = Rules) -> None:
        super().__init__(bounds)
        if node not in _BUFFERS:
            _BUFFERS[node] = _Buffer(node=node)
        self.buffer = _BUFFERS[node]
        self.buffer.clear()

    def lookup(self, target_frame: str, source_frame: str, stamp_ns: int) -> Matrix:
        """(4,4) T_target_source at the stamp; raises TransformUnavailable."""
        ours = super().lookup(target_frame, source_frame, stamp_ns)
        target, source = frame_name(target_frame), frame_name(source_frame)
        if target == source or stamp_ns == 0:
            # tf2 takes a stamp of zero for "the latest".
            return ours
        try:
            found = self.buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns))
        except tf2_ros.TransformException as error:
            raise TransformUnavailable(NO_TF, str(error)) from error
        t, q = found.transform.translation, found.transform.rotation
        return matrix((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))

    def time_jumped(self, stamp_ns: int) -> None:
        """Forget moving transforms of another life."""
        super().time_jumped(stamp_ns)
        self._refill()

    def _store(self, taken: Taken, *, static: bool) -> None:
        if taken.anew:
            # tf2 refuses what is older than its newest, and can only forget all edges at once.
            self._refill()
        elif taken.kept:
            self._set(taken.child, taken.sample, static)

    def _refill(self) -> None:
        self.buffer.clear()
        for child, sample, static in self._tree.samples():
            self._set(child, sample, static)

    def _set(self, child: str, sample: Sample, static: bool) -> None:
        message = TransformStamped(
            header=header(sample.stamp_ns, sample.parent), child_frame_id=child
        )
        move = message.transform
        t, q = move.translation, move.rotation
        t.x, t.y, t.z = sample.translation
        q.x, q.y, q.z, q.w = sample.quaternion
        (self.buffer.set_transform_static if static else self.buffer.set_transform)(
            message, AUTHORITY
        )
