"""One camera's images and calibration, waiting in the order of their stamps for their poses."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from kdbts_ros.datasets.ros.pose_rules import frame_name, image_frame
from kdbts_ros.datasets.ros.sample_depth import SampleDepth
from kdbts_ros.node.inputs.admission import OneCamera, Sender, StampOrder, check_lead
from kdbts_ros.node.inputs.calibrations import Calibrations, Reading
from kdbts_ros.node.inputs.camera_messages import CalibrationReader, check_layout, is_rectified
from kdbts_ros.node.inputs.subscriptions import CameraInputs, camera_topics
from kdbts_ros.node.inputs.waiting import Frame, Needs, WaitingQueue
from kdbts_ros.node.outputs.messages import to_ns
from kdbts_ros.node.parameters.values import Parameters
from kdbts_ros.node.poses.transforms import Transforms
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.counters import Counters
from kdbts_ros.node.reporting.drops import Dropped, as_dropped
from kdbts_ros.node.reporting.graph import (
    CAMERA_INFO,
    COMPRESSED,
    IMAGE,
    publishers,
    topics_of_others,
)
from kdbts_ros.node.reporting.input_health import StreamSurroundings


class CameraStream:
    """Subscriptions of one camera and the queue behind them.

    Args:
        name: of the camera; empty for the only one.
        parameters: gives the values of now.
        catch_up: called before poses are looked up; has all transforms that have arrived taken.
        ready: called with every frame whose needs are met, stamps ascending.
        jumped: called when an image begins a new epoch, with its stamp, the topic and the seconds
            by which time jumped.
        waits: called when a frame is left waiting: `drain` must be called until none is.

    Raises:
        UserError: the middleware refuses a subscription.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        parameters: Callable[[], Parameters],
        transforms: Transforms,
        counters: Counters,
        catch_up: Callable[[], None],
        ready: Callable[[Frame, Needs], None],
        jumped: Callable[[int, str, float], None],
        waits: Callable[[], None],
    ) -> None:
        self.name = name
        self._node, self._parameters, self._counters = node, parameters, counters
        self._transforms, self._catch_up = transforms, catch_up
        self._ready, self._jumped, self._waits = ready, jumped, waits
        self._account = counters.stream(name)
        self._queue = WaitingQueue(parameters().queue_length)
        self._order = StampOrder()
        self._samples = SampleDepth()
        self._published_since: float | None = None
        self._tells_publishers = True
        topics = camera_topics(node, name, parameters().image_transport)
        self.image_topic, self.camera_info_topic = topics.image, topics.info
        self._one_camera = OneCamera(topics.image, self._is_there)
        self._reader = CalibrationReader(is_rectified(parameters().rectified, topics.image))
        self._calibrations = Calibrations(topics.info)
        self._inputs = CameraInputs(
            node,
            topics,
            parameters().image_reliability == "reliable",
            self._on_image,
            self._on_info,
            self._on_incompatible_qos,
        )

    def close(self) -> int:
        """Listen no more; how many frames were still waiting."""
        self._inputs.close()
        return self._queue.clear()

    def surroundings(self, now: float) -> StreamSurroundings:
        """What `now`, monotonic s, is to be seen of the camera's topics."""
        images, infos = self._inputs.look_around()
        if not images:
            self._published_since = None
        elif self._published_since is None:
            self._published_since = now
        seen = StreamSurroundings(
            camera=self.name,
            image_topic=self.image_topic,
            camera_info_topic=self.camera_info_topic,
            reliability=self._parameters().image_reliability,
            kind=self._inputs.kind,
            images=images,
            infos=infos,
            published_since=self._published_since,
            joined=self._calibrations.joined,
            tells_publishers=self._tells_publishers,
            fault=self._inputs.fault,
        )
        # The whole graph is looked through only for a cure.
        if not images:
            seen = replace(seen, other_images=topics_of_others(self._node, (IMAGE, COMPRESSED)))
        if not infos:
            seen = replace(seen, other_infos=topics_of_others(self._node, (CAMERA_INFO,)))
        return seen

    def begin_epoch(self, stamp_ns: int) -> int:
        """Forget the order of stamps and what waits; how many frames that were."""
        self._order.reset()
        self._calibrations.new_epoch(stamp_ns)
        return self._queue.clear()

    def drain(self) -> None:
        """Hand on every frame whose needs are met; drop those that waited long enough."""
        if not self.waiting:
            return
        self._catch_up()
        now = time.monotonic()
        resolved = self._queue.resolve(self._needs, now, self._parameters().tf_timeout)
        for _, drop in resolved.dropped:
            self._counters.drop(drop, now, self.name)
        for frame, needs in resolved.ready:
            try:
                self._hand_on(frame, needs, now)
            except Exception as error:  # the other frames must not be lost to one
                self._counters.drop(as_dropped(error), now, self.name)
        if self.waiting:
            self._waits()

    @property
    def waiting(self) -> int:
        """Frames that wait for their pose or calibration."""
        return len(self._queue)

    def _hand_on(self, frame: Frame, needs: Needs, now: float) -> None:
        self._order.check(frame.stamp_ns)
        self._order.used(frame.stamp_ns)
        self._counters.posed(now, self.name)
        self._ready(replace(frame, frame_id=self._frame_id(frame, self._reading(frame))), needs)

    def _needs(self, frame: Frame) -> Needs:
        reading = self._reading(frame)
        if reading.calibration is None:
            # Unless it is the image's own, a better one may be under way.
            final = reading.stamp_ns == frame.stamp_ns
            raise Dropped(drops.BAD_CAMERA_INFO, reading.fault, final=final)
        if frame.size is not None:
            reading.calibration.check_size(*frame.size)
        self._account.good_at = time.monotonic()
        frame_id = self._frame_id(frame, reading)
        if not frame_id:
            nameless = (
                "neither image nor camera_info has a frame_id: set the parameter camera_frame"
            )
            raise Dropped(drops.NO_TF, nameless)
        parameters, lookup = self._parameters(), self._transforms.lookup
        return Needs(
            reading.calibration,
            lookup(parameters.fixed_frame, frame_id, frame.stamp_ns),
            lookup(parameters.fixed_frame, parameters.base_frame, frame.stamp_ns),
        )

    def _reading(self, frame: Frame) -> Reading:
        """The camera_info that belongs to an image."""
        waited = time.monotonic() - frame.arrived
        return self._calibrations.of(frame.stamp_ns, waited, self._parameters().tf_timeout)

    @staticmethod
    def _frame_id(frame: Frame, reading: Reading) -> str:
        """The frame of the image holds; that of its camera_info where it names none."""
        return image_frame(frame.frame_id, frame_name(reading.frame_id))

    def _on_image(self, message: Any, about: Any) -> None:
        now = time.monotonic()
        self._counters.image(now, self.name)
        try:
            displaced = self._admit(message, about, now)
        except Exception as error:  # every image is accounted for, whatever is wrong with it
            displaced = [as_dropped(error)]
        for drop in displaced:
            self._counters.drop(drop, now, self.name)
        self.drain()

    def _admit(self, message: Any, about: Any, now: float) -> list[Dropped]:
        """Let an image wait for what it needs; why those had to go that made room for it."""
        head = message.header
        stamp_ns = to_ns(head.stamp)
        size = (message.width, message.height) if isinstance(message, Image) else None
        self._check(message, Sender(_gid(about), head.frame_id, size), stamp_ns, now)
        frame_id = self._parameters().camera_frame or frame_name(head.frame_id)
        frame = Frame(stamp_ns, frame_id, message, size, now, self.name, self._samples)
        self._calibrations.expect(stamp_ns, head.frame_id, size)
        return [drop for _, drop in self._queue.add(frame)]

    def _check(self, message: Any, sender: Sender, stamp_ns: int, now: float) -> None:
        """Raise Dropped for an image that cannot be used, whatever arrives besides."""
        if isinstance(message, Image):
            # First: the size of a broken one says nothing about its camera.
            check_layout(message)
        self._tells_publishers = bool(sender.publisher)
        if self._one_camera.check(sender, now):
            self._node.get_logger().info(
                f"images on {self.image_topic} now come from another camera, of frame "
                f"'{sender.frame_id}'"
            )
        clock_ns = self._node.get_clock().now().nanoseconds
        check_lead(stamp_ns, clock_ns, self._parameters().max_stamp_lead)
        if self._order.jumped_back(stamp_ns):
            self._check_jump(sender)
            seconds = (stamp_ns - self._order.newest_ns) / 1e9
            self._jumped(stamp_ns, self.image_topic, seconds)
        self._order.check(stamp_ns)

    def _check_jump(self, sender: Sender) -> None:
        """Two publishers that are not told apart must not begin a new epoch in turns."""
        if not sender.publisher and len(publishers(self._node, self.image_topic)) > 1:
            raise Dropped(
                drops.OTHER_CAMERA,
                f"image is older than those before: two publishers on {self.image_topic}",
            )

    def _is_there(self, publisher: str) -> bool:
        found = publishers(self._node, self.image_topic)
        return not publisher or any(publisher == other.gid for other in found)

    def _on_info(self, message: CameraInfo) -> None:
        self._account.calibration_at = time.monotonic()
        calibration, self._account.calibration_fault = self._reader.read(message)
        header = message.header
        self._calibrations.add(
            Reading(
                max(to_ns(header.stamp), 0),
                header.frame_id,
                calibration,
                self._account.calibration_fault,
            )
        )
        self.drain()

    def _on_incompatible_qos(self, policy: str) -> None:
        self._account.incompatible_qos = policy


def _gid(about: Any) -> str:
    """The number of a message's publisher, where rclpy tells it (since Kilted)."""
    gid = about.get("publisher_gid") if about else None
    return bytes(gid["data"]).hex() if gid else ""
