"""From topics to frames with pose and calibration, in the executor's thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node

from kdbts_ros.node import drops
from kdbts_ros.node.camera_stream import CameraStream
from kdbts_ros.node.drops import Dropped
from kdbts_ros.node.health import StreamSurroundings
from kdbts_ros.node.parameters import Parameters
from kdbts_ros.node.pose_sources import PoseSource
from kdbts_ros.node.stamps import LEAP_NS, is_leap
from kdbts_ros.node.tally import Tally
from kdbts_ros.node.waiting import Frame, Needs

# A transform that arrives wakes the images that wait; their patience ends without one.
POLL_SECONDS = 0.02


class Intake:
    """The cameras of an active node, the source of their poses, and the clock they live by.

    Args:
        parameters: gives the values of now.
        ready: called with every frame whose needs are met, stamps of a camera ascending.
        new_life: called with the stamp it begins at when time jumped and what is under way belongs
            to the past.
    """

    def __init__(
        self,
        node: Node,
        parameters: Callable[[], Parameters],
        tally: Tally,
        ready: Callable[[Frame, Needs], None],
        new_life: Callable[[int], None],
    ) -> None:
        self._node, self._tally, self._new_life = node, tally, new_life
        self._poses = PoseSource(node, parameters, self._transform_fault, self.drain)
        self._streams = [
            CameraStream(
                node,
                name,
                parameters,
                self._poses.transforms,
                tally,
                ready,
                self._begin_new_life,
            )
            for name in parameters().cameras or ("",)
        ]
        self._open()

    def _open(self) -> None:
        node = self._node
        self._timer = node.create_timer(
            POLL_SECONDS, self.drain, clock=Clock(clock_type=ClockType.STEADY_TIME)
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

    def close(self) -> int:
        """Listen no more; how many frames were still waiting."""
        self._poses.stop()
        self._jump.unregister()
        self._node.destroy_timer(self._timer)
        return sum(stream.close() for stream in self._streams)

    @property
    def reference(self) -> str:
        """Name of the camera whose images become maps."""
        return self._streams[0].name

    @property
    def topics(self) -> str:
        """What is listened to, in words."""
        return ", ".join(f"{s.image_topic} and {s.camera_info_topic}" for s in self._streams)

    def surroundings(self, now: float) -> tuple[StreamSurroundings, ...]:
        """What `now`, monotonic s, is to be seen of each camera's topics."""
        return tuple(stream.surroundings(now) for stream in self._streams)

    def drain(self) -> None:
        """Hand on every frame whose needs are met; drop those that waited long enough."""
        for stream in self._streams:
            stream.drain()

    def _on_clock_jump(self, jump: Any) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        ahead = jump.delta.nanoseconds > 0
        if not ahead or is_leap(now_ns - jump.delta.nanoseconds, now_ns):
            self._begin_new_life(now_ns)

    def _begin_new_life(self, stamp_ns: int) -> None:
        now = time.monotonic()
        self._tally.time_jumps += 1
        self._poses.transforms.time_jumped(stamp_ns)
        past = Dropped(drops.TIME_JUMP, "time jumped while it waited")
        for _ in range(sum(stream.begin_new_life() for stream in self._streams)):
            self._tally.drop(past, now)
        self._new_life(stamp_ns)

    def _transform_fault(self, sentence: str) -> None:
        self._tally.transform_fault = sentence
        self._tally.transform_fault_at = time.monotonic()
