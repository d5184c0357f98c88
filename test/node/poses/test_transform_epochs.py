"""Epochs of the node and what tf2_ros keeps of them: loops, jumps, activations, refusals."""

import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from kdbts_ros.datasets.ros import pose_rules as rules
from kdbts_ros.node.poses.transforms import TransformUnavailable
from kdbts_ros.node.reporting import drops
from test.node.poses.transform_sources import (
    LIVE,
    SECOND,
    STORE,
    Live,
    about_to_turn,
    drive,
    mount,
    over_tf2,
)

# Epochs of the live node.


def test_a_recording_that_loops_without_a_clock_goes_on(live: Any) -> None:
    mount(live)
    for _ in range(3):
        drive(live, *(100 + k / 10 for k in range(300)))
        assert live.pose("odom", "camera", 129.85)[0, 3] == pytest.approx(129.85)
        # The transforms of the new epoch come before its images.
        drive(live, 100.0, 100.1)
        assert live.pose("odom", "camera", 100.05)[0, 3] == pytest.approx(100.05)
        live.transforms.time_jumped(round(100.05 * SECOND))
        assert live.pose("odom", "camera", 100.05)[0, 3] == pytest.approx(100.05)
        assert live.reason("odom", "camera", 129.85) == drops.EXTRAPOLATION


def test_a_short_recording_that_loops_is_not_mixed_with_its_past(live: Any) -> None:
    """Back by less than tf2's cache: tf2 alone would sort both epochs into one."""
    drive(mount(live), *(100 + k / 10 for k in range(50)))
    drive(live, 101.05, 101.15, x=lambda at: at + 1)
    assert live.pose("odom", "camera", 101.1)[0, 3] == pytest.approx(102.1)
    assert live.reason("odom", "camera", 104.0) == drops.EXTRAPOLATION


def test_an_image_that_announces_a_new_life_clears_the_old_one(live: Any) -> None:
    about_to_turn(live)
    live.transforms.time_jumped(5 * SECOND)
    with pytest.raises(TransformUnavailable):
        live.pose("odom", "camera", 10.5)
    drive(live, 4.9, 5.1, x=lambda at: 7)
    # The latched camera mount has survived.
    assert np.allclose(live.pose("odom", "camera", 5)[:3, 3], (7, 0, 1.5))


def test_a_leap_ahead_forgets_the_poses_of_before(live: Any) -> None:
    about_to_turn(live).transforms.time_jumped(500 * SECOND)
    with pytest.raises(TransformUnavailable):
        live.pose("odom", "camera", 10.5)
    drive(live, 500.0, x=lambda at: 9)
    assert np.allclose(live.pose("odom", "camera", 500)[:3, 3], (9, 0, 1.5))


def test_a_frame_that_goes_back_in_time_costs_its_own_edge_alone(live: Any) -> None:
    drive(mount(live), *(100 + k / 10 for k in range(20)))
    live.insert("odom", "docking_station", 101.0)
    live.insert("odom", "docking_station", 3.0)
    assert live.pose("odom", "camera", 101.05)[0, 3] == pytest.approx(101.05)
    assert live.notices == [
        "transform odom -> docking_station stepped back in time: a recording began again, or its "
        "clock was set"
    ]


def test_clocks_that_contradict_each_other_are_told(live: Any) -> None:
    for k in range(5):
        drive(live, 100 + k / 10)
        drive(live, 3700 + k / 10)
    assert "again and again (4 times): two nodes with different clocks" in live.notices[-1]
    assert live.reason("odom", "base_link", 100.35, "different clocks") == drops.TOO_OLD


def test_one_stamp_of_a_far_future_costs_its_neighbours_alone(live: Any) -> None:
    drive(mount(live), 100.0, 100.1, 99999.0, 100.2, 100.3)
    assert live.pose("odom", "camera", 100.25)[0, 3] == pytest.approx(100.25)


def test_old_transforms_are_forgotten(live: Any) -> None:
    drive(live, *range(100, 130))
    assert live.reason("odom", "base_link", 105) == drops.TOO_OLD


@pytest.mark.parametrize("why", sorted(rules.REASONS))
def test_only_the_past_is_final(why: str) -> None:
    assert TransformUnavailable(why, "").final is (why == drops.TOO_OLD)


# tf2_ros alone.


@pytest.mark.parametrize("kind", LIVE[1:])
def test_one_buffer_serves_every_activation(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "genuine tf2_ros" and find_spec("tf2_ros") is None:
        pytest.skip("tf2_ros is not installed")
    node = request.getfixturevalue("ros_node")
    transforms = over_tf2(node, monkeypatch, fake=kind.startswith("fake"))
    for epoch in range(5):
        live = Live(transforms(node))
        assert live.reason("odom", "camera", 10.05) == drops.NO_TF
        drive(mount(live), 10.0, 10.1, x=lambda at, epoch=epoch: epoch)
        assert live.pose("odom", "camera", 10.05)[0, 3] == epoch
    services = [name for name, _ in node.get_service_names_and_types() if "tf2_frames" in name]
    assert len(services) == 1
    assert sum("tf2_frames" in service.srv_name for service in node.services) == 1


def test_the_fake_is_gone_after_its_test(ros_node: Any) -> None:
    before = sys.modules.get(STORE)
    with pytest.MonkeyPatch.context() as patch:
        over_tf2(ros_node, patch, fake=True)
        assert sys.modules[STORE] is not before
    assert sys.modules.get(STORE) is before, "a node of a later test would store in the fake"


@pytest.mark.parametrize("fake", [True, False], ids=["fake", "genuine"])
def test_tf2_refuses_what_the_fake_refuses(
    ros_node: Any, monkeypatch: pytest.MonkeyPatch, fake: bool
) -> None:
    """Without our rules in front: why they are needed, and that the fake is like the genuine."""
    if not fake and find_spec("tf2_ros") is None:
        pytest.skip("tf2_ros is not installed")
    from geometry_msgs.msg import TransformStamped
    from rclpy.time import Time

    from kdbts_ros.node.outputs.messages import header

    over_tf2(ros_node, monkeypatch, fake=fake)
    import tf2_ros

    buffer = tf2_ros.Buffer(node=ros_node)

    def put(at: float, parent: str, child: str, x: float, w: float = 1.0, static=False) -> None:
        message = TransformStamped(header=header(round(at * SECOND), parent), child_frame_id=child)
        message.transform.translation.x = float(x)
        message.transform.rotation.w = w
        (buffer.set_transform_static if static else buffer.set_transform)(message, "test")

    def find(target: str, frame: str, at: float) -> Any:
        move = buffer.lookup_transform(target, frame, Time(nanoseconds=round(at * SECOND)))
        return move.transform.translation.x

    def fault(target: str, frame: str, at: float) -> type:
        with pytest.raises(tf2_ros.TransformException) as caught:
            find(target, frame, at)
        return caught.type

    put(100, "odom", "base", 1), put(101, "odom", "base", 2)
    put(0, "base", "camera", 0.5, static=True)
    assert find("odom", "camera", 100.5) == pytest.approx(2.0)
    assert find("camera", "odom", 100.5) == pytest.approx(-2.0)
    assert fault("odom", "camera", 99) is fault("odom", "camera", 102)
    assert issubclass(fault("odom", "camera", 99), tf2_ros.ExtrapolationException)
    assert issubclass(fault("odom", "nowhere", 100), tf2_ros.LookupException)
    assert issubclass(fault("/odom", "camera", 100), tf2_ros.TransformException)
    put(0, "other_root", "other", 0, static=True)
    assert issubclass(fault("odom", "other", 100), tf2_ros.ConnectivityException)
    # Refused: no rotation, not a number, empty, itself, and older than the cache.
    for refused in ((102, "odom", "base", 9, 0.0), (102, "odom", "base", np.nan)):
        put(*refused)
    for refused in ((102, "odom", "", 9), (102, "", "base", 9), (102, "base", "base", 9)):
        put(*refused)
    put(50, "odom", "base", 9)
    assert issubclass(fault("odom", "base", 102), tf2_ros.ExtrapolationException)
    assert issubclass(fault("odom", "base", 50), tf2_ros.ExtrapolationException)
    # Taken, though no robot does so: a jump, a gap, another length, a slash, infinity, a loop.
    put(101.01, "odom", "base", 47, 2.0), put(107, "/odom", "base", 48)
    assert find("odom", "base", 104) == pytest.approx(47.5, abs=0.01)
    put(108, "odom", "far", np.inf)
    assert not np.isfinite(find("odom", "far", 108))
    put(100, "base", "odom", 12)
    assert find("odom", "base", 100) == 1
    buffer.clear()
    assert issubclass(fault("odom", "base", 100), tf2_ros.ExtrapolationException)
    assert find("base", "camera", 100) == 0.5
    future = buffer.wait_for_transform_async("odom", "camera", Time(nanoseconds=300 * SECOND))
    assert not future.done()
    put(300, "odom", "base", 3)
    assert future.done() and future.result().transform.translation.x == 3.5
