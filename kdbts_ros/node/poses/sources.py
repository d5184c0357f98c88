"""Where poses come from: /tf or odometry, and /tf_static; stored by tf2_ros where it is installed.

The topics are listened to by us in any case: a transform passes our rules before tf2 sees it, and
wakes the images that wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from kdbts_ros.datasets.ros.pose_rules import Rules
from kdbts_ros.errors import UserError
from kdbts_ros.node.outputs.messages import to_ns
from kdbts_ros.node.parameters.table import Parameters
from kdbts_ros.node.poses.transforms import Transforms

STATIC_QOS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MOVING_QOS = QoSProfile(depth=100)
# Drivers publish odometry either way; best effort connects to both.
ODOMETRY_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)


class PoseSource:
    """Fills `transforms` from the topics of a node.

    Args:
        parameters: gives the values of now.
        fault: called with a sentence when a transform cannot be used, or its time went back.
        arrived: called when transforms have arrived.
    """

    def __init__(
        self,
        node: Node,
        parameters: Callable[[], Parameters],
        fault: Callable[[str], None],
        arrived: Callable[[], None],
    ) -> None:
        if find_spec("tf2_msgs") is None:
            raise UserError(
                "the package tf2_msgs is missing: install it with this ROS distribution"
            )
        self._node = node
        self._parameters = parameters
        self._fault = fault
        self._arrived = arrived
        self._subscriptions: list[Any] = []
        self.transforms = make_transforms(node, lambda: bounds(parameters()))

    def start(self) -> None:
        """Listen to the topics of this source."""
        from tf2_msgs.msg import TFMessage

        listen = self._node.create_subscription
        if self._parameters().pose_source == "odometry":
            moving = listen(Odometry, "odom", self._on_odometry, ODOMETRY_QOS)
        else:
            moving = listen(TFMessage, "/tf", self._on_tf, MOVING_QOS)
        fixed = listen(TFMessage, "/tf_static", self._on_tf_static, STATIC_QOS)
        self._subscriptions = [moving, fixed]

    def stop(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _on_tf(self, message: Any) -> None:
        self._take(message.transforms, static=False)

    def _on_tf_static(self, message: Any) -> None:
        self._take(message.transforms, static=True)

    def _take(self, transforms: Any, *, static: bool) -> None:
        for stamped in transforms:
            move, child = stamped.transform, stamped.child_frame_id
            parent, stamp_ns = stamped.header.frame_id, to_ns(stamped.header.stamp)
            self._insert(parent, child, stamp_ns, move.translation, move.rotation, static)
        self._arrived()

    def _on_odometry(self, message: Odometry) -> None:
        parent = message.header.frame_id or self._parameters().fixed_frame
        child = message.child_frame_id or self._parameters().base_frame
        pose, stamp_ns = message.pose.pose, to_ns(message.header.stamp)
        self._insert(parent, child, stamp_ns, pose.position, pose.orientation, False)
        self._arrived()

    def _insert(self, parent: str, child: str, stamp_ns: int, t: Any, q: Any, static: bool) -> None:
        place, turn = (t.x, t.y, t.z), (q.x, q.y, q.z, q.w)
        try:
            notice = self.transforms.insert(parent, child, stamp_ns, place, turn, static=static)
        except UserError as error:
            notice = str(error)
        if notice:
            self._fault(notice)


def bounds(parameters: Parameters) -> Rules:
    """The bounds on what is interpolated."""
    return Rules(max_gap=parameters.tf_gap, max_speed=parameters.max_speed)


def make_transforms(node: Node, rules: Callable[[], Rules]) -> Transforms:
    """Stored by tf2_ros where it is installed, by ourselves elsewhere."""
    if find_spec("tf2_ros") is None:
        return Transforms(rules)
    from kdbts_ros.node.poses.tf2_transforms import Tf2Transforms

    return Tf2Transforms(node, rules)
