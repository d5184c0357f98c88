"""A camera and its robot at a given rate, and what `kdbts_node` makes of them, over DDS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import OccupancyGrid
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.msg import InferenceReport
from kdbts_ros.node.outputs import messages
from kdbts_ros.node.outputs.reports import tells_of_a_map
from kdbts_ros.replay.query_load import Asking, QueryFigures

Quaternion = tuple[float, float, float, float]
NODE = "/kdbts"
# A car in a town; the map then slides and views become keyframes.
SPEED = 8.0
# For images that are still under way when the last was sent.
SETTLING_SECONDS = 3.0
_BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
_RELIABLE = QoSProfile(depth=100)
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Optical frame in a body frame (x forward, z up).
_OPTICAL = (-0.5, 0.5, -0.5, 0.5)


@dataclass(frozen=True)
class RateFigures:
    """What came of images sent at one rate; milliseconds.

    p50_ms, p95_ms: image stamp to the end of publishing its map. dropped: images without a map.
    lost: of these, images the node never received. ros_p50_ms, ros_p95_ms: the node's own share,
    everything but waiting, network and query; decode and publish are parts of it. queries: what
    came of questions meanwhile; None where none were asked.
    """

    rate_hz: float
    sent: int
    maps: int
    dropped: int
    lost: int
    p50_ms: float | None
    p95_ms: float | None
    ros_p50_ms: float | None
    ros_p95_ms: float | None
    decode_p95_ms: float | None
    publish_p95_ms: float | None
    wait_p95_ms: float | None
    network_p50_ms: float | None
    query_p50_ms: float | None
    queries: QueryFigures | None = None

    @classmethod
    def of(cls, rate_hz: float, sent: int, received: int, reports: list[Any]) -> RateFigures:
        """From the node's reports on maps of these images; `received`: images that came in."""

        def percentile(stage: str, share: float) -> float | None:
            values = [getattr(report, f"{stage}_ms") for report in reports]
            return round(float(np.percentile(values, share)), 2) if values else None

        return cls(
            rate_hz=rate_hz,
            sent=sent,
            maps=len(reports),
            dropped=sent - len(reports),
            lost=sent - received,
            p50_ms=percentile("age", 50),
            p95_ms=percentile("age", 95),
            ros_p50_ms=percentile("ros", 50),
            ros_p95_ms=percentile("ros", 95),
            decode_p95_ms=percentile("decode", 95),
            publish_p95_ms=percentile("publish", 95),
            wait_p95_ms=percentile("wait", 95),
            network_p50_ms=percentile("network", 50),
            query_p50_ms=percentile("query", 50),
        )


class LoadTest:
    """Publishes images with pose and calibration, and listens to map and report.

    Args:
        image: (H,W,3) uint8 RGB, sent again and again.
        camera: that took it, 1.65 m above the ground and level.
    """

    def __init__(self, image: Any, camera: Camera) -> None:
        # Ctrl-C is the command's to handle: it has a child to end.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("kdbts_load_test")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        publisher = self._node.create_publisher
        self._images = publisher(Image, "image", _BEST_EFFORT)
        self._infos = publisher(CameraInfo, "camera_info", _BEST_EFFORT)
        self._tf = publisher(TFMessage, "/tf", _RELIABLE)
        self._tf_static = publisher(TFMessage, "/tf_static", _LATCHED)
        self._image = messages.rgb_image(messages.header(0, "camera"), image)
        self._info = messages.camera_info(messages.header(0, "camera"), camera)
        self._reports: list[Any] = []
        self._frames_in = 0
        self._node.create_subscription(InferenceReport, f"{NODE}/report", self._hear, _RELIABLE)
        self._node.create_subscription(
            OccupancyGrid, f"{NODE}/occupancy", lambda _: None, _RELIABLE
        )
        self._tf_static.publish(TFMessage(transforms=[edge("base_link", "camera", 0, z=1.65)]))
        self._asks = False
        self._client: str | None = None

    def node_listens(self) -> bool:
        """Whether the node has subscribed to everything."""
        inputs = (self._images, self._infos, self._tf, self._tf_static)
        return all(publisher.get_subscription_count() for publisher in inputs)

    def spin(self, seconds: float) -> None:
        """Take what comes for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def ask_beside(self, client: str | None = None) -> None:
        """Ask `~/query`, too, whenever images are sent by `run`; client: see `Asking`."""
        self._asks, self._client = True, client

    def run(self, rate_hz: float, seconds: float, progress: Callable[[], None]) -> RateFigures:
        """Send images for so many seconds; `progress` is called after each."""
        count = max(2, round(rate_hz * seconds))
        if not self._asks:
            return self._send_images(rate_hz, count, progress)
        with Asking(NODE, count / rate_hz, self._client) as asking:
            figures = self._send_images(rate_hz, count, progress)
            return replace(figures, queries=asking.figures())

    def _send_images(self, rate_hz: float, count: int, progress: Callable[[], None]) -> RateFigures:
        before = self._frames_in
        self._reports.clear()
        start = time.monotonic()
        first_ns = time.time_ns()
        for index in range(count):
            self.spin(start + index / rate_hz - time.monotonic())
            self._send(time.time_ns())
            progress()
        self.spin(SETTLING_SECONDS)
        mine = [r for r in self._reports if messages.to_ns(r.header.stamp) >= first_ns]
        return RateFigures.of(rate_hz, count, self._frames_in - before, mine)

    def warm_up(self, maps: int, patience: float) -> bool:
        """Send images that do not count, one a second at most, until so many maps came of them.

        False if they did not come within `patience` seconds.
        """
        until = time.monotonic() + patience
        for _ in range(maps):
            known, sent_at = len(self._reports), 0.0
            while len(self._reports) == known:
                if time.monotonic() > until:
                    return False
                if time.monotonic() - sent_at > 1.0:
                    self._send(time.time_ns())
                    sent_at = time.monotonic()
                self._executor.spin_once(timeout_sec=0.1)
        return True

    def _hear(self, report: Any) -> None:
        if tells_of_a_map(report):
            self._reports.append(report)
        self._frames_in = report.frames_in

    def _send(self, stamp_ns: int) -> None:
        """The robot's place at that instant, and what its camera sees."""
        stamp = messages.to_time(stamp_ns)
        x = SPEED * (stamp_ns % 3_600_000_000_000) / 1e9
        self._tf.publish(TFMessage(transforms=[edge("odom", "base_link", stamp_ns, x=x)]))
        self._info.header.stamp = self._image.header.stamp = stamp
        self._infos.publish(self._info)
        self._images.publish(self._image)

    def close(self) -> None:
        """Leave ROS."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def __enter__(self) -> LoadTest:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def edge(
    parent: str,
    child: str,
    stamp_ns: int,
    x: float = 0.0,
    z: float = 0.0,
    rotation: Quaternion | None = None,
) -> TransformStamped:
    """Transform of `child` in `parent`; (x, y, z, w) in place of that of a camera that looks along
    x, or of none."""
    edge = TransformStamped(header=messages.header(stamp_ns, parent), child_frame_id=child)
    edge.transform.translation.x, edge.transform.translation.z = x, z
    q = edge.transform.rotation
    if rotation is None:
        rotation = _OPTICAL if child == "camera" else (0.0, 0.0, 0.0, 1.0)
    q.x, q.y, q.z, q.w = rotation
    return edge


def node_arguments(parameters: Iterable[tuple[str, str]]) -> list[str]:
    """Command line of kdbts_node with parameters (name, value)."""
    arguments = ["--ros-args"]
    for name, value in parameters:
        arguments += ["-p", f"{name}:={value}"]
    return arguments
