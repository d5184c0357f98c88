"""Waiting until a lifecycle node takes images; `python -m kdbts_ros.replay.wait /kdbts`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from kdbts_ros import ending
from kdbts_ros.errors import UserError

# A first start compiles kernels, on a slow and busy machine.
PATIENCE_SECONDS = 300.0
_ASK_SECONDS = 0.5
# A request that a starting node did not get yet is never answered.
_ANSWER_SECONDS = 3.0


class Readiness:
    """Asks a lifecycle node for its state and hears what it says is wrong.

    Args:
        node: to ask with.
        name: full name of the node that is awaited.
    """

    def __init__(self, node: Node, name: str) -> None:
        self.name = name
        self.state = ""
        self.fault = ""
        self._client = node.create_client(GetState, f"{name}/get_state")
        self._asked_at = -_ANSWER_SECONDS
        self._answer: Any = None
        node.create_subscription(DiagnosticArray, "/diagnostics", self._hear, 10)

    def ask(self, now: float) -> None:
        """Ask again if it is time to; `now` in seconds."""
        patience = _ANSWER_SECONDS if self._answer is not None else _ASK_SECONDS
        if now - self._asked_at < patience or not self._client.service_is_ready():
            return
        self._asked_at = now
        self._answer = self._client.call_async(GetState.Request())
        self._answer.add_done_callback(self._take)

    def check(self) -> bool:
        """Whether it is active.

        Raises:
            UserError: it never will be, with the reason.
        """
        if self.fault:
            raise UserError(f"{self.name} cannot start: {self.fault}")
        if self.state == "finalized":
            raise UserError(f"{self.name} was shut down before it was active")
        return self.state == "active"

    def why_not(self) -> str:
        """What there is to say of a node that took too long."""
        if not self.state:
            return "nothing of that name answers"
        if self.state in ("unconfigured", "inactive"):
            verb = "configure" if self.state == "unconfigured" else "activate"
            return f"it is {self.state}; ros2 lifecycle set {self.name} {verb}"
        return f"it is {self.state}"

    def _take(self, answer: Any) -> None:
        if answer is not self._answer:
            return
        self._answer = None
        state = answer.result().current_state
        self.state = "active" if state.id == State.PRIMARY_STATE_ACTIVE else state.label

    def _hear(self, message: Any) -> None:
        for status in message.status:
            mine = status.hardware_id.strip("/") == self.name.strip("/")
            if mine and status.name.endswith(": lifecycle"):
                self.fault = status.message if status.level == DiagnosticStatus.ERROR else ""


def wait_until_active(node: Node, name: str, seconds: float) -> None:
    """Return when the lifecycle node `name` is active.

    Raises:
        UserError: it cannot start, or was not active in time.
    """
    readiness = Readiness(node, name)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    end = time.monotonic() + seconds
    try:
        while not readiness.check():
            if time.monotonic() > end:
                raise UserError(f"{name} was not active after {seconds:g} s: {readiness.why_not()}")
            readiness.ask(time.monotonic())
            executor.spin_once(timeout_sec=0.1)
    finally:
        executor.shutdown()


def main() -> int:
    """0 when the node is active; 1 with a sentence when it will not be."""
    parser = argparse.ArgumentParser(description="Wait until a lifecycle node is active.")
    parser.add_argument("name", help="full name of the node, such as /kdbts")
    parser.add_argument("--seconds", type=float, default=PATIENCE_SECONDS, help="wait at most")
    options = parser.parse_args()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    ending.run()
    node = rclpy.create_node(f"kdbts_waits_{os.getpid()}")
    try:
        wait_until_active(node, options.name, options.seconds)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        # A second Ctrl-C, as launch sends it, must not turn the way out into a traceback.
        ending.tidy()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
