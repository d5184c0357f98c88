"""Listening to a robot's graph without taking part in it."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from nav_msgs.msg import OccupancyGrid, Odometry
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from kdbts_ros.datasets.bags.headers import read_header
from kdbts_ros.datasets.ros.transform_tree import TransformTree
from kdbts_ros.doctor.observation import Asked, Heard, Observation
from kdbts_ros.errors import UserError
from kdbts_ros.node.reporting.graph import (
    CAMERA_INFO,
    COMPRESSED,
    IMAGE,
    publishers,
    topics_of_others,
)

# Nodes and topics are known to each other after this, s.
DISCOVERY = 1.5
# An answer of a node that is not busy takes milliseconds.
_ANSWER = 2.0
_PARAMETERS = (
    *("fixed_frame", "base_frame", "camera_frame", "pose_source", "rectified"),
    *("image_reliability", "use_sim_time"),
)
_BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
_LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_LATCHED_MAP = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_TRANSFORMS = "tf2_msgs/msg/TFMessage"
_ODOMETRY = "nav_msgs/msg/Odometry"
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


class Watch:
    """A node that only listens. A context manager; rclpy must be initialised.

    Args:
        asked: what is looked for.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._node = rclpy.create_node(f"kdbts_doctor_{os.getpid()}")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._complaints: dict[str, tuple[int, str]] = {}
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._complain, 10)
        self._spin(DISCOVERY)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *exception: object) -> None:
        self._executor.shutdown()
        self._node.destroy_node()

    def look(self, seconds: float) -> Observation:
        """Listen for so long, and say what was heard."""
        asked = self._asked
        state = self._state()
        told = self._parameters() if state else {}
        listens = {} if state is None else self._subscriptions()
        image = next((t for k in (IMAGE, COMPRESSED) for t in listens.get(k, ())), asked.image)
        info = next(iter(listens.get(CAMERA_INFO, ())), asked.camera_info)
        odometry = listens.get(_ODOMETRY, ()) if told.get("pose_source") == "odometry" else ()
        self._complaints.clear()
        with _Listening(self._node, partial(self._spin, seconds)) as ears:
            kind = self._kind_of(image)
            ears.raw("image", Image if kind == IMAGE else CompressedImage, image, _BEST_EFFORT)
            latched = [p.latched for p in publishers(self._node, info)]
            ears.infos(info, _LATCHED if latched and all(latched) else _BEST_EFFORT)
            ears.transforms(listens.get(_TRANSFORMS) or ("/tf", "/tf_static"), odometry)
            maps = f"{asked.node}/occupancy"
            ears.raw("maps", OccupancyGrid, maps, _LATCHED_MAP)
        seen = Observation(
            asked,
            seconds,
            nodes=self._others(),
            state=state,
            parameters=told,
            complaints=dict(self._complaints),
            images=ears.of["image"].heard(
                image, kind=kind, publishers=publishers(self._node, image)
            ),
            infos=ears.of["info"].heard(info, publishers=publishers(self._node, info)),
            info=ears.info,
            tree=ears.tree,
            moving=ears.moving,
            static=ears.static,
            clocks=tuple(p.node for p in publishers(self._node, "/clock")),
            now_ns=self._node.get_clock().now().nanoseconds,
            maps=ears.of["maps"].heard(maps),
        )
        return self._with_others(seen)

    def _with_others(self, seen: Observation) -> Observation:
        """With the topics that could be meant, looked for where nobody publishes."""
        if not seen.images.publishers:
            seen = replace(seen, other_images=topics_of_others(self._node, (IMAGE, COMPRESSED)))
        if not seen.infos.publishers:
            seen = replace(seen, other_infos=topics_of_others(self._node, (CAMERA_INFO,)))
        return seen

    def _others(self) -> tuple[str, ...]:
        own = self._node.get_name()
        found = self._node.get_node_names_and_namespaces()
        return tuple(sorted(f"{ns.rstrip('/')}/{name}" for name, ns in found if name != own))

    def _state(self) -> str | None:
        """The lifecycle state; "" where nobody answers, None where nobody is."""
        if self._asked.node not in self._others():
            return None
        answer = self._call(GetState, "get_state", GetState.Request())
        return "" if answer is None else str(answer.current_state.label)

    def _parameters(self) -> dict[str, Any]:
        request = GetParameters.Request(names=list(_PARAMETERS))
        answer = self._call(GetParameters, "get_parameters", request)
        if answer is None or len(answer.values) != len(_PARAMETERS):
            return {}
        values = map(parameter_value_to_python, answer.values)
        return dict(zip(_PARAMETERS, values, strict=True))

    def _call(self, kind: type, service: str, request: Any) -> Any:
        """The answer of a service of the node, None without one."""
        client = self._node.create_client(kind, f"{self._asked.node}/{service}")
        try:
            end = time.monotonic() + _ANSWER
            while not client.service_is_ready() and time.monotonic() < end:
                self._spin(0.05)
            if not client.service_is_ready():
                return None
            answer = client.call_async(request)
            while not answer.done() and time.monotonic() < end:
                self._executor.spin_once(timeout_sec=0.05)
            return answer.result() if answer.done() else None
        finally:
            self._node.destroy_client(client)

    def _subscriptions(self) -> dict[str, list[str]]:
        """What the node listens to, by the type of messages."""
        namespace, _, name = self._asked.node.rpartition("/")
        found: dict[str, list[str]] = {}
        listens = self._node.get_subscriber_names_and_types_by_node(name, namespace or "/")
        for topic, kinds in listens:
            for kind in kinds:
                found.setdefault(kind, []).append(topic)
        return found

    def _kind_of(self, topic: str) -> str:
        kinds = {publisher.kind for publisher in publishers(self._node, topic)}
        compressed = topic.endswith("/compressed") or (kinds and IMAGE not in kinds)
        return COMPRESSED if compressed else IMAGE

    def _complain(self, message: Any) -> None:
        for status in message.status:
            if status.hardware_id.strip("/") == self._asked.node.strip("/"):
                # rclpy gives the level of a status as a byte.
                level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
                line = status.name.rpartition(": ")[2]
                self._complaints.pop(line, None)
                if level:
                    self._complaints[line] = (level, status.message)

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.05)


class _Listening:
    """Subscriptions that are there for one look; leaving the block listens, then ends them."""

    def __init__(self, node: Any, listen: Callable[[], None]) -> None:
        self._node, self._listen = node, listen
        self._subscriptions: list[Any] = []
        self.of = {name: _Ears() for name in ("image", "info", "maps")}
        self.info: Any = None
        self.tree = TransformTree(cache_seconds=None)
        self.moving = self.static = 0

    def __enter__(self) -> _Listening:
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

    def transforms(self, topics: Sequence[str], odometry: Sequence[str]) -> None:
        """Topics of transforms, told apart by their names, and of odometry."""
        for topic in topics:
            static = topic.endswith("_static")
            qos = _LATCHED if static else QoSProfile(depth=100)
            self._add(TFMessage, topic, partial(self._take, static), qos)
        for topic in odometry:
            self._add(Odometry, topic, self._odometry, _BEST_EFFORT)

    def _add(self, kind: type, topic: str, hear: Any, qos: QoSProfile, raw: bool = False) -> None:
        made = self._node.create_subscription(kind, topic, hear, qos, raw=raw)
        self._subscriptions.append(made)

    def _info(self, message: Any) -> None:
        self.info = message
        ears, stamp = self.of["info"], message.header.stamp
        ears.count += 1
        ears.frame_id = message.header.frame_id
        ears.stamps.append(stamp.sec * 1_000_000_000 + stamp.nanosec)

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
        stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
        try:
            self.tree.insert(*names, stamp_ns, (t.x, t.y, t.z), (q.x, q.y, q.z, q.w), static=static)
        except UserError:
            # The tree remembers it as the reason for what then has no pose.
            return
