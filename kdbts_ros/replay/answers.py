"""Waiting for the map of an image before the next image is sent."""

from __future__ import annotations

import time
from typing import Any

from nav_msgs.msg import OccupancyGrid
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header

# For the map of an image. Each image in a row that gets none halves it: an image may have been
# dropped, and a node that makes no maps at all must not hold the replay up.
PATIENCE_SECONDS = 10.0


def stamp_ns(raw: bytes) -> int:
    """Nanoseconds of the header that a serialised message begins with."""
    stamp = deserialize_message(raw, Header).stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


class Answers:
    """Hears the stamps of the maps on a topic."""

    def __init__(self, node: Node, topic: str) -> None:
        self._newest = -1
        self._asked: int | None = None
        self._patience = PATIENCE_SECONDS
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        node.create_subscription(OccupancyGrid, topic, self._hear, QoSProfile(depth=10), raw=True)

    def wait(self) -> bool:
        """Return when the map of the image that was sent last is there; False where none came."""
        if self._asked is None or self._patience < 0.01:
            return True
        deadline = time.monotonic() + self._patience
        while self._newest < self._asked:
            left = deadline - time.monotonic()
            if left <= 0:
                self._patience /= 2
                return False
            self._executor.spin_once(timeout_sec=left)
        self._patience = PATIENCE_SECONDS
        return True

    def sent(self, image: bytes) -> None:
        """An image goes out; maps of before, as of an earlier loop, do not answer it."""
        self._asked, self._newest = stamp_ns(image), -1

    def close(self) -> None:
        """Hear no more."""
        self._executor.shutdown()

    def _hear(self, raw: Any) -> None:
        self._newest = stamp_ns(raw)
