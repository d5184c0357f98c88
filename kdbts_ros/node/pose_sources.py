"""Where poses come from: tf2_ros, /tf through our own buffer, or odometry with /tf_static."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from kdbts_ros.errors import UserError
from kdbts_ros.node.messages import to_ns
from kdbts_ros.node.parameters import Parameters
from kdbts_ros.node.transform_buffer import TransformBuffer

STATIC_QOS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MOVING_QOS = QoSProfile(depth=100)
# Drivers publish odometry either way; best effort connects to both.
ODOMETRY_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)


class Tf2Source:
    """The genuine listener and buffer of tf2_ros."""

    def __init__(self, node: Node) -> None:
        from kdbts_ros.node.tf2_transforms import Tf2Transforms

        self._node = node
        self.transforms = Tf2Transforms(node)
        self._listener: Any = None

    def start(self) -> None:
        """Listen to /tf and /tf_static."""
        from tf2_ros import TransformListener

        self._listener = TransformListener(self.transforms.buffer, self._node)

    def stop(self) -> None:
        """Listen no more."""
        self._listener.unregister()


class BufferSource:
    """Our buffer, fed by /tf or by odometry, and by /tf_static in either case.

    Args:
        fault: called with a sentence when a transform cannot be used.
        arrived: called when transforms have arrived.
    """

    def __init__(
        self,
        node: Node,
        parameters: Parameters,
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
        self.transforms = TransformBuffer()

    def start(self) -> None:
        """Listen to the topics of this source."""
        from tf2_msgs.msg import TFMessage

        listen = self._node.create_subscription
        if self._parameters.pose_source == "odometry":
            moving = listen(Odometry, "odom", self._on_odometry, ODOMETRY_QOS)
        else:
            moving = listen(TFMessage, "/tf", lambda m: self._on_tf(m, static=False), MOVING_QOS)
        fixed = listen(TFMessage, "/tf_static", lambda m: self._on_tf(m, static=True), STATIC_QOS)
        self._subscriptions = [moving, fixed]

    def stop(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _on_tf(self, message: Any, *, static: bool) -> None:
        for stamped in message.transforms:
            move = stamped.transform
            self._insert(
                stamped.header, stamped.child_frame_id, move.translation, move.rotation, static
            )
        self._arrived()

    def _on_odometry(self, message: Odometry) -> None:
        child = message.child_frame_id or self._parameters.base_frame
        pose = message.pose.pose
        self._insert(message.header, child, pose.position, pose.orientation, False)
        self._arrived()

    def _insert(self, header: Any, child: str, t: Any, q: Any, static: bool) -> None:
        parent = header.frame_id or self._parameters.fixed_frame
        stamp_ns, rotation = to_ns(header.stamp), (q.x, q.y, q.z, q.w)
        if stamp_ns < 0 and not static:
            seconds = f"{stamp_ns / 1e9:.3f} s, before 1970"
            self._fault(f"transform {parent} -> {child} is stamped {seconds}: it is not used")
            return
        try:
            self.transforms.insert(
                parent, child, stamp_ns, (t.x, t.y, t.z), rotation, static=static
            )
        except UserError as error:
            self._fault(str(error))


def make_pose_source(
    node: Node,
    parameters: Parameters,
    fault: Callable[[str], None],
    arrived: Callable[[], None],
) -> Tf2Source | BufferSource:
    """tf2_ros where it is installed and TF is asked for, our own buffer otherwise."""
    if parameters.pose_source == "tf" and find_spec("tf2_ros") is not None:
        return Tf2Source(node)
    return BufferSource(node, parameters, fault, arrived)
