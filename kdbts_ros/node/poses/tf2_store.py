"""Poses from the genuine tf2_ros buffer, of the transforms that our own rules have taken.

tf2 stores and interpolates. It does not tell between which transforms, nor how far apart they are,
nor does it forget one edge alone; so the rules are asked first, and the buffer is filled by us.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import tf2_ros
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.time import Time

from kdbts_ros.datasets.ros.pose_rules import NO_TF, NoPose, Sample
from kdbts_ros.datasets.ros.transform_tree import Taken, TransformTree
from kdbts_ros.density.geometry.poses import Matrix
from kdbts_ros.node.outputs.messages import header
from kdbts_ros.node.poses.quaternions import matrix

AUTHORITY = "kdbts_ros"


class _Buffer(tf2_ros.Buffer):
    """A buffer that leaves jumps in time to us: it cannot tell a new epoch from a stale one."""

    def time_jump_callback(self, time_jump: Any) -> None:
        """Keep what is there."""


# Each buffer has a service, /tf2_frames: one for a node's whole life, however often it activates.
_BUFFERS: WeakKeyDictionary[Node, Any] = WeakKeyDictionary()


class Tf2Store:
    """A ``tf2_ros.Buffer`` filled with what a tree has taken; one for all activations of a node."""

    def __init__(self, node: Node) -> None:
        if node not in _BUFFERS:
            _BUFFERS[node] = _Buffer(node=node)
        self.buffer = _BUFFERS[node]
        self.buffer.clear()

    def lookup(self, target: str, source: str, stamp_ns: int) -> Matrix | None:
        """(4,4) T_target_source at the stamp; None where tf2 is asked for something else by it.

        Raises:
            NoPose: tf2 has none, though the tree has.
        """
        if target == source or stamp_ns == 0:
            # tf2 takes a stamp of zero for "the latest".
            return None
        try:
            found = self.buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns))
        except tf2_ros.TransformException as error:
            raise NoPose(NO_TF, str(error)) from error
        t, q = found.transform.translation, found.transform.rotation
        return matrix((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))

    def take(self, taken: Taken, tree: TransformTree, *, static: bool) -> None:
        """Store what a tree has taken."""
        if taken.anew:
            # tf2 refuses what is older than its newest, and can only forget all edges at once.
            self.refill(tree)
        elif taken.kept:
            self._set(taken.child, taken.sample, static)

    def refill(self, tree: TransformTree) -> None:
        """Forget everything but what a tree holds now."""
        self.buffer.clear()
        for child, sample, static in tree.samples():
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
