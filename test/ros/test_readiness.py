"""Waiting for a lifecycle node: what it answers, says of itself, and does not answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from threading import Thread

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from kdbts_ros.errors import UserError
from kdbts_ros.replay.readiness import Readiness, wait_until_active

STATES = {
    "unconfigured": State.PRIMARY_STATE_UNCONFIGURED,
    "configuring": State.TRANSITION_STATE_CONFIGURING,
    "inactive": State.PRIMARY_STATE_INACTIVE,
    "active": State.PRIMARY_STATE_ACTIVE,
    "finalized": State.PRIMARY_STATE_FINALIZED,
}
PATIENCE = 60.0


class Pretender:
    """Answers as a lifecycle node does: one state after the other, the last again and again."""

    def __init__(self, name: str) -> None:
        self.states = ["unconfigured"]
        self.fault = ""
        self.name = f"/{name}"
        self.node = rclpy.create_node(name)
        self.node.create_service(GetState, "~/get_state", self._answer)
        self._diagnostics = self.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.node.create_timer(0.1, self._report)

    def _answer(self, _: GetState.Request, response: GetState.Response) -> GetState.Response:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        response.current_state = State(id=STATES[state], label=state)
        return response

    def _report(self) -> None:
        own, other = self.name.strip("/"), "another"
        level = DiagnosticStatus.ERROR if self.fault else DiagnosticStatus.OK
        mine = DiagnosticStatus(name=f"{own}: lifecycle", hardware_id=own, level=level)
        mine.message = self.fault
        theirs = DiagnosticStatus(name=f"{other}: lifecycle", hardware_id=other)
        theirs.level, theirs.message = DiagnosticStatus.ERROR, "not mine"
        pose = DiagnosticStatus(name=f"{own}: pose", hardware_id=own, level=DiagnosticStatus.ERROR)
        self._diagnostics.publish(DiagnosticArray(status=[theirs, pose, mine]))


@pytest.fixture(scope="module")
def pretender(context: None) -> Iterator[Pretender]:
    made = Pretender("pretender")
    executor = SingleThreadedExecutor()
    executor.add_node(made.node)

    def spin() -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            return

    thread = Thread(target=spin)
    thread.start()
    yield made
    executor.shutdown()
    thread.join()
    made.node.destroy_node()


@pytest.fixture
def wait(pretender: Pretender) -> Iterator[Callable[..., None]]:
    node = rclpy.create_node(f"waits_{os.getpid()}")
    yield lambda name, seconds: wait_until_active(node, name, seconds)
    node.destroy_node()


def test_an_active_node_is_waited_for(pretender: Pretender, wait: Callable[..., None]) -> None:
    pretender.states, pretender.fault = ["unconfigured", "configuring", "inactive", "active"], ""
    wait(pretender.name, PATIENCE)
    assert pretender.states == ["active"], "every state before was asked for"


def test_a_node_that_cannot_start_is_not_waited_for(
    pretender: Pretender, wait: Callable[..., None]
) -> None:
    pretender.states, pretender.fault = ["unconfigured"], "configure failed: no such weights"
    with pytest.raises(UserError, match=r"/pretender cannot start: .*no such weights"):
        wait(pretender.name, PATIENCE)


def test_a_node_that_was_shut_down_is_not_waited_for(
    pretender: Pretender, wait: Callable[..., None]
) -> None:
    pretender.states, pretender.fault = ["finalized"], ""
    with pytest.raises(UserError, match="shut down"):
        wait(pretender.name, PATIENCE)


def test_patience_has_an_end_with_a_reason(pretender: Pretender, wait: Callable[..., None]) -> None:
    with pytest.raises(UserError, match=r"/nobody was not active after 0\.5 s: nothing"):
        wait("/nobody", 0.5)
    readiness = Readiness(pretender.node, pretender.name)
    readiness.state = "inactive"
    assert readiness.why_not() == "it is inactive; ros2 lifecycle set /pretender activate"
    readiness.state = "configuring"
    assert readiness.why_not() == "it is configuring"
