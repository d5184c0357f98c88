"""Several cameras and several views, and what jumps of time and pose do to them, over DDS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from geometry_msgs.msg import TransformStamped
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from kdbts_ros.density.checkpoints.checkpoint import save_network
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.node.outputs.messages import to_time
from test.density.networks import thin_spec
from test.ros.robot import (
    HEIGHT,
    SECOND,
    WIDTH,
    NodeProcess,
    Robot,
    base_at,
    camera_mount,
    info,
    picture,
)

START = 500 * SECOND


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a network that fuses views."""
    torch.manual_seed(0)
    spec = thin_spec("mvbts", (8, 8, 8), (WIDTH, HEIGHT))
    path = tmp_path_factory.mktemp("weights") / "tiny_mvbts.safetensors"
    return save_network(path, DensityNetwork(spec), {"licence": "none"})


@pytest.fixture(scope="module")
def node(start: Callable[..., NodeProcess], checkpoint: Path) -> NodeProcess:
    return start(
        checkpoint=checkpoint,
        device="cpu",
        range_m=8,
        resolution=0.5,
        mode="mvbts",
        cameras="[front, left]",
        min_overlap=0.0,
        use_sim_time="true",
    )


class Rig:
    """Two cameras on the robot, which moves 2 m a frame, and its simulator's clock."""

    def __init__(self, robot: Robot) -> None:
        self.robot = robot
        publisher, qos = robot.node.create_publisher, QoSProfile(depth=10)
        self.clock = publisher(Clock, "/clock", qos)
        self.images = {n: publisher(Image, f"{n}/image", qos) for n in ("front", "left")}
        self.infos = {n: publisher(CameraInfo, f"{n}/camera_info", qos) for n in ("front", "left")}
        mounts = [camera_mount(), camera_mount()]
        for mount, name in zip(mounts, ("front", "left"), strict=True):
            mount.child_frame_id = f"{name}_optical"
        mounts[1].transform.translation.y = 0.5
        robot.tf_static.publish(TFMessage(transforms=mounts))

    def see(self, stamp_ns: int, camera: str = "front", x: float | None = None) -> None:
        """An image of that instant; the robot is at x, by default the stamp in seconds times 2."""
        self.move(stamp_ns, x)
        self.show(stamp_ns, camera)

    def move(self, stamp_ns: int, x: float | None = None) -> None:
        for offset in (-SECOND // 20, SECOND // 20):
            pose: TransformStamped = base_at(stamp_ns + offset)
            at = 2 * ((stamp_ns + offset) / SECOND % 1000)
            pose.transform.translation.x = at if x is None else x
            self.robot.tf.publish(TFMessage(transforms=[pose]))

    def show(self, stamp_ns: int, camera: str) -> None:
        calibration, image = info(stamp_ns), picture(stamp_ns)
        for message in (calibration, image):
            message.header.frame_id = f"{camera}_optical"
        self.infos[camera].publish(calibration)
        self.images[camera].publish(image)

    def map(self, stamp_ns: int, x: float | None = None) -> None:
        """A front image and its map."""
        self.see(stamp_ns, "front", x)
        assert self.robot.spin_until(lambda: self.robot.has_map(stamp_ns)), "no map came"

    @property
    def views_used(self) -> int:
        return int(self.robot.reports[-1].views_used)

    def drive(self, start_ns: int, frames: int = 3) -> int:
        """Maps at a frame a second; the last stamp."""
        for index in range(frames):
            self.map(start_ns + index * SECOND)
        return start_ns + (frames - 1) * SECOND


@pytest.fixture(scope="module")
def rig(node: NodeProcess, robot: Robot) -> Rig:
    made = Rig(robot)
    node.wait_for_log("active on")
    topics = (made.clock, robot.tf, robot.tf_static, *made.images.values(), *made.infos.values())
    assert robot.spin_until(lambda: all(p.get_subscription_count() for p in topics), 60)
    robot.spin(0.5)
    return made


def test_views_add_up_without_a_clock(rig: Rig) -> None:
    """use_sim_time is set and nobody publishes /clock: stamps alone decide."""
    rig.map(START)
    assert rig.robot.reports[-1].mode == "kdbts" and rig.views_used == 1
    rig.drive(START + SECOND)
    report = rig.robot.reports[-1]
    assert report.mode == "mvbts" and report.views_used == report.views_kept == 4
    assert report.views_bytes > 0 and report.time_jumps == 0


def test_another_camera_adds_views_at_its_own_stamps(rig: Rig) -> None:
    maps = rig.robot.reports[-1].maps_out
    kept = rig.robot.reports[-1].views_kept
    rig.see(START + 3 * SECOND + SECOND // 3, "left")
    rig.robot.spin(1.0)
    rig.map(START + 4 * SECOND)
    report = rig.robot.reports[-1]
    assert report.maps_out == maps + 1 and report.views_in == 1
    assert report.views_kept > kept
    assert report.frames_in == report.maps_out + report.views_in + sum(report.drop_counts)


def test_a_leap_of_the_pose_leaves_one_view(rig: Rig) -> None:
    rig.map(START + 5 * SECOND, x=900.0)
    report = rig.robot.reports[-1]
    assert report.pose_jumps == 1 and report.views_used == report.views_kept == 1


def test_a_bag_that_loops_leaves_one_view_and_goes_on(rig: Rig) -> None:
    start = START - 100 * SECOND
    for _ in range(2):
        jumps = rig.robot.reports[-1].time_jumps
        rig.map(start)
        report = rig.robot.reports[-1]
        assert report.time_jumps == jumps + 1
        assert report.views_used == report.views_kept == 1
        rig.drive(start + SECOND, 2)
        assert rig.views_used > 1


def test_clocks_that_jump_clear_the_views_too(rig: Rig) -> None:
    for now in (300 * SECOND, 600 * SECOND, 200 * SECOND):
        jumps = rig.robot.reports[-1].time_jumps
        rig.clock.publish(Clock(clock=to_time(now)))
        rig.robot.spin(0.3)
        rig.map(now)
        report = rig.robot.reports[-1]
        assert report.views_used == report.views_kept == 1, now
        # The first reading of a clock is no jump; the stamps then tell of it.
        assert report.time_jumps == jumps + 1
        rig.clock.publish(Clock(clock=to_time(now + SECOND)))
        rig.map(now + SECOND)
        assert rig.views_used == 2


def test_stamps_of_the_future_cost_their_own_image_alone(rig: Rig) -> None:
    before = rig.robot.drops()
    rig.show(280 * SECOND, "front")
    rig.robot.spin(0.3)
    rig.map(201 * SECOND + SECOND // 2)
    gained = rig.robot.drops().get("future_stamp", 0) - before.get("future_stamp", 0)
    assert gained == 1 and rig.views_used > 1


def test_the_node_ends_when_told(rig: Rig, node: NodeProcess) -> None:
    assert node.stop() == 0
    assert "Traceback" not in node.text()
