"""From topics to frames with pose and calibration, in the executor's thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node

from kdbts_ros.density.geometry.poses import Matrix
from kdbts_ros.errors import UserError
from kdbts_ros.node.inputs.admission import LEAP_NS, in_words, is_leap
from kdbts_ros.node.inputs.camera_stream import CameraStream
from kdbts_ros.node.inputs.waiting import Frame, Needs
from kdbts_ros.node.parameters.values import Parameters
from kdbts_ros.node.poses.transforms import PoseSource
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.counters import Counters
from kdbts_ros.node.reporting.drops import Dropped
from kdbts_ros.node.reporting.input_health import StreamSurroundings

# A transform that arrives wakes the images that wait; their patience ends without one. Only while
# some wait: a turn of rclpy's executor takes 2 ms, which fifty times a second is a tenth of a core.
POLL_SECONDS = 0.02
CLOCK = "/clock"


class Intake:
    """The cameras of an active node, the source of their poses, and the clock they live by.

    Args:
        parameters: gives the values of now.
        ready: called with every frame whose needs are met, stamps of a camera ascending.
        new_epoch: called with the stamp it begins at when time jumped and what is under way belongs
            to the past.
    """

    def __init__(
        self,
        node: Node,
        parameters: Callable[[], Parameters],
        counters: Counters,
        ready: Callable[[Frame, Needs], None],
        new_epoch: Callable[[int], None],
    ) -> None:
        self._node, self._counters, self._new_epoch = node, counters, new_epoch
        self._parameters = parameters
        self._poses = PoseSource(node, parameters, self._transform_fault, self.drain)
        self._streams: list[CameraStream] = []
        try:
            for name in parameters().cameras or ("",):
                self._streams.append(
                    CameraStream(
                        node,
                        name,
                        parameters,
                        self._poses.transforms,
                        counters,
                        self._poses.catch_up,
                        ready,
                        self._begin_epoch,
                        self._poll,
                    )
                )
        except UserError:
            for stream in self._streams:
                stream.close()
            raise
        self._open()

    def _open(self) -> None:
        node = self._node
        self._timer = node.create_timer(
            POLL_SECONDS, self._look_again, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        threshold = JumpThreshold(
            min_forward=Duration(nanoseconds=LEAP_NS),
            min_backward=Duration(seconds=-0.1),
            on_clock_change=True,
        )
        self._jump = node.get_clock().create_jump_callback(
            threshold, post_callback=self._on_clock_jump
        )
        self._poses.start()

    def close(self, why: Dropped) -> None:
        """Listen no more; frames that still wait are dropped for that reason."""
        self._poses.stop()
        self._jump.unregister()
        self._node.destroy_timer(self._timer)
        self._drop([(stream.name, stream.close()) for stream in self._streams], why)

    @property
    def reference(self) -> str:
        """Name of the camera whose images become maps."""
        return self._streams[0].name

    @property
    def topics(self) -> str:
        """What is listened to, in words."""
        return ", ".join(f"{s.image_topic} and {s.camera_info_topic}" for s in self._streams)

    def pose(self, frame: str, stamp_ns: int) -> Matrix:
        """(4,4) T_fixed_frame at exactly that stamp; raises TransformUnavailable."""
        return self._poses.transforms.lookup(self._parameters().fixed_frame, frame, stamp_ns)

    def surroundings(self, now: float) -> tuple[StreamSurroundings, ...]:
        """What `now`, monotonic s, is to be seen of each camera's topics."""
        return tuple(stream.surroundings(now) for stream in self._streams)

    def drain(self) -> None:
        """Hand on every frame whose needs are met; drop those that waited long enough."""
        for stream in self._streams:
            stream.drain()

    def _poll(self) -> None:
        """Look again soon, and until no frame waits."""
        if self._timer.is_canceled():
            self._timer.reset()

    def _look_again(self) -> None:
        self.drain()
        if not any(stream.waiting for stream in self._streams):
            self._timer.cancel()

    def _on_clock_jump(self, jump: Any) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        ahead = jump.delta.nanoseconds > 0
        if not ahead or is_leap(now_ns - jump.delta.nanoseconds, now_ns):
            self._begin_epoch(now_ns, CLOCK, jump.delta.nanoseconds / 1e9)

    def _begin_epoch(self, stamp_ns: int, topic: str, seconds: float) -> None:
        """Time jumped by so many seconds, as a topic told."""
        self._counters.time_jumps += 1
        if self._counters.jumps.add(topic, time.monotonic()):
            self._node.get_logger().warning(
                f"time jumped {in_words(seconds)}, as told by {topic}: poses, views and images of "
                "before are dropped"
            )
        self._poses.transforms.time_jumped(stamp_ns)
        past = Dropped(drops.TIME_JUMP, "time jumped while it waited")
        self._drop([(stream.name, stream.begin_epoch(stamp_ns)) for stream in self._streams], past)
        self._new_epoch(stamp_ns)

    def _drop(self, waiting: list[tuple[str, int]], why: Dropped) -> None:
        """Account for so many frames of each camera."""
        for camera, count in waiting:
            for _ in range(count):
                self._counters.drop(why, time.monotonic(), camera)

    def _transform_fault(self, sentence: str) -> None:
        self._counters.transform_fault = sentence
        self._counters.transform_fault_at = time.monotonic()
