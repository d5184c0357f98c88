"""Who publishes what, as the ROS graph tells it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
# A publisher that is no ROS node, or whose node is not known yet.
UNKNOWN = "an unknown node"


@dataclass(frozen=True)
class Publisher:
    """One publisher of a topic.

    `node` is its full name, `kind` the type of its messages, `gid` its number in the middleware in
    hexadecimal digits. `latched`: it keeps its last message for those who come later.
    """

    node: str
    kind: str
    gid: str = ""
    latched: bool = False
    reliable: bool = True


def publishers(node: Node, topic: str) -> tuple[Publisher, ...]:
    """Everybody who publishes on a resolved topic."""
    return tuple(
        Publisher(
            node=_full_name(info.node_namespace, info.node_name),
            kind=info.topic_type,
            gid=bytes(info.endpoint_gid).hex(),
            latched=info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL,
            reliable=info.qos_profile.reliability == ReliabilityPolicy.RELIABLE,
        )
        for info in node.get_publishers_info_by_topic(topic)
    )


def topics_of_others(node: Node, kinds: Iterable[str], besides: str = "") -> tuple[str, ...]:
    """Topics of these types that another node publishes, sorted; besides: a node left out too."""
    wanted, own = set(kinds), {node.get_fully_qualified_name(), besides}
    return tuple(
        sorted(
            topic
            for topic, types in node.get_topic_names_and_types()
            if wanted & set(types) and any(p.node not in own for p in publishers(node, topic))
        )
    )


def clock_publishers(node: Node) -> tuple[str, ...]:
    """The nodes that publish the time a node lives by; none where that is its own clock's."""
    if not node.get_parameter("use_sim_time").value:
        return ()
    topic = node.resolve_topic_name("/clock")
    return tuple(publisher.node for publisher in publishers(node, topic))


class Namesakes:
    """Other nodes of a node's full name, and since when there are any."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._since: float | None = None

    def look(self, now: float) -> tuple[int, float]:
        """How many there are, and for how long there were some, seconds before `now`."""
        own = (self._node.get_name(), self._node.get_namespace())
        count = self._node.get_node_names_and_namespaces().count(own) - 1
        if count < 1:
            self._since = None
            return 0, 0.0
        if self._since is None:
            self._since = now
        return count, now - self._since


def names(found: Iterable[Publisher]) -> str:
    """The nodes behind publishers, in words."""
    return ", ".join(sorted({publisher.node for publisher in found})) or "nobody"


def _full_name(namespace: str, name: str) -> str:
    if not name or name.startswith("_NODE_NAME_UNKNOWN"):
        return UNKNOWN
    return f"{namespace.rstrip('/')}/{name}"
