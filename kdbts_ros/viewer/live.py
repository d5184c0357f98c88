"""A running system into the viewer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from kdbts_ros.errors import UserError
from kdbts_ros.replay.player import message_class
from kdbts_ros.viewer.messages import TRANSFORMS, MessageLog, is_shown

# How often new topics are looked for.
LOOKING_SECONDS = 1.0


class Listener:
    """Subscribes to everything that is shown, as it appears, and hands it on.

    on_topics: called with all topics and their types when new ones have come.
    """

    def __init__(
        self, node: Node, log: MessageLog, on_topics: Callable[[dict[str, str]], None]
    ) -> None:
        self._node = node
        self._log = log
        self._on_topics = on_topics
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._refused: set[str] = set()
        self._subscriptions: dict[str, Any] = {}
        self._looked = float("-inf")
        self.types: dict[str, str] = {}
        self.received = 0

    def spin(self, seconds: float) -> None:
        """Take what comes within so many seconds."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            if now - self._looked >= LOOKING_SECONDS:
                self._looked = now
                self._look()
            self._executor.spin_once(timeout_sec=min(0.1, end - now))

    def close(self) -> None:
        """Stop taking messages."""
        self._executor.shutdown()

    def _look(self) -> None:
        new = {}
        for topic, kinds in self._node.get_topic_names_and_types():
            kind = next((k for k in kinds if is_shown(topic, k)), None)
            if kind is None or topic in self._subscriptions or topic in self._refused:
                continue
            publishers = self._node.get_publishers_info_by_topic(topic)
            if publishers and self._subscribe(topic, kind, publishers):
                new[topic] = kind
        if new:
            self.types |= new
            self._on_topics(self.types)

    def _subscribe(self, topic: str, kind: str, publishers: list[Any]) -> bool:
        try:
            message = message_class(kind)
        except UserError as error:
            self._refused.add(topic)
            self._log.fault(topic, str(error))
            return False

        def take(received: Any) -> None:
            self.received += 1
            self._log.take(topic, kind, received)

        qos = _qos([p.qos_profile for p in publishers], kind)
        self._subscriptions[topic] = self._node.create_subscription(message, topic, take, qos)
        return True


def _qos(offered: list[QoSProfile], kind: str) -> QoSProfile:
    """What every publisher of a topic can serve; all transforms are wanted, of the rest the newest.

    A latched topic gives its last message to whoever comes late.
    """
    reliable = all(q.reliability == ReliabilityPolicy.RELIABLE for q in offered)
    latched = all(q.durability == DurabilityPolicy.TRANSIENT_LOCAL for q in offered)
    return QoSProfile(
        depth=200 if kind == TRANSFORMS else 5,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
