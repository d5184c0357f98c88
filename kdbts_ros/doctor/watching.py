"""Listening to a robot's graph without taking part in it."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from functools import partial
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from nav_msgs.msg import OccupancyGrid
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from kdbts_ros.doctor.listening import BEST_EFFORT, LATCHED, Listening
from kdbts_ros.doctor.observation import Asked, Observation
from kdbts_ros.node.reporting.graph import (
    CAMERA_INFO,
    COMPRESSED,
    IMAGE,
    publishers,
    topics_of_others,
)

# Nodes and topics are known to each other after this, s.
DISCOVERY = 1.5
# On a computer with much else to do it takes longer: a node that is not seen is waited for, s.
_LATE_DISCOVERY = 4.0
# An answer of a node that is not busy takes milliseconds.
_ANSWER = 2.0
_PARAMETERS = (
    *("fixed_frame", "base_frame", "camera_frame", "pose_source", "rectified"),
    *("image_reliability", "use_sim_time"),
)
_LATCHED_MAP = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_TRANSFORMS = "tf2_msgs/msg/TFMessage"
_ODOMETRY = "nav_msgs/msg/Odometry"


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
        seen = self._look(seconds)
        if seen.state is None and self._asked.node in seen.nodes:
            # It came while others were listened to: its topics and frames were not asked for.
            seen = self._look(seconds)
        return seen

    def _look(self, seconds: float) -> Observation:
        asked = self._asked
        state = self._state()
        told = self._parameters() if state else {}
        listens = {} if state is None else self._subscriptions()
        image = next((t for k in (IMAGE, COMPRESSED) for t in listens.get(k, ())), asked.image)
        info = next(iter(listens.get(CAMERA_INFO, ())), asked.camera_info)
        odometry = listens.get(_ODOMETRY, ()) if told.get("pose_source") == "odometry" else ()
        self._complaints.clear()
        with Listening(self._node, partial(self._spin, seconds)) as ears:
            kind = self._kind_of(image)
            ears.raw("image", Image if kind == IMAGE else CompressedImage, image, BEST_EFFORT)
            latched = [p.latched for p in publishers(self._node, info)]
            ears.infos(info, LATCHED if latched and all(latched) else BEST_EFFORT)
            ears.transforms(listens.get(_TRANSFORMS) or ("/tf", "/tf_static"), odometry)
            ears.clock()
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
            clock_ns=ears.clock_ns,
            now_ns=self._node.get_clock().now().nanoseconds,
            maps=ears.of["maps"].heard(maps),
        )
        return self._with_others(seen)

    def _with_others(self, seen: Observation) -> Observation:
        """With the topics that could be meant, looked for where nobody publishes."""
        # What the node itself publishes is no camera.
        others = partial(topics_of_others, self._node, besides=self._asked.node)
        if not seen.images.publishers:
            seen = replace(seen, other_images=others((IMAGE, COMPRESSED)))
        if not seen.infos.publishers:
            seen = replace(seen, other_infos=others((CAMERA_INFO,)))
        return seen

    def _others(self) -> tuple[str, ...]:
        own = self._node.get_name()
        found = self._node.get_node_names_and_namespaces()
        return tuple(sorted(f"{ns.rstrip('/')}/{name}" for name, ns in found if name != own))

    def _state(self) -> str | None:
        """The lifecycle state; "" where nobody answers, None where nobody is."""
        end = time.monotonic() + _LATE_DISCOVERY
        while self._asked.node not in self._others():
            if time.monotonic() > end:
                return None
            self._spin(0.1)
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
