"""A node's process, from its arguments to its exit code.

One thread turns the executor, and no exception of a callback ends it: whatever a message holds, a
robot must not lose a node to it. The node says and counts what was caught (`Closable.caught`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Protocol

import rclpy
from rclpy.executors import (
    ExternalShutdownException,
    ShutdownException,
    SingleThreadedExecutor,
    TimeoutException,
)

from kdbts_ros import ending

# How long a turn of the executor waits for a callback.
TURN_SECONDS = 0.02


class Closable(Protocol):
    """A node that has more to end than its ROS entities."""

    def caught(self, where: str, error: Exception) -> None:
        """A callback failed; `where` names what it was called for."""

    def close(self) -> bool:
        """End what the node started; False if something of it cannot end soon."""


class GuardedExecutor(SingleThreadedExecutor):
    """Tells of a callback's exception, and goes on with the next callback.

    Exceptions of the executor itself, and those that mean the end, pass; what fails for want of a
    context, while the process ends, is no news.
    """

    def __init__(self, caught: Callable[[str, Exception], None]) -> None:
        super().__init__()
        self._caught = caught

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for one callback and run it."""
        try:
            task, entity, _ = self.wait_for_ready_callbacks(timeout_sec=timeout_sec)
        except (ShutdownException, TimeoutException):
            return
        task()
        error = task.exception()
        if isinstance(error, ExternalShutdownException):
            raise error
        if error is not None and self.context.ok():
            self._caught(_words(entity), error)


def _words(entity: Any) -> str:
    """What a callback was called for: a message on a topic, a call of a service, or its kind."""
    topic, service = getattr(entity, "topic_name", None), getattr(entity, "srv_name", None)
    if topic:
        return f"a message on {topic}"
    return f"a call of {service}" if service else f"a {type(entity).__name__} callback"


def turn(node: Any) -> None:
    """Let one callback of a node run within another, while that waits for something.

    Raises:
        KeyboardInterrupt: the process is to end. Of another exception, or a failure, rclpy would
            want to tell the world, by a context that is gone.
    """
    try:
        if node.executor is not None:
            node.executor.spin_once(timeout_sec=TURN_SECONDS)
    except (ExternalShutdownException, RuntimeError):
        # Without a context each call of rclpy may raise its own RuntimeError.
        if node.context.ok():
            raise
    if not node.context.ok():
        raise KeyboardInterrupt


def run_node(make: Callable[[], Any], args: list[str] | None) -> int:
    """Spin a `Closable` node until SIGINT or SIGTERM; 0, or 2 for arguments ROS does not take."""
    ending.begin(0)
    try:
        rclpy.init(args=args)
    except RuntimeError as error:  # what rclpy's errors of arguments have in common
        sys.stderr.write(f"kdbts_node: {' '.join(str(error).split())}\n")
        return 2
    node: Closable | None = None
    try:
        ending.run()
        node = _spin(make)
    except ending.Interrupted:
        pass  # amid what is not worth tidying: the node was not made yet
    finally:
        # A second Ctrl-C, as launch sends it, must not turn the way out into a traceback.
        ending.tidy()
        finished = node is None or node.close()
        rclpy.try_shutdown()
        ending.over()
    if not finished:
        # A frame in C++ cannot be interrupted, and ending the interpreter around it may crash.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


def _spin(make: Callable[[], Any]) -> Any:
    """Make and spin the node until told to stop, and return it; None if it was stopped before."""
    node = None
    try:
        node = make()
        executor = GuardedExecutor(node.caught)
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ending.Interrupted, ExternalShutdownException):
        pass  # SIGINT and SIGTERM are how a node is meant to end
    except RuntimeError:
        # Stopped while it was being made: its first entity without a context raises this.
        if rclpy.ok():
            raise
    return node
