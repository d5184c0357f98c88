"""The topics of a camera, and the subscriptions to them, kept fit for what its publishers are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_policy_name_from_kind,
)
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from kdbts_ros.datasets.ros.topic_names import info_topics
from kdbts_ros.errors import UserError
from kdbts_ros.node.reporting.graph import CAMERA_INFO, COMPRESSED, IMAGE, Publisher, publishers

# Of these transports messages are CompressedImage; others have types of their own.
_COMPRESSED = ("compressed", "compressedDepth")
# Images of a driver may be lost; its camera_info comes either way.
_VOLATILE = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
_LATCHED = QoSProfile(
    depth=5,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


@dataclass(frozen=True)
class CameraTopics:
    """Resolved topics of images and camera_info, and whether images come compressed."""

    image: str
    info: str
    compressed: bool


def camera_topics(
    node: Node, camera: str, transport: str, arguments: Sequence[str] | None = None
) -> CameraTopics:
    """Where a camera's images and camera_info come from.

    camera_info is the neighbour of the image topic, as everywhere in ROS, unless it is asked for by
    name. An image topic that ends as compressed ones do is taken as it is, whatever the transport.

    Args:
        camera: its name; empty for the only one.
        transport: raw or compressed.
        arguments: of the process; None: its own.
    """
    prefix = f"{camera}/" if camera else ""
    image = node.resolve_topic_name(f"{prefix}image")
    name = f"{prefix}camera_info"
    info = node.resolve_topic_name(name)
    if info == _by_default(node, name) and not _is_asked_for(node, name, arguments):
        info = info_topics(image)[0]
    compressed = image.rpartition("/")[2] in _COMPRESSED
    if transport == "compressed" and not compressed:
        return CameraTopics(f"{image}/compressed", info, True)
    return CameraTopics(image, info, compressed)


def _by_default(node: Node, name: str) -> str:
    return f"{node.get_namespace().rstrip('/')}/{name}"


def _is_asked_for(node: Node, name: str, arguments: Sequence[str] | None) -> bool:
    """Whether a rule gives this topic the very name that it has without one.

    `camera_info:=/camera_info` asks for that topic; `camera_info:=camera_info`, which launch files
    pass for an argument left alone, asks for nothing.
    """
    default = _by_default(node, name)
    for match, replacement in _rules(sys.argv if arguments is None else arguments):
        scope, _, topic = match.removeprefix("rostopic://").rpartition(":")
        if scope in ("", node.get_name()) and topic in (name, default):
            return replacement == default
    return False


def _rules(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The remapping rules among the arguments of a process, as rcl finds them.

    rcl resolves names, but does not tell of a rule that changes nothing.
    """
    ours, previous = False, ""
    for argument in arguments:
        if argument in ("--ros-args", "--"):
            ours = argument == "--ros-args"
        elif ours and previous in ("-r", "--remap") and ":=" in argument:
            match, _, replacement = argument.partition(":=")
            yield match, replacement
        previous = argument


class CameraInputs:
    """Listens to images and camera_info, and tells what the graph knows of both topics.

    camera_info takes two subscriptions: one that connects to every publisher, and one for what a
    latched publisher said before the node started. The second would have every other driver warn
    of a QoS that does not fit, and so exists only beside a latched publisher.

    Args:
        on_image, on_info: called with a message and, for images, what rclpy says about it.
        on_incompatible_qos: called with the name of a policy.

    Attributes:
        kind: type of the messages that are listened to for images.
        fault: why there is no subscription to images; empty where there is one.

    Raises:
        UserError: the middleware refuses a subscription.
    """

    def __init__(
        self,
        node: Node,
        topics: CameraTopics,
        reliable: bool,
        on_image: Callable[[Any, Any], None],
        on_info: Callable[[CameraInfo], None],
        on_incompatible_qos: Callable[[str], None],
    ) -> None:
        self._node, self._topics, self._reliable = node, topics, reliable
        self._on_image, self._on_info = on_image, on_info
        self._on_incompatible_qos = on_incompatible_qos
        self._subscriptions: dict[str, Any] = {}
        self.kind = COMPRESSED if topics.compressed else IMAGE
        self.fault = self._refusal = ""
        try:
            # First, so that the info of the first image is not missed.
            self._listen_to_infos()
            self._listen_to_images()
        except UserError:
            self.close()
            raise

    def close(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)
        self._subscriptions = {}

    def look_around(self) -> tuple[tuple[Publisher, ...], tuple[Publisher, ...]]:
        """Publishers of images and of camera_info, after fitting the subscriptions to them."""
        images = publishers(self._node, self._topics.image)
        infos = publishers(self._node, self._topics.info)
        self._fit_kind(images)
        self._fit_latched(infos)
        return images, infos

    def _listen_to_images(self) -> None:
        reliability = (
            ReliabilityPolicy.RELIABLE if self._reliable else ReliabilityPolicy.BEST_EFFORT
        )
        self._subscribe(
            "images",
            CompressedImage if self.kind == COMPRESSED else Image,
            self._topics.image,
            self._on_image,
            QoSProfile(depth=5, reliability=reliability),
            SubscriptionEventCallbacks(
                incompatible_qos=lambda event: self._on_incompatible_qos(
                    qos_policy_name_from_kind(event.last_policy_kind)
                )
            ),
        )

    def _listen_to_infos(self) -> None:
        self._subscribe(
            "infos",
            CameraInfo,
            self._topics.info,
            self._on_info,
            _VOLATILE,
            SubscriptionEventCallbacks(matched=lambda event: self._fit_latched()),
        )

    def _fit_latched(self, infos: tuple[Publisher, ...] | None = None) -> None:
        """Listen for what was said before wherever somebody keeps it."""
        if infos is None:
            infos = publishers(self._node, self._topics.info)
        latched = any(p.latched and p.kind == CAMERA_INFO for p in infos)
        if latched and "latched infos" not in self._subscriptions:
            # No other publisher of the topic is meant.
            silent = SubscriptionEventCallbacks(incompatible_qos=lambda event: None)
            topic = self._topics.info
            self._subscribe("latched infos", CameraInfo, topic, self._on_info, _LATCHED, silent)

    def _fit_kind(self, images: tuple[Publisher, ...]) -> None:
        """Listen to the type that is published, where no publisher has the one expected."""
        kinds = {publisher.kind for publisher in images}
        other = IMAGE if self.kind == COMPRESSED else COMPRESSED
        if self.kind not in kinds and other in kinds:
            self.kind = other
            if "images" in self._subscriptions:
                self._node.destroy_subscription(self._subscriptions.pop("images"))
        if "images" in self._subscriptions:
            return
        try:
            self._listen_to_images()
        except UserError as error:
            # The executor may hold the one of the other type for one more turn: again, next look.
            self.fault, self._refusal = self._refusal, str(error)
            return
        self.fault = self._refusal = ""
        self._node.get_logger().info(f"listening to {self._topics.image} for {self.kind}")

    def _subscribe(
        self,
        name: str,
        kind: type,
        topic: str,
        callback: Callable[..., None],
        qos: QoSProfile,
        events: SubscriptionEventCallbacks,
    ) -> None:
        try:
            self._subscriptions[name] = self._node.create_subscription(
                kind, topic, callback, qos, event_callbacks=events
            )
        except RuntimeError as error:  # another type of the topic in this process, say
            raise UserError(f"cannot listen to {topic}: {' '.join(str(error).split())}") from error
