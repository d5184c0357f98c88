"""Starting with mistakes, repairing them, and ending."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from lifecycle_msgs.msg import Transition

from test.ros.robot import NodeProcess, Robot
from test.ros.test_kdbts_node_odometry import set_parameter


def test_a_failed_configure_says_why_and_can_be_repaired(
    start: Callable[..., NodeProcess], robot: Robot, checkpoint: Path
) -> None:
    node = start(checkpoint=checkpoint, device="cpu", resolution=99.0)
    node.wait_for_log("configure failed: parameter 'resolution' must lie in [0.02, 2], got 99")
    assert "Traceback" not in node.text()
    assert not robot.change_state(Transition.TRANSITION_CONFIGURE)
    assert set_parameter(robot, "resolution", 0.5).successful
    assert robot.change_state(Transition.TRANSITION_CONFIGURE)
    assert node.stop(signal.SIGTERM) == 0
    assert "Traceback" not in node.text()


def test_an_unknown_parameter_and_a_missing_file_are_named(
    start: Callable[..., NodeProcess],
) -> None:
    for parameters, words in (
        ({"resolutoin": 0.2}, "unknown parameter 'resolutoin'"),
        ({"checkpoint": "/no/such/weights.pt"}, "'/no/such/weights.pt' is neither a file nor"),
    ):
        node = start(**parameters)
        node.wait_for_log(f"configure failed: {words}" if "unknown" in words else words)
        assert node.stop() == 0
        assert "Traceback" not in node.text()
