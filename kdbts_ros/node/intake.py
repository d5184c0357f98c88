"""From topics to frames with pose and calibration, in the executor's thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from kdbts_ros.errors import UserError
from kdbts_ros.node import drops
from kdbts_ros.node.camera_info import Calibration, is_rectified, read_calibration
from kdbts_ros.node.drops import Dropped
from kdbts_ros.node.images import check_layout
from kdbts_ros.node.messages import to_ns
from kdbts_ros.node.parameters import Parameters
from kdbts_ros.node.pose_sources import make_pose_source
from kdbts_ros.node.stamps import StampOrder
from kdbts_ros.node.tally import Tally
from kdbts_ros.node.waiting import Frame, Needs, WaitingQueue

# Waiting images are also looked at without a transform arriving, since their patience ends.
POLL_SECONDS = 0.02


class Intake:
    """Subscriptions of an active node and the queue behind them.

    Args:
        parameters: gives the values of now.
        ready: called with every frame whose needs are met, stamps ascending.
        new_life: called when time went back and what is under way belongs to the past.
    """

    def __init__(
        self,
        node: Node,
        parameters: Callable[[], Parameters],
        tally: Tally,
        ready: Callable[[Frame, Needs], None],
        new_life: Callable[[], None],
    ) -> None:
        self._node, self._parameters, self._tally = node, parameters, tally
        self._ready, self._new_life = ready, new_life
        self._queue = WaitingQueue(parameters().queue_length)
        self._order = StampOrder()
        self._calibration: Calibration | None = None
        self._published_since: float | None = None
        self.image_topic, self.camera_info_topic = _topics(node, parameters())
        self._rectified = is_rectified(parameters().rectified, self.image_topic)
        self._poses = make_pose_source(node, parameters(), self._transform_fault, self.drain)
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
        self._timer = node.create_timer(
            POLL_SECONDS, self.drain, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        threshold = JumpThreshold(
            min_forward=None, min_backward=Duration(seconds=-0.1), on_clock_change=True
        )
        self._jump = node.get_clock().create_jump_callback(
            threshold,
            post_callback=lambda _: self._begin_new_life(node.get_clock().now().nanoseconds),
        )
        self._poses.start()

    def close(self) -> int:
        """Listen no more; how many frames were still waiting."""
        self._poses.stop()
        self._jump.unregister()
        self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._image)
        self._node.destroy_subscription(self._info)
        return self._queue.clear()

    @property
    def publishers(self) -> int:
        """How many publishers the image topic has."""
        return self._node.count_publishers(self.image_topic)

    def published_since(self, now: float) -> float | None:
        """When the image topic got its first publisher, as far as asked; `now` monotonic s."""
        if not self.publishers:
            self._published_since = None
        elif self._published_since is None:
            self._published_since = now
        return self._published_since

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
        if self._tally.calibration_fault:
            # The next camera_info may be under way, and may be better.
            raise Dropped(drops.BAD_CAMERA_INFO, self._tally.calibration_fault, final=False)
        if self._calibration is None:
            silent = f"no camera_info on {self.camera_info_topic}"
            raise Dropped(drops.NO_CAMERA_INFO, silent, final=False)
        if frame.size is not None:
            self._calibration.check_size(*frame.size)
        parameters, lookup = self._parameters(), self._poses.transforms.lookup
        if not frame.frame_id:
            raise Dropped(drops.NO_TF, "image has no frame_id: set the parameter camera_frame")
        return Needs(
            self._calibration,
            lookup(parameters.fixed_frame, frame.frame_id, frame.stamp_ns),
            lookup(parameters.fixed_frame, parameters.base_frame, frame.stamp_ns),
        )

    def _on_image(self, message: Any) -> None:
        now = time.monotonic()
        self._tally.image(now)
        stamp_ns = to_ns(message.header.stamp)
        try:
            if self._order.jumped_back(stamp_ns):
                self._begin_new_life(stamp_ns)
            self._order.check(stamp_ns)
            size = None
            if isinstance(message, Image):
                check_layout(message)
                size = (message.width, message.height)
        except Dropped as drop:
            self._tally.drop(drop, now)
            return
        frame_id = self._parameters().camera_frame or message.header.frame_id
        for _, drop in self._queue.add(Frame(stamp_ns, frame_id, message, size, now)):
            self._tally.drop(drop, now)
        self.drain()

    def _on_info(self, message: CameraInfo) -> None:
        self._tally.calibration_at = time.monotonic()
        try:
            self._calibration = read_calibration(message, self._rectified)
            self._tally.calibration_fault = ""
        except UserError as error:
            self._calibration = None
            self._tally.calibration_fault = str(error)
        self.drain()

    def _begin_new_life(self, stamp_ns: int) -> None:
        now = time.monotonic()
        self._tally.time_jumps += 1
        self._order.reset()
        self._poses.transforms.time_went_back(stamp_ns)
        for _ in range(self._queue.clear()):
            self._tally.drop(Dropped(drops.TIME_JUMP, "time went back while it waited"), now)
        self._new_life()

    def _on_incompatible_qos(self, event: Any) -> None:
        self._tally.incompatible_qos = qos_policy_name_from_kind(event.last_policy_kind)

    def _transform_fault(self, sentence: str) -> None:
        self._tally.transform_fault = sentence


def _topics(node: Node, parameters: Parameters) -> tuple[str, str]:
    """Resolved topics of images and their camera_info.

    Unless it is remapped itself, camera_info is the neighbour of the image topic, as everywhere in
    ROS.
    """
    image = node.resolve_topic_name("image")
    info = node.resolve_topic_name("camera_info")
    if info == node.get_namespace().rstrip("/") + "/camera_info":
        info = image.rsplit("/", 1)[0] + "/camera_info"
    if parameters.image_transport == "compressed":
        image += "/compressed"
    return image, info
