"""Where poses come from: /tf or odometry, and /tf_static; stored by tf2_ros where it is installed.

The topics are listened to by us in any case: a transform passes the rules of `TransformTree` before
tf2 sees it, and wakes the images that wait for it. What the rules cannot say is a drop.

One thread takes all messages, and of each topic one in turn, however many wait. The newest images
push the oldest out of their queue; transforms line up. Where images cost more than there is time
for, each would look for its pose among transforms of seconds ago: so `catch_up` takes whatever has
arrived before an image looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from kdbts_ros.datasets.ros.pose_rules import TOO_OLD, NoPose, Rules, frame_name
from kdbts_ros.datasets.ros.transform_tree import TransformTree
from kdbts_ros.density.geometry.poses import Matrix
from kdbts_ros.errors import UserError
from kdbts_ros.node.outputs.messages import to_ns
from kdbts_ros.node.parameters.values import Parameters
from kdbts_ros.node.reporting.drops import Dropped
from kdbts_ros.node.reporting.faults import with_place

if TYPE_CHECKING:
    from kdbts_ros.node.poses.tf2_store import Tf2Store

STATIC_QOS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MOVING_QOS = QoSProfile(depth=100)
# Drivers publish odometry either way; best effort connects to both.
ODOMETRY_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
# Messages taken at once at most: what a queue holds, and some that come meanwhile.
CATCH_UP = 128


class TransformUnavailable(Dropped):
    """No pose at that stamp: `reason` is one of `drops.POSE_REASONS`.

    Extrapolation into the past is final, since transforms older than the buffer will not come;
    everything else may still be cured by the next transform.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail, final=reason == TOO_OLD)


class Transforms:
    """A source of poses. Stamps are nanoseconds; there is no "latest".

    Args:
        bounds: gives the bounds of now.
        store: keeps and interpolates what the rules have taken; None: the tree of the rules does.
    """

    def __init__(self, bounds: Callable[[], Rules] = Rules, store: Tf2Store | None = None) -> None:
        self._tree = TransformTree(bounds=bounds)
        self._store = store

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
        if self._store is not None:
            self._store.take(taken, self._tree, static=static)
        return taken.notice

    def lookup(self, target_frame: str, source_frame: str, stamp_ns: int) -> Matrix:
        """(4,4) T_target_source at exactly that stamp, interpolated between transforms.

        Raises:
            TransformUnavailable: with the reason why there is none.
        """
        try:
            T = self._tree.lookup(target_frame, source_frame, stamp_ns)
            if self._store is None:
                return T
            found = self._store.lookup(frame_name(target_frame), frame_name(source_frame), stamp_ns)
        except NoPose as why:
            raise TransformUnavailable(why.reason, why.detail) from None
        return T if found is None else found

    def time_jumped(self, stamp_ns: int) -> None:
        """Forget moving transforms of another epoch: a bag looped to, or a clock leapt to, now.

        Static transforms stay: a latched publisher does not send them again.
        """
        self._tree.time_jumped(stamp_ns)
        if self._store is not None:
            self._store.refill(self._tree)


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
        self._subscriptions: list[tuple[Any, Callable[[Any], None]]] = []
        self.transforms = Transforms(lambda: bounds(parameters()), _store_for(node))

    def start(self) -> None:
        """Listen to the topics of this source."""
        from tf2_msgs.msg import TFMessage

        listen = self._node.create_subscription
        if self._parameters().pose_source == "odometry":
            moving = listen(Odometry, "odom", self._on_odometry, ODOMETRY_QOS)
            take = self._take_odometry
        else:
            moving = listen(TFMessage, "/tf", self._on_tf, MOVING_QOS)
            take = self._take
        fixed = listen(TFMessage, "/tf_static", self._on_tf_static, STATIC_QOS)
        self._subscriptions = [(moving, take), (fixed, self._take_static)]

    def stop(self) -> None:
        """Listen no more."""
        for subscription, _ in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def catch_up(self) -> None:
        """Take the transforms that have arrived and wait for their turn; wakes nobody."""
        for subscription, take in self._subscriptions:
            for _ in range(CATCH_UP):
                message = _next(subscription)
                if message is None:
                    break
                try:
                    take(message)
                except Exception as error:  # of the transform, not of the image that needs another
                    topic = subscription.topic_name
                    self._fault(f"a message on {topic} failed: {with_place(error)}")

    def _on_tf(self, message: Any) -> None:
        self._take(message)
        self._arrived()

    def _on_tf_static(self, message: Any) -> None:
        self._take_static(message)
        self._arrived()

    def _on_odometry(self, message: Odometry) -> None:
        self._take_odometry(message)
        self._arrived()

    def _take_static(self, message: Any) -> None:
        self._take(message, static=True)

    def _take(self, message: Any, *, static: bool = False) -> None:
        for stamped in message.transforms:
            move, child = stamped.transform, stamped.child_frame_id
            parent, stamp_ns = stamped.header.frame_id, to_ns(stamped.header.stamp)
            self._insert(parent, child, stamp_ns, move.translation, move.rotation, static)

    def _take_odometry(self, message: Odometry) -> None:
        parent = message.header.frame_id or self._parameters().fixed_frame
        child = message.child_frame_id or self._parameters().base_frame
        pose, stamp_ns = message.pose.pose, to_ns(message.header.stamp)
        self._insert(parent, child, stamp_ns, pose.position, pose.orientation, False)

    def _insert(self, parent: str, child: str, stamp_ns: int, t: Any, q: Any, static: bool) -> None:
        place, turn = (t.x, t.y, t.z), (q.x, q.y, q.z, q.w)
        try:
            notice = self.transforms.insert(parent, child, stamp_ns, place, turn, static=static)
        except UserError as error:
            notice = str(error)
        if notice:
            self._fault(notice)


def _next(subscription: Any) -> Any:
    """The next message of a subscription, as rclpy's executors take it; None if there is none."""
    with subscription.handle:
        taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
    return None if taken is None else taken[0]


def bounds(parameters: Parameters) -> Rules:
    """The bounds on what is interpolated."""
    return Rules(max_gap=parameters.tf_gap, max_speed=parameters.max_speed)


def _store_for(node: Node) -> Tf2Store | None:
    """tf2_ros where it is installed."""
    if find_spec("tf2_ros") is None:
        return None
    from kdbts_ros.node.poses.tf2_store import Tf2Store

    return Tf2Store(node)
