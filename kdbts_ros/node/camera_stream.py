"""One camera's images and calibration, waiting in the order of their stamps for their poses."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from kdbts_ros.datasets.pose_rules import frame_name
from kdbts_ros.datasets.sample_depth import SampleDepth
from kdbts_ros.errors import UserError
from kdbts_ros.node import drops
from kdbts_ros.node.camera_info import Calibration, is_rectified, read_calibration
from kdbts_ros.node.drops import Dropped
from kdbts_ros.node.health import StreamSurroundings
from kdbts_ros.node.images import check_layout
from kdbts_ros.node.messages import to_ns
from kdbts_ros.node.parameters import Parameters
from kdbts_ros.node.stamps import StampOrder, check_lead
from kdbts_ros.node.tally import Tally
from kdbts_ros.node.transforms import Transforms
from kdbts_ros.node.waiting import Frame, Needs, WaitingQueue


class CameraStream:
    """Subscriptions of one camera and the queue behind them.

    Args:
        name: of the camera; empty for the only one.
        parameters: gives the values of now.
        ready: called with every frame whose needs are met, stamps ascending.
        jumped: called with the stamp of an image that begins a new life.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        parameters: Callable[[], Parameters],
        transforms: Transforms,
        tally: Tally,
        ready: Callable[[Frame, Needs], None],
        jumped: Callable[[int], None],
    ) -> None:
        self.name = name
        self._node, self._parameters, self._tally = node, parameters, tally
        self._transforms = transforms
        self._ready, self._jumped = ready, jumped
        self._account = tally.stream(name)
        self._queue = WaitingQueue(parameters().queue_length)
        self._order = StampOrder()
        self._samples = SampleDepth()
        self._calibration: Calibration | None = None
        self._published_since: float | None = None
        self.image_topic, self.camera_info_topic = _topics(node, name, parameters())
        self._rectified = is_rectified(parameters().rectified, self.image_topic)
        self._open()

    def _open(self) -> None:
        node, parameters = self._node, self._parameters()
        reliable = parameters.image_reliability == "reliable"
        qos = QoSProfile(
            depth=5,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        )
        compressed = parameters.image_transport == "compressed"
        self._image = node.create_subscription(
            CompressedImage if compressed else Image,
            self.image_topic,
            self._on_image,
            qos,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible_qos),
        )
        info_qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._info = node.create_subscription(
            CameraInfo, self.camera_info_topic, self._on_info, info_qos
        )

    def close(self) -> int:
        """Listen no more; how many frames were still waiting."""
        self._node.destroy_subscription(self._image)
        self._node.destroy_subscription(self._info)
        return self._queue.clear()

    def surroundings(self, now: float) -> StreamSurroundings:
        """What `now`, monotonic s, is to be seen of the camera's topics."""
        publishers = self._node.count_publishers(self.image_topic)
        if not publishers:
            self._published_since = None
        elif self._published_since is None:
            self._published_since = now
        return StreamSurroundings(
            camera=self.name,
            image_topic=self.image_topic,
            camera_info_topic=self.camera_info_topic,
            image_publishers=publishers,
            published_since=self._published_since,
        )

    def begin_new_life(self) -> int:
        """Forget the order of stamps and what waits; how many frames that were."""
        self._order.reset()
        return self._queue.clear()

    def drain(self) -> None:
        """Hand on every frame whose needs are met; drop those that waited long enough."""
        if not len(self._queue):
            return
        now = time.monotonic()
        found = self._queue.resolve(self._needs, now, self._parameters().tf_timeout)
        for _, drop in found.dropped:
            self._tally.drop(drop, now)
        for frame, needs in found.ready:
            try:
                self._order.check(frame.stamp_ns)
            except Dropped as drop:
                self._tally.drop(drop, now)
                continue
            self._order.used(frame.stamp_ns)
            self._tally.pose_at = now
            self._ready(frame, needs)

    def _needs(self, frame: Frame) -> Needs:
        if self._account.calibration_fault:
            # The next camera_info may be under way, and may be better.
            raise Dropped(drops.BAD_CAMERA_INFO, self._account.calibration_fault, final=False)
        if self._calibration is None:
            silent = f"no camera_info on {self.camera_info_topic}"
            raise Dropped(drops.NO_CAMERA_INFO, silent, final=False)
        if frame.size is not None:
            self._calibration.check_size(*frame.size)
        parameters, lookup = self._parameters(), self._transforms.lookup
        if not frame.frame_id:
            raise Dropped(drops.NO_TF, "image has no frame_id: set the parameter camera_frame")
        return Needs(
            self._calibration,
            lookup(parameters.fixed_frame, frame.frame_id, frame.stamp_ns),
            lookup(parameters.fixed_frame, parameters.base_frame, frame.stamp_ns),
        )

    def _on_image(self, message: Any) -> None:
        now = time.monotonic()
        self._tally.image(now, self.name)
        stamp_ns = to_ns(message.header.stamp)
        clock_ns = self._node.get_clock().now().nanoseconds
        try:
            check_lead(stamp_ns, clock_ns, self._parameters().max_stamp_lead)
            if self._order.jumped_back(stamp_ns):
                self._jumped(stamp_ns)
            self._order.check(stamp_ns)
            size = None
            if isinstance(message, Image):
                check_layout(message)
                size = (message.width, message.height)
        except Dropped as drop:
            self._tally.drop(drop, now)
            return
        frame_id = self._parameters().camera_frame or frame_name(message.header.frame_id)
        frame = Frame(stamp_ns, frame_id, message, size, now, self.name, self._samples)
        for _, drop in self._queue.add(frame):
            self._tally.drop(drop, now)
        self.drain()

    def _on_info(self, message: CameraInfo) -> None:
        self._account.calibration_at = time.monotonic()
        try:
            self._calibration = read_calibration(message, self._rectified)
            self._account.calibration_fault = ""
        except UserError as error:
            self._calibration = None
            self._account.calibration_fault = str(error)
        self.drain()

    def _on_incompatible_qos(self, event: Any) -> None:
        self._account.incompatible_qos = qos_policy_name_from_kind(event.last_policy_kind)


def _topics(node: Node, camera: str, parameters: Parameters) -> tuple[str, str]:
    """Resolved topics of a camera's images and their camera_info.

    Unless it is remapped itself, camera_info is the neighbour of the image topic, as everywhere in
    ROS.
    """
    prefix = f"{camera}/" if camera else ""
    image = node.resolve_topic_name(f"{prefix}image")
    info = node.resolve_topic_name(f"{prefix}camera_info")
    if info == f"{node.get_namespace().rstrip('/')}/{prefix}camera_info":
        info = image.rsplit("/", 1)[0] + "/camera_info"
    if parameters.image_transport == "compressed":
        image += "/compressed"
    return image, info
