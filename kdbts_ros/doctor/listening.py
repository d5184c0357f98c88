"""What the topics of a robot say while they are listened to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo
from tf2_msgs.msg import TFMessage

from kdbts_ros.datasets.bags.headers import read_header
from kdbts_ros.datasets.ros.transform_tree import TransformTree
from kdbts_ros.doctor.observation import Heard
from kdbts_ros.errors import UserError

BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Stamps that are kept: the newest image may be younger than its transform.
_STAMPS = 30


@dataclass
class _Ears:
    """What one topic has said."""

    count: int = 0
    frame_id: str = ""
    stamps: deque[int] = field(default_factory=lambda: deque(maxlen=_STAMPS))

    def hear(self, raw: bytes) -> None:
        """A serialised message that begins with a header."""
        header = read_header(raw)
        self.count += 1
        self.frame_id = header.frame_id
        self.stamps.append(header.stamp_ns)

    def heard(self, topic: str, **more: Any) -> Heard:
        return Heard(topic, count=self.count, stamps_ns=tuple(self.stamps),
                     frame_id=self.frame_id, **more)  # fmt: skip


class Listening:
    """Subscriptions that are there for one look; leaving the block listens, then ends them."""

    def __init__(self, node: Any, listen: Callable[[], None]) -> None:
        self._node, self._listen = node, listen
        self._subscriptions: list[Any] = []
        self.of = {name: _Ears() for name in ("image", "info", "maps")}
        self.info: Any = None
        self.clock_ns: int | None = None
        self.tree = TransformTree(cache_seconds=None)
        self.moving = self.static = 0

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            if exception[0] is None:
                self._listen()
        finally:
            for subscription in self._subscriptions:
                self._node.destroy_subscription(subscription)

    def raw(self, name: str, kind: type, topic: str, qos: QoSProfile) -> None:
        """Messages of which the header is enough."""
        self._add(kind, topic, self.of[name].hear, qos, raw=True)

    def infos(self, topic: str, qos: QoSProfile) -> None:
        """The camera_info."""
        self._add(CameraInfo, topic, self._info, qos)

    def clock(self) -> None:
        """The time that a recording or a simulator makes."""
        self._add(Clock, "/clock", self._clock, BEST_EFFORT)

    def transforms(self, topics: Sequence[str], odometry: Sequence[str]) -> None:
        """Topics of transforms, told apart by their names, and of odometry."""
        for topic in topics:
            static = topic.endswith("_static")
            qos = LATCHED if static else QoSProfile(depth=100)
            self._add(TFMessage, topic, partial(self._take, static), qos)
        for topic in odometry:
            self._add(Odometry, topic, self._odometry, BEST_EFFORT)

    def _add(self, kind: type, topic: str, hear: Any, qos: QoSProfile, raw: bool = False) -> None:
        made = self._node.create_subscription(kind, topic, hear, qos, raw=raw)
        self._subscriptions.append(made)

    def _info(self, message: Any) -> None:
        self.info = message
        ears = self.of["info"]
        ears.count += 1
        ears.frame_id = message.header.frame_id
        ears.stamps.append(_nanoseconds(message.header.stamp))

    def _clock(self, message: Any) -> None:
        self.clock_ns = _nanoseconds(message.clock)

    def _take(self, static: bool, message: Any) -> None:
        for item in message.transforms:
            move = item.transform
            names = item.header.frame_id, item.child_frame_id
            self._insert(names, item.header.stamp, move.translation, move.rotation, static)

    def _odometry(self, message: Any) -> None:
        pose = message.pose.pose
        names = message.header.frame_id, message.child_frame_id
        self._insert(names, message.header.stamp, pose.position, pose.orientation, False)

    def _insert(self, names: tuple[str, str], stamp: Any, t: Any, q: Any, static: bool) -> None:
        self.static += static
        self.moving += not static
        at, turn = _nanoseconds(stamp), (q.x, q.y, q.z, q.w)
        try:
            self.tree.insert(*names, at, (t.x, t.y, t.z), turn, static=static)
        except UserError:
            # The tree remembers it as the reason for what then has no pose.
            return


def _nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
