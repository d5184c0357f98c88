"""`kdbts_node` in its own process, and a robot that feeds it and listens, over DDS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import OccupancyGrid
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from kdbts_ros import tether
from kdbts_ros.msg import InferenceReport
from kdbts_ros.node.outputs.messages import to_ns, to_time
from kdbts_ros.node.outputs.reports import tells_of_a_map

ROOT = Path(__file__).resolve().parents[2]
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
NODE = ("-m", "kdbts_ros.node.start")
WIDTH, HEIGHT = 96, 64
SECOND = 1_000_000_000
# A quaternion from the optical frame to a body frame (x forward, z up).
OPTICAL_IN_BODY = (-0.5, 0.5, -0.5, 0.5)


def environment() -> dict[str, str]:
    """Ours, with a domain of this run, local discovery, and the message checks switched on."""
    return os.environ | {
        # Domains above 101 collide with the ephemeral ports of Linux.
        "ROS_DOMAIN_ID": str(1 + os.getpid() % 100),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_PYTHON_CHECK_FIELDS": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }


class NodeProcess:
    """`kdbts_node` as users start it, but tied to this process: killed tests leave none behind."""

    def __init__(self, log: Path, arguments: list[str], program: tuple[str, ...] = NODE) -> None:
        self.log = log
        command = [sys.executable, *program, "--ros-args", *arguments]
        if program[0] == "-m":
            command = tether.command(program[1], [*program[2:], "--ros-args", *arguments])
        with log.open("w") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=environment(), cwd=ROOT
            )

    def text(self) -> str:
        return self.log.read_text()

    def wait_for_log(self, words: str, seconds: float = 180) -> None:
        until(lambda: words in self.text() or self.process.poll() is not None, seconds)
        assert words in self.text(), self.text()

    def stop(self, how: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; whether it came true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


class Robot:
    """Drives along x at 1 m/s with a camera 1.5 m up, and listens to the node.

    In a namespace its topics are there, those of transforms included.
    """

    def __init__(self, namespace: str = "") -> None:
        self.node = rclpy.create_node("robot", namespace=namespace)
        space = f"/{namespace}" if namespace else ""
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        reliable = QoSProfile(depth=10)
        self.images = self.node.create_publisher(Image, "image", reliable)
        self.infos = self.node.create_publisher(CameraInfo, "camera_info", reliable)
        self.tf = self.node.create_publisher(TFMessage, f"{space}/tf", QoSProfile(depth=100))
        self.tf_static = self.node.create_publisher(TFMessage, f"{space}/tf_static", LATCHED)
        self.tf_static.publish(TFMessage(transforms=[camera_mount()]))
        self.grids: list[OccupancyGrid] = []
        # Every account, and those of maps.
        self.accounts: list[InferenceReport] = []
        self.reports: list[InferenceReport] = []
        self.listen(OccupancyGrid, f"{space}/kdbts/occupancy", self.grids, LATCHED)
        self.node.create_subscription(
            InferenceReport, f"{space}/kdbts/report", self._hear, reliable
        )

    def _hear(self, report: InferenceReport) -> None:
        self.accounts.append(report)
        if tells_of_a_map(report):
            self.reports.append(report)

    def listen(self, kind: type, topic: str, into: list[Any], qos: QoSProfile) -> Any:
        return self.node.create_subscription(kind, topic, into.append, qos)

    def spin_until(self, condition: Callable[[], bool], seconds: float = 60) -> bool:
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.05)
        return condition()

    def spin(self, seconds: float) -> None:
        self.spin_until(lambda: False, seconds)

    def wait_until_connected(self, seconds: float = 180) -> None:
        def connected() -> bool:
            inputs = (self.images, self.infos, self.tf, self.tf_static)
            return all(p.get_subscription_count() > 0 for p in inputs)

        assert self.spin_until(connected, seconds), "the node did not subscribe"
        # Both ends must have matched, not only ours.
        self.spin(0.5)

    def move(self, *stamps_ns: int) -> None:
        """Publish where the robot is: x equals the stamp in seconds, modulo 1000."""
        self.tf.publish(TFMessage(transforms=[base_at(stamp) for stamp in stamps_ns]))

    def see(self, stamp_ns: int, **changes: Any) -> None:
        """Publish an image with its camera_info."""
        self.infos.publish(info(stamp_ns))
        self.images.publish(picture(stamp_ns, **changes))

    def step(self, stamp_ns: int, seconds: float = 60) -> OccupancyGrid:
        """One image with its pose, and the map that comes of it."""
        self.move(stamp_ns - SECOND // 10, stamp_ns + SECOND // 10)
        self.see(stamp_ns)
        came = self.spin_until(lambda: self.has_map(stamp_ns), seconds)
        assert came, f"no map came; the last accounts: {self.accounts[-3:]}"
        return self.grids[-1]

    def has_map(self, stamp_ns: int) -> bool:
        """The newest map and the newest report are of that image."""
        newest = [messages[-1:] for messages in (self.grids, self.reports)]
        return all(m and to_ns(m[0].header.stamp) == stamp_ns for m in newest)

    def drops(self) -> dict[str, int]:
        """Counts of the newest account."""
        report = self.accounts[-1]
        return dict(zip(report.drop_reasons, report.drop_counts, strict=True))

    def change_state(self, transition: int) -> bool:
        request = ChangeState.Request()
        request.transition.id = transition
        return bool(self.call(ChangeState, "change_state", request).success)

    def request_state(self, transition: int) -> None:
        """Ask for a transition, and do not wait for its end."""
        client = self.node.create_client(ChangeState, "/kdbts/change_state")
        assert client.wait_for_service(60)
        request = ChangeState.Request()
        request.transition.id = transition
        client.call_async(request)

    def call(self, kind: type, service: str, request: Any) -> Any:
        """The answer of a service of the node."""
        client = self.node.create_client(kind, f"/kdbts/{service}")
        assert client.wait_for_service(60)
        future = client.call_async(request)
        # A transition may load a model.
        assert self.spin_until(future.done, 180), f"{service} did not answer"
        self.node.destroy_client(client)
        return future.result()

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()


def camera_mount() -> TransformStamped:
    mount = TransformStamped(child_frame_id="camera")
    mount.header.frame_id = "base_link"
    mount.transform.translation.z = 1.5
    q = mount.transform.rotation
    q.x, q.y, q.z, q.w = OPTICAL_IN_BODY
    return mount


def base_at(stamp_ns: int) -> TransformStamped:
    pose = TransformStamped(child_frame_id="base_link")
    pose.header.frame_id = "odom"
    pose.header.stamp = to_time(stamp_ns)
    pose.transform.translation.x = (stamp_ns / SECOND) % 1000
    pose.transform.rotation.w = 1.0
    return pose


def info(stamp_ns: int, **changes: Any) -> CameraInfo:
    message = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model="plumb_bob")
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = "camera"
    message.d = array("d", [0.0] * 5)
    message.k = np.array([60.0, 0, 47.5, 0, 60, 31.5, 0, 0, 1])
    message.p = np.array([60.0, 0, 47.5, 0, 0, 60, 31.5, 0, 0, 0, 1, 0])
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def picture(stamp_ns: int, **changes: Any) -> Image:
    message = Image(width=WIDTH, height=HEIGHT, encoding="rgb8", step=3 * WIDTH)
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = "camera"
    message.data = array("B", bytes(3 * WIDTH * HEIGHT))
    for name, value in changes.items():
        setattr(message, name, value)
    return message
