"""What a robot's other nodes see of `kdbts_node`, over DDS and between processes."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from nav_msgs.msg import OccupancyGrid
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import (
    GetParameters,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from kdbts_ros.node.outputs.messages import to_ns
from test.ros.robot import HEIGHT, LATCHED, SECOND, WIDTH, NodeProcess, Robot, info, picture

NOW = 1_000_100 * SECOND
RESOLUTION = 0.5


@pytest.fixture(scope="module")
def node(start: Callable[..., NodeProcess], checkpoint: object) -> NodeProcess:
    return start(checkpoint=checkpoint, device="cpu", range_m=8.0, resolution=RESOLUTION)


@pytest.fixture(scope="module")
def instants() -> Iterator[int]:
    """Stamps half a second apart, so that tests may share one node."""
    return iter(range(NOW, NOW + 800 * SECOND, SECOND // 2))


@pytest.fixture
def connected(node: NodeProcess, robot: Robot) -> Robot:
    node.wait_for_log("active on")
    robot.wait_until_connected()
    return robot


def test_a_map_arrives_in_the_fixed_frame_at_the_stamp_of_the_image(
    connected: Robot, instants: Iterator[int]
) -> None:
    stamp = next(instants)
    grid = connected.step(stamp, 60)
    assert to_ns(grid.header.stamp) == stamp
    assert grid.header.frame_id == "odom"
    assert (grid.info.width, grid.info.height) == (32, 32)
    assert len(grid.data) == 32 * 32
    assert set(grid.data) <= {-1, 0, 100}
    assert -1 in grid.data, "what the camera cannot see is unknown"
    origin = grid.info.origin
    for value in (origin.position.x, origin.position.y):
        assert value / RESOLUTION == pytest.approx(round(value / RESOLUTION))
    q = origin.orientation
    assert (q.x, q.y, q.z, q.w) == (0, 0, 0, 1)
    x = (stamp / SECOND) % 1000
    assert abs(origin.position.x + 8 - x) <= RESOLUTION


def test_a_late_joiner_gets_the_latched_map(connected: Robot, instants: Iterator[int]) -> None:
    stamp = next(instants)
    connected.step(stamp)
    late: list[OccupancyGrid] = []
    percent: list[OccupancyGrid] = []
    connected.listen(OccupancyGrid, "/kdbts/occupancy", late, LATCHED)
    connected.listen(OccupancyGrid, "/kdbts/occupancy_probability", percent, LATCHED)
    assert connected.spin_until(lambda: bool(late and percent))
    assert to_ns(late[0].header.stamp) == to_ns(percent[0].header.stamp) == stamp
    cells = np.array(percent[0].data)
    assert cells.min() >= -1
    assert cells.max() <= 100


def test_depth_and_its_camera_info_match(connected: Robot, instants: Iterator[int]) -> None:
    depths: list[Image] = []
    infos: list[CameraInfo] = []
    previews: list[Image] = []
    qos = QoSProfile(depth=5)
    listening = [
        connected.listen(Image, "/kdbts/depth/image", depths, qos),
        connected.listen(CameraInfo, "/kdbts/depth/camera_info", infos, qos),
        connected.listen(Image, "/kdbts/preview", previews, qos),
    ]
    connected.spin(1.0)
    stamp = next(instants)
    connected.step(stamp)
    assert connected.spin_until(lambda: bool(depths and infos and previews))
    for subscription in listening:
        connected.node.destroy_subscription(subscription)
    depth, camera = depths[0], infos[0]
    assert depth.header == camera.header
    assert to_ns(depth.header.stamp) == stamp
    assert depth.header.frame_id == "camera"
    assert depth.encoding == "32FC1"
    assert (depth.width, depth.height) == (camera.width, camera.height)
    metres = np.frombuffer(depth.data, np.float32).reshape(depth.height, depth.width)
    assert np.nanmin(metres, initial=1.0) > 0
    assert camera.k[0] / camera.width == pytest.approx(60 / WIDTH)
    # Half-integer centres scale with the image; ROS counts from whole ones.
    assert (camera.k[2] + 0.5) / camera.width == pytest.approx(48 / WIDTH)
    # This image is taller than what the network looks at: depth ends there, above and below.
    above = (camera.k[5] + 0.5) / camera.k[4]
    below = (camera.height - camera.k[5] - 0.5) / camera.k[4]
    assert 0.1 < above <= 32 / 60 and 0.1 < below <= 32 / 60
    assert above + below < HEIGHT / 60
    assert previews[0].encoding == "rgb8"
    assert len(previews[0].data) == previews[0].step * previews[0].height


def test_bad_images_are_counted_and_the_next_good_one_is_used(
    connected: Robot, instants: Iterator[int]
) -> None:
    connected.step(next(instants))
    before = connected.drops()
    faults: list[dict[str, object]] = [
        {"height": HEIGHT + 1},
        {"step": 1},
        {"encoding": "no_such_encoding"},
        {"width": 0},
        {"data": array("B")},
    ]
    for fault in faults:
        connected.see(next(instants), **fault)
        connected.spin(0.1)
    last = next(instants)
    connected.step(last)
    for stamp in (0, last, last - SECOND // 4):
        connected.see(stamp)
        connected.spin(0.1)
    connected.step(next(instants))
    gained = {k: v - before.get(k, 0) for k, v in connected.drops().items()}
    assert gained["zero_stamp"] == 1
    assert gained["duplicate"] == 1
    assert gained["out_of_order"] == 1
    assert gained["bad_image"] == len(faults)


def test_an_image_without_pose_is_dropped_with_the_reason(
    connected: Robot, instants: Iterator[int]
) -> None:
    connected.step(next(instants))
    before = connected.drops()
    orphan = next(instants)
    connected.see(orphan)
    connected.spin(1.0)
    grid = connected.step(next(instants))
    assert to_ns(grid.header.stamp) > orphan
    gained = {k: v - before.get(k, 0) for k, v in connected.drops().items()}
    assert gained["extrapolation"] == 1


def test_a_pose_that_comes_after_its_image_is_waited_for(
    connected: Robot, instants: Iterator[int]
) -> None:
    stamp = next(instants)
    connected.move(stamp - SECOND // 10)
    connected.see(stamp)
    connected.spin(0.1)
    connected.move(stamp + SECOND // 10)
    assert connected.spin_until(lambda: connected.has_map(stamp))


def test_bad_calibration_stops_maps_until_it_is_good(
    connected: Robot, instants: Iterator[int]
) -> None:
    connected.step(next(instants))
    before, maps = connected.drops(), len(connected.grids)
    stamp = next(instants)
    connected.move(stamp, stamp + 1)
    connected.infos.publish(info(stamp, k=np.zeros(9)))
    connected.spin(0.3)
    connected.images.publish(picture(stamp))
    connected.spin(0.7)
    assert len(connected.grids) == maps
    connected.step(next(instants))
    assert connected.drops()["bad_camera_info"] == before.get("bad_camera_info", 0) + 1


def test_a_change_of_resolution_needs_no_restart(connected: Robot, instants: Iterator[int]) -> None:
    stamp = next(instants)
    connected.move(stamp, stamp + 1)
    half = info(stamp, width=WIDTH // 2, height=HEIGHT // 2)
    half.k = np.array([30.0, 0, 23.5, 0, 30, 15.5, 0, 0, 1])
    connected.infos.publish(half)
    small = picture(stamp)
    small.width, small.height, small.step = WIDTH // 2, HEIGHT // 2, 3 * WIDTH // 2
    small.data = array("B", bytes(3 * WIDTH * HEIGHT // 4))
    connected.images.publish(small)
    assert connected.spin_until(lambda: connected.has_map(stamp))
    connected.step(next(instants))


def test_a_looping_bag_goes_on(connected: Robot, instants: Iterator[int]) -> None:
    connected.step(next(instants))
    start_of_bag = NOW - 500 * SECOND
    for _ in range(2):
        for index in range(4):
            connected.step(start_of_bag + index * SECOND)
    # The other tests go on where they were.
    connected.step(next(instants))


def test_deactivation_stops_maps_and_activation_resumes(
    connected: Robot, instants: Iterator[int]
) -> None:
    connected.step(next(instants))
    for _ in range(3):
        assert connected.change_state(Transition.TRANSITION_DEACTIVATE)
        assert connected.spin_until(lambda: connected.images.get_subscription_count() == 0)
        maps = len(connected.grids)
        connected.see(next(instants))
        connected.spin(0.3)
        assert len(connected.grids) == maps
        assert connected.change_state(Transition.TRANSITION_ACTIVATE)
        connected.wait_until_connected()
        connected.step(next(instants))


def test_cleanup_and_configure_again(connected: Robot, instants: Iterator[int]) -> None:
    for transition in (
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
    ):
        assert connected.change_state(transition)
    connected.wait_until_connected()
    connected.step(next(instants))
    assert connected.reports[-1].maps_out == 1


@pytest.mark.parametrize("together", [False, True])
def test_the_node_takes_back_what_it_has_written_down(connected: Robot, together: bool) -> None:
    dump = written_down(connected)
    names = {p.name for p in dump}
    assert {"checkpoint", "cameras", "resolution", "use_sim_time"} <= names
    assert any(name.startswith("qos_overrides.") for name in names)
    assert [r.reason for r in set_all(connected, dump, together) if not r.successful] == []


def test_what_changes_with_what_does_not_is_told_apart(connected: Robot) -> None:
    dump = written_down(connected)
    changed = [p for p in dump if p.name not in ("map_decay", "range_m")]
    changed.append(Parameter("map_decay", value=7.0).to_parameter_msg())
    assert set_all(connected, changed, together=True)[0].successful
    assert {p.name: p.value.double_value for p in written_down(connected)}["map_decay"] == 7.0
    changed.append(Parameter("range_m", value=9.0).to_parameter_msg())
    (refused,) = set_all(connected, changed, together=True)
    assert refused.reason.startswith("parameter 'range_m' is read by configure")
    for name in (
        "qos_overrides./kdbts/occupancy.publisher.depth",
        "start_type_description_service",
    ):
        value = not next(p for p in dump if p.name == name).value.bool_value
        given = Parameter(name, value=7 if "depth" in name else value).to_parameter_msg()
        assert "read-only" in set_all(connected, [given], together=False)[0].reason


def test_words_are_understood_by_the_services(connected: Robot) -> None:
    given = [
        Parameter("scale_height", value="on"),
        Parameter("accumulate", value="no"),
        Parameter("depth_stride", value=1.0),
        Parameter("map_inertia", value=3),
        Parameter("map_decay", value=5),
    ]
    asked = [p.to_parameter_msg() for p in given]
    for together in (True, False):
        assert [r.reason for r in set_all(connected, asked, together) if not r.successful] == []
    kept = {p.name: p.value for p in written_down(connected)}
    assert (kept["map_inertia"].double_value, kept["accumulate"].bool_value) == (3.0, False)
    refused = {
        "canonical_camera": (False, "'canonical_camera' is read by configure"),
        "fixed_frame": (
            True,
            "must be a string, got true (what ROS makes of a bare on, yes and y)",
        ),
        "checkpoint": (1, "must be a string, got 1; quote a name that looks like another type"),
    }
    for name, (value, words) in refused.items():
        asked = [Parameter(name, value=value).to_parameter_msg()]
        assert words in set_all(connected, asked, together=False)[0].reason
    gone = ParameterMessage(name="resolution")
    assert "must be a number, got nothing" in set_all(connected, [gone], together=False)[0].reason


def written_down(robot: Robot) -> list[ParameterMessage]:
    """What `ros2 param dump` asks for."""
    request = ListParameters.Request(depth=ListParameters.Request.DEPTH_RECURSIVE)
    names = robot.call(ListParameters, "list_parameters", request).result.names
    asked = GetParameters.Request(names=names)
    values = robot.call(GetParameters, "get_parameters", asked).values
    return [ParameterMessage(name=n, value=v) for n, v in zip(names, values, strict=True)]


def set_all(
    robot: Robot, given: list[ParameterMessage], together: bool
) -> list[SetParametersResult]:
    """What `ros2 param load` and `set` ask for, one by one or atomically."""
    if together:
        request = SetParametersAtomically.Request(parameters=given)
        return [robot.call(SetParametersAtomically, "set_parameters_atomically", request).result]
    request = SetParameters.Request(parameters=given)
    return list(robot.call(SetParameters, "set_parameters", request).results)


def test_nothing_went_wrong_meanwhile(node: NodeProcess) -> None:
    assert node.process.poll() is None
    assert "Traceback" not in node.text()
    assert node.stop() == 0
    assert "Traceback" not in node.text()
