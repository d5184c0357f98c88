"""A slow start, clocks and stamps that cannot be: the node answers, counts, and goes on."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import GetState
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import ListParameters
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from tf2_msgs.msg import TFMessage

from test.ros.robot import SECOND, NodeProcess, Robot, base_at, info, picture

NEVER_LOADED = """
import sys, threading
from kdbts_ros.node import kdbts_node
kdbts_node.loading.load = lambda parameters, tell: threading.Event().wait()
sys.exit(kdbts_node.main())
"""
MINUS_ONE = Time(sec=-1)


def healths(robot: Robot) -> list[DiagnosticArray]:
    heard: list[DiagnosticArray] = []
    robot.listen(DiagnosticArray, "/diagnostics", heard, QoSProfile(depth=20))
    return heard


def messages(heard: list[DiagnosticArray], name: str) -> list[str]:
    return [s.message for array in heard for s in array.status if s.name == f"kdbts: {name}"]


@pytest.mark.parametrize(
    ("autostart", "how"), [(True, signal.SIGINT), (False, signal.SIGTERM), (True, signal.SIGTERM)]
)
def test_a_node_that_loads_answers_and_can_be_ended(
    robot: Robot, tmp_path: Path, autostart: bool, how: signal.Signals
) -> None:
    heard, unconfigured = healths(robot), "node is unconfigured"
    arguments = ["-p", f"autostart:={autostart}".lower()]
    node = NodeProcess(tmp_path / "log", arguments, ("-c", NEVER_LOADED))
    try:
        if not autostart:
            # A node that was killed before answers no more, but DDS still lists its services.
            assert robot.spin_until(lambda: unconfigured in messages(heard, "lifecycle"), 120)
            robot.spin(0.5)
            robot.request_state(Transition.TRANSITION_CONFIGURE)
        assert robot.spin_until(lambda: "node is configuring" in messages(heard, "lifecycle"), 120)
        state = robot.call(GetState, "get_state", GetState.Request()).current_state
        assert (state.id, state.label) == (State.TRANSITION_STATE_CONFIGURING, "configuring")
        listed = robot.call(ListParameters, "list_parameters", ListParameters.Request())
        assert "checkpoint" in listed.result.names
        # There is no second configuration beside the first one.
        assert not robot.change_state(Transition.TRANSITION_CONFIGURE)
        said = len(heard)
        assert robot.spin_until(lambda: len(heard) > said + 1), "diagnostics went silent"
        refused = node.text()
        assert node.stop(how) == 0
        assert "Traceback" not in node.text()
        assert "ERROR" not in node.text().removeprefix(refused), "an end is no failure"
    finally:
        node.stop(signal.SIGKILL)


def test_no_clock_and_no_stamp_ends_the_node(
    start: Callable[..., NodeProcess], robot: Robot, checkpoint: Path
) -> None:
    node = start(
        checkpoint=checkpoint, device="cpu", range_m=8.0, resolution=0.5, use_sim_time=True
    )
    heard = healths(robot)
    clock = robot.node.create_publisher(Clock, "/clock", QoSProfile(depth=10))
    odom = robot.node.create_publisher(Odometry, "odom", QoSProfile(depth=10))
    node.wait_for_log("active on")
    robot.wait_until_connected()
    assert robot.spin_until(lambda: clock.get_subscription_count() > 0)

    for _ in range(3):
        clock.publish(Clock(clock=MINUS_ONE))
        robot.spin(0.2)
    words = "3 failed, the last: a message on /clock failed: ValueError"
    assert robot.spin_until(lambda: any(words in m for m in messages(heard, "callbacks")))
    assert node.text().count("a message on /clock failed") == 1, "said once"

    stamp = 500 * SECOND
    clock.publish(Clock(clock=Time(sec=500)))
    robot.spin(0.2)
    robot.step(stamp)

    lost = base_at(stamp)
    lost.header.stamp = MINUS_ONE
    robot.tf.publish(TFMessage(transforms=[lost]))
    odom.publish(Odometry())
    bad = picture(stamp)
    bad.header.stamp = MINUS_ONE
    early = info(stamp)
    early.header.stamp = MINUS_ONE
    robot.infos.publish(early)
    robot.images.publish(bad)
    words = "transform odom -> base_link is stamped -1.000 s, before 1970: it is not used"
    assert robot.spin_until(lambda: words in messages(heard, "pose"))
    robot.step(stamp + SECOND)
    assert robot.drops()["zero_stamp"] == 1

    assert node.process.poll() is None
    assert node.stop() == 0
    assert "Traceback" not in node.text()
