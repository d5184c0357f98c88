"""Replay of a rosbag2 recording onto live topics, where `ros2 bag` is not installed.

Messages go out as the serialised bytes they were recorded as, with the QoS stored in the bag.
"""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.duration import Duration
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Connection, ConnectionExtRosbag2, Qos
from rosgraph_msgs.msg import Clock

from kdbts_ros.datasets.bags.recording import Recording
from kdbts_ros.datasets.bags.topics import COMPRESSED, IMAGE
from kdbts_ros.errors import UserError
from kdbts_ros.replay.answers import Answers
from kdbts_ros.replay.pacing import Pacer

_TYPE = re.compile(r"[a-z][a-z0-9_]*/msg/[A-Z][A-Za-z0-9]*")
_LATCHED_TOPICS = ("/tf_static",)
_TRANSFORM_TOPICS = ("/tf", "/tf_static")
_SETTLING_SECONDS = 0.5
_ACKNOWLEDGEMENT_SECONDS = 5.0


@dataclass(frozen=True)
class Playback:
    """How to play.

    Attributes:
        rate: bag seconds per wall second.
        loop: start again at the end, stamps and all.
        clock: publish /clock; the recorded one, if any, is left out then.
        topics: only these; all if empty.
        wait_for_subscribers: seconds to wait at most for somebody to listen.
        after_map: topic of maps; each image but the first waits for the map of the one before.
    """

    rate: float = 1.0
    loop: bool = False
    clock: bool = False
    topics: tuple[str, ...] = ()
    wait_for_subscribers: float = 0.0
    after_map: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.rate < float("inf"):
            raise UserError(f"--rate must be a positive number, got {self.rate:g}")
        if not 0 <= self.wait_for_subscribers < float("inf"):
            raise UserError(
                f"--wait-for-subscribers must be 0 or more seconds, got "
                f"{self.wait_for_subscribers:g}"
            )


def message_class(msgtype: str) -> Any:
    """Class of "package/msg/Type".

    Raises:
        UserError: its package is not installed, or lacks it.
    """
    # A file says so: nothing but a package of messages is imported for it.
    if _TYPE.fullmatch(msgtype) is None:
        raise UserError(f"type {msgtype!r:.80} is none of a message")
    package, _, name = msgtype.partition("/msg/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        raise UserError(f"type {msgtype} is not installed") from None


def publisher_qos(topic: str, stored: list[Qos]) -> QoSProfile:
    """QoS to publish a topic with: what its first recorded publisher offered.

    Deadlines, lifespans and liveliness are left out, since a replay at another rate breaks them.
    """
    latched = topic in _LATCHED_TOPICS
    if not stored:
        depth, history = 10, HistoryPolicy.KEEP_LAST
        reliability = ReliabilityPolicy.RELIABLE
    else:
        first = stored[0]
        depth = first.depth or 10
        keep_all = first.history.name == "KEEP_ALL"
        history = HistoryPolicy.KEEP_ALL if keep_all else HistoryPolicy.KEEP_LAST
        lossy = first.reliability.name == "BEST_EFFORT"
        reliability = ReliabilityPolicy.BEST_EFFORT if lossy else ReliabilityPolicy.RELIABLE
        latched = latched or first.durability.name == "TRANSIENT_LOCAL"
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return QoSProfile(depth=depth, history=history, reliability=reliability, durability=durability)


class Player:
    """Publishers for the topics of an open bag; what cannot be published is in `skipped`."""

    def __init__(self, node: Node, reader: Recording, playback: Playback) -> None:
        """Create the publishers.

        Raises:
            UserError: a topic asked for that the bag lacks, or nothing left to publish.
        """
        self._reader = reader
        self._playback = playback
        self._publishers: dict[str, Publisher] = {}
        self._connections: list[Connection] = []
        self.skipped: list[str] = []
        held = {connection.topic for connection in reader.connections}
        for topic in playback.topics:
            if topic not in held:
                raise UserError(f"bag has no topic {topic}; it holds {', '.join(sorted(held))}")
        for connection in reader.connections:
            self._add(node, connection)
        if not self._connections:
            raise UserError("nothing to play: " + ("; ".join(self.skipped) or "no topic is left"))
        self._clock = node.create_publisher(Clock, "/clock", 10) if playback.clock else None
        self._answers = Answers(node, playback.after_map) if playback.after_map else None

    @property
    def duration_ns(self) -> int:
        """From the first to the last message."""
        return max(self._reader.duration - 1, 0)

    def wait_for_subscribers(self) -> bool:
        """Whether somebody listens: every topic, or a sensor topic and no news for half a second.

        Discovery finds the subscriptions of one node after another; starting at the first would
        lose images. Returns False when the time is over.
        """
        deadline = time.monotonic() + self._playback.wait_for_subscribers
        counts: list[int] = []
        since = time.monotonic()
        while time.monotonic() < deadline:
            latest = [p.get_subscription_count() for p in self._publishers.values()]
            if latest != counts:
                counts, since = latest, time.monotonic()
            sensors = [
                n
                for topic, n in zip(self._publishers, counts, strict=True)
                if topic not in _TRANSFORM_TOPICS or topic in self._playback.topics
            ]
            wanted = all(sensors) if self._playback.topics else any(sensors)
            settled = time.monotonic() - since >= _SETTLING_SECONDS
            if all(counts) or (wanted and settled):
                return True
            time.sleep(0.02)
        return False

    def play_once(self, on_message: Callable[[int], None]) -> None:
        """Publish every message when it is due, then wait until they are acknowledged.

        Args:
            on_message: called after each message with the bag time since the start, ns.
        """
        start = self._reader.start_time
        self._latched_first()
        pacer = Pacer(self._playback.rate, None if self._clock is None else self._publish_clock)
        pacer.start(start)
        for connection, time_ns, data in self._reader.messages(self._connections):
            answers = self._answers if connection.msgtype in (IMAGE, COMPRESSED) else None
            if answers is not None:
                answers.wait()
                pacer.resume(time_ns)
            pacer.wait_until(time_ns)
            if answers is not None:
                answers.sent(bytes(data))
            if connection.topic not in _LATCHED_TOPICS:
                self._publishers[connection.topic].publish(bytes(data))
            on_message(time_ns - start)
        self._wait_for_acknowledgements()

    def close(self) -> None:
        """Hear no more."""
        if self._answers is not None:
            self._answers.close()

    def _add(self, node: Node, connection: Connection) -> None:
        topic = connection.topic
        if self._playback.topics and topic not in self._playback.topics:
            return
        if topic == "/clock" and self._playback.clock:
            return
        if topic not in self._publishers:
            try:
                kind = message_class(connection.msgtype)
            except UserError as error:
                self.skipped.append(f"{topic} skipped: {error}")
                return
            assert isinstance(connection.ext, ConnectionExtRosbag2)
            qos = publisher_qos(topic, connection.ext.offered_qos_profiles)
            try:
                self._publishers[topic] = node.create_publisher(kind, topic, qos)
            except InvalidTopicNameException:
                self.skipped.append(f"{topic!r:.80} skipped: it is no name of a topic")
                return
        self._connections.append(connection)

    def _latched_first(self) -> None:
        """Static transforms before anything that needs them, wherever they lie in the bag."""
        latched = [c for c in self._connections if c.topic in _LATCHED_TOPICS]
        if latched:
            for connection, _, data in self._reader.messages(latched):
                self._publishers[connection.topic].publish(bytes(data))

    def _publish_clock(self, bag_ns: int) -> None:
        assert self._clock is not None
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(bag_ns, 1_000_000_000)
        self._clock.publish(message)

    def _wait_for_acknowledgements(self) -> None:
        """Bounded: a subscriber that hangs must not keep the player alive."""
        deadline = time.monotonic() + _ACKNOWLEDGEMENT_SECONDS
        for publisher in self._publishers.values():
            left = max(deadline - time.monotonic(), 0.0)
            publisher.wait_for_all_acked(Duration(seconds=left))
