"""A ROS node that hears what the node under demonstration takes and gives."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import OccupancyGrid
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from kdbts_ros.demo import interrupt
from kdbts_ros.demo.output_bag import OutputBag
from kdbts_ros.demo.recording import Recording
from kdbts_ros.msg import InferenceReport
from kdbts_ros.node.outputs.messages import to_ns
from kdbts_ros.node.outputs.reports import tells_of_a_map
from kdbts_ros.replay.account import Account

NODE = "/kdbts"
GRIDS, DEPTHS = f"{NODE}/occupancy", f"{NODE}/depth/image"
# Deep: while pictures of the progress bar are drawn, nothing may be lost.
_ALL = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
_LATCHED = QoSProfile(
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
_OUTPUTS: tuple[tuple[str, str, Any, QoSProfile], ...] = (
    (GRIDS, "nav_msgs/msg/OccupancyGrid", OccupancyGrid, _LATCHED),
    (f"{NODE}/occupancy_probability", "nav_msgs/msg/OccupancyGrid", OccupancyGrid, _LATCHED),
    (DEPTHS, "sensor_msgs/msg/Image", Image, _ALL),
    (f"{NODE}/depth/camera_info", "sensor_msgs/msg/CameraInfo", CameraInfo, _ALL),
    (f"{NODE}/points", "sensor_msgs/msg/PointCloud2", PointCloud2, _ALL),
    (f"{NODE}/views", "visualization_msgs/msg/MarkerArray", MarkerArray, _ALL),
    (f"{NODE}/report", "kdbts_ros/msg/InferenceReport", InferenceReport, _ALL),
    ("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", DiagnosticArray, _ALL),
)


class Recorder:
    """Subscribes to a recording's images and to the node's outputs, which go to a bag.

    sent_ns: by image stamp, when the player sent it. received_ns: by image stamp, when its map
    arrived. Both are wall time of this machine, as the middleware took it. node_ms: the node's own
    total per map.
    """

    def __init__(self, recording: Recording, bag: OutputBag) -> None:
        self.sent_ns: dict[int, int] = {}
        self.received_ns: dict[int, int] = {}
        self.node_ms: list[float] = []
        self.account = Account()
        self._bag = bag
        self._images = recording.images
        # Ctrl-C is the demo's to handle: it has children to end.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("kdbts_demo")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        image = CompressedImage if recording.compressed else Image
        best_effort = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._node.create_subscription(
            image,
            recording.images,
            self._on_image,
            _ALL if recording.reliable else best_effort,
            raw=True,
        )
        for topic, msgtype, kind, qos in _OUTPUTS:
            self._listen(topic, msgtype, kind, qos)

    def spin(self, seconds: float) -> None:
        """Take what has come; wait at most so long for the first."""
        self._executor.spin_once(timeout_sec=seconds)
        interrupt.check()

    def node_listens(self) -> bool:
        """Whether somebody else has subscribed to the images: the node is active."""
        return self._node.count_subscribers(self._images) > 1

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave ROS."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def _listen(self, topic: str, msgtype: str, kind: Any, qos: QoSProfile) -> None:
        latched = qos is _LATCHED

        def take(data: bytes, info: Any) -> None:
            stamp_ns = _stamp_ns(kind, data)
            if topic == GRIDS:
                self.received_ns[stamp_ns] = info["received_timestamp"]
            elif kind is InferenceReport:
                report = deserialize_message(data, InferenceReport)
                if tells_of_a_map(report):
                    self.node_ms.append(report.total_ms)
            elif kind is DiagnosticArray:
                self.account.read(deserialize_message(data, DiagnosticArray))
            if stamp_ns:  # the node's clock stands at zero until the player starts it
                self._bag.write(topic, msgtype, stamp_ns, data, latched)

        self._node.create_subscription(kind, topic, take, qos, raw=True)

    def _on_image(self, data: bytes, info: Any) -> None:
        self.sent_ns[to_ns(_header(data).stamp)] = info["source_timestamp"]


def _stamp_ns(kind: Any, data: bytes) -> int:
    """Of a message's header; markers have one each, of one image."""
    if kind is not MarkerArray:
        return to_ns(_header(data).stamp)
    markers = deserialize_message(data, MarkerArray).markers
    return to_ns(markers[0].header.stamp) if markers else 0


def _header(data: bytes) -> Any:
    """The header a message begins with; the rest is not unpacked."""
    return deserialize_message(data, Header)
