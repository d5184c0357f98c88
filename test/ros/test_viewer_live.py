"""What is on the topics, as it appears, reaches the viewer."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from nav_msgs.msg import OccupancyGrid
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String

from kdbts_ros.density.maps.grid import GridWindow
from kdbts_ros.node.outputs import messages
from kdbts_ros.viewer.live import Listener
from kdbts_ros.viewer.messages import MessageLog
from kdbts_ros.viewer.scene_log import SceneLog
from test.viewer.standin import RERUN, Stream

DOMAIN = 40 + os.getpid() % 50
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Node, Node]]:
    """A robot and a viewer on a domain of their own, on this machine only."""
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    pair = [rclpy.create_node(name, context=context) for name in ("robot", "viewer")]
    yield pair[0], pair[1]
    for node in pair:
        node.destroy_node()
    rclpy.shutdown(context=context)


def test_late_and_lossy_topics_are_shown(nodes: tuple[Node, Node]) -> None:
    robot, viewer = nodes
    head = Header(stamp=Time(sec=7), frame_id="odom")
    cells = np.zeros((4, 4), np.int8)
    robot.create_publisher(OccupancyGrid, "/kdbts/occupancy", LATCHED).publish(
        messages.occupancy_grid(head, GridWindow(0.5, 4, 4, 0.0, 0.0), cells, 0.0)
    )
    images = robot.create_publisher(Image, "/camera/image_raw", BEST_EFFORT)
    robot.create_publisher(String, "/chatter", 1)
    stream = Stream()
    told: list[set[str]] = []
    log = MessageLog(SceneLog(RERUN, stream))
    listener = Listener(viewer, log, lambda types: told.append(set(types)))
    picture = messages.rgb_image(head, np.full((6, 8, 3), 9, np.uint8))
    try:
        for _ in range(100):
            images.publish(picture)
            listener.spin(0.1)
            if stream.of("GridMap") and stream.of("Image"):
                break
    finally:
        listener.close()
    (_, entity, grid) = stream.of("GridMap")[0]
    assert entity == "/kdbts/occupancy" and grid.named["cell_size"] == 0.5
    assert stream.of("Image")[0][2].positional[0].shape == (6, 8, 3)
    assert {"/kdbts/occupancy", "/camera/image_raw"} <= told[-1]
    assert "/chatter" not in told[-1] and log.faults == {}
