"""One camera's topics over DDS, without a model: what is joined, refused, and said of it."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from kdbts_ros.node.inputs.camera_stream import CameraStream
from kdbts_ros.node.inputs.waiting import Frame, Needs
from kdbts_ros.node.parameters.values import Parameters
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.counters import Counters
from kdbts_ros.node.reporting.graph import UNKNOWN
from kdbts_ros.node.reporting.input_health import StreamSurroundings, input_status
from kdbts_ros.node.reporting.status import ERROR, Status
from test.ros.robot import LATCHED, SECOND, info, picture

RELIABLE = QoSProfile(depth=50)
PERIOD = SECOND // 10
# Long enough for a machine that does other things as well.
PATIENCE = 5.0


class Still:
    """Transforms of a robot that stands, and the frames that were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def lookup(self, target_frame: str, source_frame: str, stamp_ns: int) -> Any:
        self.asked.append(source_frame)
        return np.eye(4)

    def time_jumped(self, stamp_ns: int) -> None:
        return


class Bench:
    """A node that listens to cameras, and drivers in a context, and so a participant, of theirs.

    Two types of one topic do not go into one participant.
    """

    def __init__(self) -> None:
        self.executor = SingleThreadedExecutor()
        self.node = rclpy.create_node("listener")
        self.executor.add_node(self.node)
        self.elsewhere = rclpy.Context()
        rclpy.init(context=self.elsewhere)
        self.drivers: list[Node] = []
        self.streams: list[CameraStream] = []
        self.counters = Counters(time.monotonic())
        self.still = Still()
        self.jumps: list[tuple[int, str]] = []
        self.found: list[tuple[Frame, Needs]] = []

    def driver(self, name: str) -> Node:
        self.drivers.append(rclpy.create_node(name, context=self.elsewhere))
        return self.drivers[-1]

    def stream(self, camera: str, **values: Any) -> CameraStream:
        parameters = Parameters(
            tf_timeout=PATIENCE, image_reliability="reliable", queue_length=100, **values
        )
        self.streams.append(
            CameraStream(
                self.node,
                camera,
                lambda: parameters,
                self.still,
                self.counters,
                lambda: None,
                lambda frame, needs: self.found.append((frame, needs)),
                lambda stamp, topic, _: self.jumps.append((stamp, topic)),
                lambda: None,
            )
        )
        return self.streams[-1]

    def turn(self, condition: Callable[[], bool], seconds: float = 60.0) -> bool:
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)
            for stream in self.streams:
                stream.drain()
        return condition()

    def look(self, stream: CameraStream) -> StreamSurroundings:
        return stream.surroundings(time.monotonic())

    def status(self, stream: CameraStream, later: float = 0.0) -> Status:
        """The line of a camera after hours of listening, so many seconds from now."""
        account, seen, now = self.counters.stream(stream.name), self.look(stream), time.monotonic()
        return input_status(account, seen, now - 3600.0, now + later, silence=60.0)

    def focals(self, camera: str) -> dict[int, float]:
        return {
            frame.stamp_ns: needs.calibration.lens.camera.fx
            for frame, needs in self.found
            if frame.camera == camera
        }

    def close(self) -> None:
        for stream in self.streams:
            stream.close()
        self.executor.shutdown()
        self.node.destroy_node()
        for driver in self.drivers:
            driver.destroy_node()
        rclpy.shutdown(context=self.elsewhere)


@pytest.fixture
def bench(context: None) -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def known(seen: StreamSurroundings) -> bool:
    """Whether the graph knows a publisher of images and the names of all nodes behind them.

    Names come after the publishers themselves.
    """
    return bool(seen.images) and UNKNOWN not in {p.node for p in (*seen.images, *seen.infos)}


def connected(bench: Bench, *publishers: Any) -> None:
    assert bench.turn(lambda: all(p.get_subscription_count() > 0 for p in publishers))
    for stream in bench.streams:
        assert bench.turn(lambda s=stream: known(bench.look(s)))


def calibrated(stamp: int, focal: float) -> CameraInfo:
    K = np.array([focal, 0, 47.5, 0, focal, 31.5, 0, 0, 1])
    return info(stamp, k=K)


@pytest.mark.parametrize("info_first", [True, False])
def test_no_camera_has_another_frame_s_calibration(bench: Bench, info_first: bool) -> None:
    driver = bench.driver("driver")
    cameras = ("left", "right")
    for name in cameras:
        bench.stream(name)
    images = {n: driver.create_publisher(Image, f"{n}/image", RELIABLE) for n in cameras}
    infos = {n: driver.create_publisher(CameraInfo, f"{n}/camera_info", RELIABLE) for n in cameras}
    connected(bench, *images.values(), *infos.values())
    expected: dict[str, dict[int, float]] = {name: {} for name in cameras}
    for index in range(20):
        stamp = 100 * SECOND + index * PERIOD
        for offset, name in enumerate(cameras):
            focal = 50.0 + index + 0.5 * offset
            expected[name][stamp] = focal
            first = infos[name].publish, calibrated(stamp, focal)
            second = images[name].publish, picture(stamp)
            for send, message in (first, second) if info_first else (second, first):
                send(message)
                bench.turn(lambda: False, 0.01)
    assert bench.turn(lambda: len(bench.found) == 40)
    assert {name: bench.focals(name) for name in cameras} == expected
    assert "the one of the same stamp" in bench.look(bench.streams[0]).joined


def test_what_was_said_once_and_latched_before_is_heard(bench: Bench) -> None:
    driver = bench.driver("driver")
    driver.create_publisher(CameraInfo, "camera_info", LATCHED).publish(
        calibrated(50 * SECOND, 70.0)
    )
    images = driver.create_publisher(Image, "image", RELIABLE)
    stream = bench.stream("")
    connected(bench, images)
    images.publish(picture(100 * SECOND))
    assert bench.turn(lambda: bool(bench.found))
    assert bench.focals("") == {100 * SECOND: 70.0}
    assert bench.look(stream).infos[0].latched


def test_the_frame_of_the_image_holds_and_where_it_names_none_camera_info_s(bench: Bench) -> None:
    """As in recordings."""
    driver, stamp = bench.driver("driver"), 100 * SECOND
    told = {
        "named": ("eye", "elsewhere", "eye"),
        "slashed": ("/eye", "", "eye"),
        "told": ("", "/told", "told"),
        "nameless": ("", "", ""),
    }
    for name in told:
        bench.stream(name)
    infos = {n: driver.create_publisher(CameraInfo, f"{n}/camera_info", RELIABLE) for n in told}
    images = {n: driver.create_publisher(Image, f"{n}/image", RELIABLE) for n in told}
    connected(bench, *images.values(), *infos.values())
    for name, (in_image, in_info, holds) in told.items():
        bench.still.asked.clear()
        calibration, image = calibrated(stamp, 70.0), picture(stamp)
        calibration.header.frame_id, image.header.frame_id = in_info, in_image
        infos[name].publish(calibration)
        images[name].publish(image)
        if holds:
            assert bench.turn(lambda n=name: bool(bench.focals(n)))
            assert bench.still.asked == [holds, "base_link"]
            # What is published under the image's stamp is in that frame, too.
            assert [f.frame_id for f, _ in bench.found if f.camera == name] == [holds]
        else:
            assert bench.turn(lambda: drops.NO_TF in bench.counters.dropped)
            assert not bench.still.asked


def test_what_was_said_once_and_not_latched_names_the_cure(bench: Bench) -> None:
    driver = bench.driver("driver")
    infos = driver.create_publisher(CameraInfo, "camera_info", RELIABLE)
    images = driver.create_publisher(Image, "image", RELIABLE)
    stream = bench.stream("")
    connected(bench, images, infos)
    images.publish(picture(100 * SECOND))
    assert bench.turn(lambda: bench.counters.frames_in == 1)
    told = bench.status(stream)
    assert told.level == ERROR
    assert "/driver publishes it but has sent none" in told.message
    assert "durability transient_local" in told.message


def test_a_camera_info_elsewhere_is_named(bench: Bench) -> None:
    driver = bench.driver("driver")
    driver.create_publisher(CameraInfo, "/elsewhere/camera_info", RELIABLE)
    images = driver.create_publisher(Image, "image", RELIABLE)
    stream = bench.stream("")
    connected(bench, images)
    images.publish(picture(100 * SECOND))
    assert bench.turn(lambda: bench.counters.frames_in == 1)
    told = bench.status(stream)
    assert "which nobody publishes: remap camera_info" in told.message
    assert "/elsewhere/camera_info" in told.message


def test_a_node_is_not_shown_its_own_outputs_as_cameras(bench: Bench) -> None:
    depth = bench.node.create_publisher(Image, "depth/image", RELIABLE)
    intrinsics = bench.node.create_publisher(CameraInfo, "depth/camera_info", RELIABLE)
    driver = bench.driver("driver")
    driver.create_publisher(Image, "/elsewhere/image", RELIABLE)
    driver.create_publisher(CameraInfo, "/elsewhere/camera_info", RELIABLE)
    stream = bench.stream("")
    assert bench.turn(lambda: bool(bench.look(stream).other_infos))
    assert bench.node.count_publishers(depth.topic_name) == 1
    assert bench.node.count_publishers(intrinsics.topic_name) == 1
    seen = bench.look(stream)
    assert seen.other_images == ("/elsewhere/image",)
    assert seen.other_infos == ("/elsewhere/camera_info",)


def test_images_that_come_compressed_are_listened_to_as_such(bench: Bench) -> None:
    driver = bench.driver("driver")
    images = driver.create_publisher(CompressedImage, "image", RELIABLE)
    infos = driver.create_publisher(CameraInfo, "camera_info", RELIABLE)
    stream = bench.stream("")
    # Everybody looks around about once a second; twice, where the executor holds the old one.
    assert bench.turn(lambda: bool(bench.look(stream) and images.get_subscription_count()))
    assert bench.look(stream).kind == "sensor_msgs/msg/CompressedImage"
    connected(bench, images, infos)
    infos.publish(calibrated(100 * SECOND, 60.0))
    message = CompressedImage(format="jpeg", data=array("B", b"1234"))
    message.header = picture(100 * SECOND).header
    images.publish(message)
    assert bench.turn(lambda: bool(bench.found))
    assert bench.found[0][0].message.format == "jpeg"


def test_what_is_no_image_is_named(bench: Bench) -> None:
    bench.driver("lidar").create_publisher(PointCloud2, "image", RELIABLE)
    stream = bench.stream("")
    assert bench.turn(lambda: known(bench.look(stream)))
    told = bench.status(stream, later=100.0)
    assert told.level == ERROR
    assert "published as sensor_msgs/msg/PointCloud2 by /lidar, not as images" in told.message


def test_maps_do_not_alternate_between_two_publishers_of_one_topic(bench: Bench) -> None:
    """The second is alike in frame and size, and an hour behind: no jump in time either."""
    senders = [
        bench.driver(name).create_publisher(Image, "image", RELIABLE) for name in ("one", "two")
    ]
    infos = bench.drivers[0].create_publisher(CameraInfo, "camera_info", LATCHED)
    infos.publish(calibrated(0, 60.0))
    stream = bench.stream("")
    connected(bench, *senders)
    assert bench.turn(lambda: len(bench.look(stream).images) == 2 and known(bench.look(stream)))
    if not _tells_publishers(bench, stream, senders[0]):
        pytest.skip("this rclpy does not tell publishers of messages apart")
    for index in range(1, 6):
        for sender, behind in zip(senders, (0, 3600), strict=True):
            sender.publish(picture((10_000 - behind) * SECOND + index * PERIOD))
            assert bench.turn(lambda: False, 0.05) is False
    assert bench.turn(lambda: bench.counters.frames_in == 11)
    assert bench.turn(lambda: len(bench.found) == 6)
    assert {frame.stamp_ns // SECOND for frame, _ in bench.found} == {10_000}
    assert bench.counters.dropped == {drops.OTHER_CAMERA: 5}
    assert bench.jumps == []
    told = bench.status(stream)
    assert told.level == ERROR
    assert "/one, /two" in told.message


def _tells_publishers(bench: Bench, stream: CameraStream, sender: Any) -> bool:
    sender.publish(picture(10_000 * SECOND))
    assert bench.turn(lambda: len(bench.found) == 1)
    return bench.look(stream).tells_publishers


def test_an_image_that_goes_back_tells_by_how_much(bench: Bench) -> None:
    driver = bench.driver("driver")
    images = driver.create_publisher(Image, "image", RELIABLE)
    infos = driver.create_publisher(CameraInfo, "camera_info", RELIABLE)
    stream = bench.stream("")
    connected(bench, images, infos)
    for stamp in (100 * SECOND, 50 * SECOND):
        infos.publish(info(stamp))
        images.publish(picture(stamp))
        assert bench.turn(lambda s=stamp: s in bench.focals("") or bool(bench.jumps))
    assert bench.jumps == [(50 * SECOND, stream.image_topic)]
