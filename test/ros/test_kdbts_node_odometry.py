"""The other inputs: odometry, compressed images and simulated time; and parameters while active."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage

from kdbts_ros.node.outputs.messages import header, to_time
from test.ros.robot import HEIGHT, SECOND, WIDTH, NodeProcess, Robot, info

START = 500 * SECOND


@pytest.fixture(scope="module")
def node(start: Callable[..., NodeProcess], checkpoint: object) -> NodeProcess:
    return start(
        checkpoint=checkpoint,
        device="cpu",
        range_m=8,
        resolution=0.5,
        pose_source="odometry",
        image_transport="compressed",
        use_sim_time="true",
    )


class Simulation:
    """A simulator in front of `Robot`: /clock, odometry and JPEG images."""

    def __init__(self, robot: Robot) -> None:
        self.robot = robot
        publisher = robot.node.create_publisher
        self.clock = publisher(Clock, "/clock", QoSProfile(depth=10))
        self.odometry = publisher(Odometry, "odom", QoSProfile(depth=10))
        self.images = publisher(CompressedImage, "image/compressed", QoSProfile(depth=10))
        self.diagnostics: list[DiagnosticArray] = []
        robot.listen(DiagnosticArray, "/diagnostics", self.diagnostics, QoSProfile(depth=10))

    def step(self, stamp_ns: int, data: bytes = b"") -> None:
        self.clock.publish(Clock(clock=to_time(stamp_ns)))
        for offset in (-SECOND // 10, SECOND // 10):
            pose = Odometry(header=header(stamp_ns + offset, "odom"), child_frame_id="base_link")
            pose.pose.pose.position.x = (stamp_ns + offset) / SECOND
            pose.pose.pose.orientation.w = 1.0
            self.odometry.publish(pose)
        self.robot.infos.publish(info(stamp_ns))
        grey = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        jpeg = data or cv2.imencode(".jpg", grey)[1].tobytes()
        image = CompressedImage(header=header(stamp_ns, "camera"), format="jpeg")
        image.data = array("B", jpeg)
        self.images.publish(image)

    def map(self, stamp_ns: int) -> None:
        self.step(stamp_ns)
        assert self.robot.spin_until(lambda: self.robot.has_map(stamp_ns)), "no map came"


@pytest.fixture(scope="module")
def simulation(node: NodeProcess, robot: Robot) -> Simulation:
    made = Simulation(robot)
    node.wait_for_log("active on")
    outputs = (made.clock, made.odometry, made.images, robot.infos, robot.tf_static)
    assert robot.spin_until(lambda: all(p.get_subscription_count() for p in outputs), 60)
    robot.spin(0.5)
    return made


def test_maps_come_from_odometry_and_jpeg(simulation: Simulation) -> None:
    simulation.map(START)
    origin = simulation.robot.grids[-1].info.origin.position
    assert abs(origin.x + 8 - START / SECOND) <= 0.5


def test_unreadable_jpeg_is_counted(simulation: Simulation) -> None:
    simulation.step(START + SECOND, data=b"not a picture")
    simulation.robot.spin(0.3)
    simulation.map(START + 2 * SECOND)
    assert simulation.robot.drops()["bad_image"] == 1


def test_a_clock_set_back_begins_anew(simulation: Simulation) -> None:
    simulation.map(START + 3 * SECOND)
    for stamp in (100 * SECOND, 101 * SECOND):
        simulation.map(stamp)


def set_parameter(robot: Robot, name: str, value: Any) -> SetParametersResult:
    client = robot.node.create_client(SetParameters, "/kdbts/set_parameters")
    assert client.wait_for_service(20)
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    future = client.call_async(request)
    assert robot.spin_until(future.done, 30)
    robot.node.destroy_client(client)
    return future.result().results[0]


def test_live_parameters_change_the_next_map(simulation: Simulation) -> None:
    robot = simulation.robot
    cells = []
    for index, threshold in enumerate((0.01, 0.99)):
        assert set_parameter(robot, "occupied_threshold", threshold).successful
        simulation.map((110 + index) * SECOND)
        cells.append((np.array(robot.grids[-1].data) == 100).sum())
    assert cells[0] > cells[1]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("range_m", 9.0, "read by configure"),
        ("height_min", 9.0, "below 'height_max'"),
        ("occupied_threshold", -0.1, "occupied_threshold"),
        ("completed_cells", "maybe", "one of keep, discount, unknown"),
    ],
)
def test_other_changes_are_refused_in_words(
    simulation: Simulation, name: str, value: Any, words: str
) -> None:
    result = set_parameter(simulation.robot, name, value)
    assert not result.successful
    assert words in result.reason


def test_diagnostics_tell_of_everything_a_map_needs(simulation: Simulation) -> None:
    simulation.diagnostics.clear()
    assert simulation.robot.spin_until(lambda: bool(simulation.diagnostics))
    names = {status.name for status in simulation.diagnostics[-1].status}
    inputs = ("input", "time", "pose")
    said = ("lifecycle", "name", *inputs, "camera", "inference", "callbacks", "engine")
    assert names == {f"kdbts: {name}" for name in said}


def test_the_node_ends_when_told(simulation: Simulation, node: NodeProcess) -> None:
    assert node.stop() == 0
    assert "Traceback" not in node.text()
