"""What the node tells beside its map: to who listens, at the image's stamp, and never instead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2
from visualization_msgs.msg import MarkerArray

from kdbts_ros.density.clouds import CELL_POINT, SURFACE_POINT
from kdbts_ros.msg import OccupancyVolume
from kdbts_ros.node import kdbts_node
from kdbts_ros.node.outputs.messages import to_ns
from test.ros.robot import SECOND, NodeProcess, Robot
from test.ros.test_kdbts_node_publishing import Engine, Rig

START = 800 * SECOND
TOPICS: dict[str, tuple[type, str]] = {
    "points": (PointCloud2, "base_link"),
    "surface_points": (PointCloud2, "camera"),
    "volume": (OccupancyVolume, "odom"),
    "views": (MarkerArray, "odom"),
    "novel_view": (Image, "base_link"),
}
RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)


class Beside:
    """Tells two points of each kind, and remembers what was asked and by whom."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.threads: set[str] = set()
        self.broken = ""
        self.computing, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def occupied_cells(self) -> np.ndarray:
        return self._answer("points", np.zeros(2, CELL_POINT))

    def surface(self, T_fixed_frame: np.ndarray) -> np.ndarray:
        assert T_fixed_frame[2, 3] == 1.5, "where the camera is mounted"
        return self._answer("surface_points", np.zeros(2, SURFACE_POINT))

    def novel_view(self, behind: float, above: float) -> np.ndarray:
        assert (behind, above) == (4.0, 3.0)
        return self._answer("novel_view", np.zeros((2, 4, 3), np.uint8))

    def _answer(self, name: str, found: np.ndarray) -> np.ndarray:
        self.asked.append(name)
        self.threads.add(threading.current_thread().name)
        self.computing.set()
        assert self.go_on.wait(60)
        if name == self.broken:
            raise MemoryError("no room")
        return found


@pytest.fixture
def rig(robot: Robot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    engine = Engine()
    engine.beside = Beside()
    monkeypatch.setattr(kdbts_node.loading, "load", lambda parameters, tell: engine)
    made = Rig(robot, engine)
    yield made
    engine.beside.go_on.set()
    made.close()


def listen(rig: Rig, *names: str) -> dict[str, list[Any]]:
    """What is heard on topics, once both ends have matched."""
    heard: dict[str, list[Any]] = {name: [] for name in names}
    for name in names:
        topic, qos = f"/kdbts/{name}", qos_profile_sensor_data
        rig.late.append(rig.robot.listen(TOPICS[name][0], topic, heard[name], qos))
    assert rig.turn(lambda: all(heard_by(rig, name) == 1 for name in names))
    return heard


def heard_by(rig: Rig, name: str) -> int:
    """How many listeners the node knows of."""
    publishers = [publisher for publisher, _ in rig.node._outputs._beside._outputs]
    (found,) = [p for p in publishers if p.topic_name == f"/kdbts/{name}"]
    return int(found.get_subscription_count())


def test_nothing_is_computed_for_topics_nobody_hears(rig: Rig) -> None:
    rig.map_of(START)
    assert rig.engine.beside.asked == []
    heard = listen(rig, "points")
    rig.map_of(START + SECOND)
    assert rig.turn(lambda: bool(heard["points"]))
    assert rig.engine.beside.asked == ["points"]
    assert rig.engine.beside.threads == {"kdbts_inference"}
    assert [to_ns(c.header.stamp) for c in heard["points"]] == [START + SECOND]
    rig.robot.node.destroy_subscription(rig.late.pop())
    assert rig.turn(lambda: heard_by(rig, "points") == 0)
    rig.map_of(START + 2 * SECOND)
    assert rig.engine.beside.asked == ["points"]


def test_the_map_does_not_wait_for_what_is_beside_it(rig: Rig) -> None:
    heard, beside = listen(rig, "novel_view"), rig.engine.beside
    beside.go_on.clear()
    rig.begin(START)
    rig.engine.go_on.set()
    assert beside.computing.wait(60)
    assert rig.turn(lambda: rig.stamps() == [START])
    assert heard["novel_view"] == []
    beside.go_on.set()
    assert rig.turn(lambda: bool(heard["novel_view"]) and rig.robot.has_map(START))
    assert rig.robot.reports[-1].maps_out == 1


def test_what_fails_beside_the_map_takes_nothing_along(rig: Rig) -> None:
    heard = listen(rig, "points", "surface_points")
    rig.engine.beside.broken = "points"
    for stamp in (START, START + SECOND):
        rig.map_of(stamp)
    assert rig.turn(lambda: len(heard["surface_points"]) == 2)
    assert heard["points"] == [] and rig.stamps() == [START, START + SECOND]
    assert rig.robot.drops() == {}
    assert rig.node._faults.count == 2
    (sentence,) = rig.node._faults.status(0.0, 1.0).values
    assert sentence.startswith("publishing /kdbts/points failed: MemoryError: no room")


def test_what_is_beside_a_map_of_a_past_epoch_is_not_sent(rig: Rig) -> None:
    heard, beside = listen(rig, "points", "surface_points"), rig.engine.beside
    beside.go_on.clear()
    rig.begin(START)
    rig.engine.go_on.set()
    assert beside.computing.wait(60)
    early = START - 100 * SECOND
    rig.see(early)
    assert rig.turn(lambda: rig.node._jobs.counters.time_jumps == 1), "the executor does not wait"
    beside.go_on.set()
    rig.map_of(early + SECOND)
    assert rig.turn(lambda: bool(heard["points"] and heard["surface_points"]))
    stamps = {to_ns(c.header.stamp) for found in heard.values() for c in found}
    assert START not in stamps and early + SECOND in stamps


def header_of(message: Any) -> Any:
    return message.markers[0].header if isinstance(message, MarkerArray) else message.header


def test_all_of_it_comes_over_dds_in_its_frame_at_the_stamp_of_the_image(
    robot: Robot, start: Callable[..., NodeProcess], checkpoint: object
) -> None:
    # Threshold and band so that random weights give obstacles.
    node = start(
        checkpoint=checkpoint,
        device="cpu",
        range_m=8.0,
        resolution=0.5,
        occupied_threshold=0.05,
        completed_cells="keep",
        ground_anchor="off",
    )
    node.wait_for_log("active on")
    robot.wait_until_connected()
    heard: dict[str, list[Any]] = {name: [] for name in TOPICS}
    listening = []
    for name, (kind, _) in TOPICS.items():
        # As costmap layers listen to clouds, and RViz to the rest.
        qos = qos_profile_sensor_data if kind is PointCloud2 else RELIABLE
        listening.append(robot.listen(kind, f"/kdbts/{name}", heard[name], qos))
    # The node learns of listeners in its own time, and computes nothing before.
    for stamp in range(1_000_100 * SECOND, 1_000_110 * SECOND, SECOND):
        for messages in heard.values():
            messages.clear()
        grid = robot.step(stamp)
        if robot.spin_until(lambda: all(heard.values()), 2):
            break
    assert all(heard.values()), {name: len(messages) for name, messages in heard.items()}
    for subscription in listening:
        robot.node.destroy_subscription(subscription)
    for name, (_, frame) in TOPICS.items():
        head = header_of(heard[name][0])
        assert (to_ns(head.stamp), head.frame_id) == (stamp, frame), name
    points, volume = heard["points"][0], heard["volume"][0]
    occupied = np.array(grid.data).reshape(grid.info.height, grid.info.width) == 100
    # One image, so that all that is occupied is in view.
    x, y = (cloud_field(points, offset) for offset in (0, 4))
    robot_x = (stamp / SECOND) % 1000
    column = np.floor((x + robot_x - grid.info.origin.position.x) / 0.5).astype(int)
    row = np.floor((y - grid.info.origin.position.y) / 0.5).astype(int)
    told = np.zeros_like(occupied)
    told[row, column] = True
    assert occupied.any()
    np.testing.assert_array_equal(told, occupied)
    assert (volume.size_x, volume.size_y) == (grid.info.width, grid.info.height)
    position, corner = volume.origin.position, grid.info.origin.position
    assert (position.x, position.y) == pytest.approx((corner.x, corner.y))
    unknown = np.isnan(np.array(volume.probability))
    np.testing.assert_array_equal(unknown, np.array(volume.state) == OccupancyVolume.UNKNOWN)
    assert unknown.any() and not unknown.all()
    assert len(heard["views"][0].markers) == 2
    assert (cloud_field(heard["surface_points"][0], 8) > 2.9).all(), "z of an optical frame: depth"
    assert node.stop() == 0
    assert "Traceback" not in node.text()


def cloud_field(cloud: PointCloud2, offset: int) -> np.ndarray:
    """A float field of every point."""
    data = np.frombuffer(cloud.data, np.uint8).reshape(cloud.width, cloud.point_step)
    return data[:, offset : offset + 4].copy().view(np.float32)[:, 0].astype(np.float64)
