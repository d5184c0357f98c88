"""Images that wait are looked after until their patience ends; where none waits, nothing turns."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from kdbts_ros.node.inputs.intake import Intake
from kdbts_ros.node.parameters.values import Parameters
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.counters import Counters
from kdbts_ros.node.reporting.drops import Dropped
from test.ros.robot import SECOND, info, picture


@pytest.mark.usefixtures("context")
def test_images_are_looked_after_only_while_some_wait() -> None:
    node, driver = rclpy.create_node("taker"), rclpy.create_node("camera_of_taker")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    parameters = Parameters(tf_timeout=0.3, image_reliability="reliable")
    counters = Counters(time.monotonic())
    intake = Intake(node, lambda: parameters, counters, lambda *_: None, lambda _: None)
    images = driver.create_publisher(Image, "image", QoSProfile(depth=5))
    infos = driver.create_publisher(CameraInfo, "camera_info", QoSProfile(depth=5))

    def turn_until(done: Callable[[], object], seconds: float = 60.0) -> bool:
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
        return bool(done())

    def rests() -> bool:
        return all(timer.is_canceled() for timer in node.timers)

    assert turn_until(rests), "nothing waits yet"
    assert turn_until(lambda: images.get_subscription_count() and infos.get_subscription_count())
    for count in (1, 2):
        stamp = 100 * SECOND + count * SECOND
        infos.publish(info(stamp))
        images.publish(picture(stamp))
        # No transform ever comes: nothing but the timer can end the wait.
        assert turn_until(lambda: not rests())
        assert turn_until(lambda n=count: counters.dropped.total() == n)
        assert turn_until(rests)
    assert set(counters.dropped) <= set(drops.POSE_REASONS)
    intake.close(Dropped(drops.DEACTIVATED, "over"))
    executor.shutdown()
    node.destroy_node()
    driver.destroy_node()
