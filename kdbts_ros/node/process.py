"""A node's process, from its arguments to its exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Protocol

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor


class Closable(Protocol):
    """A node that has more to end than its ROS entities."""

    def close(self) -> bool:
        """End what the node started; False if something of it cannot end soon."""


def run_node(make: Callable[[], Any], args: list[str] | None) -> int:
    """Spin a `Closable` node until SIGINT or SIGTERM; 0, or 2 for arguments ROS does not take."""
    try:
        rclpy.init(args=args)
    except RuntimeError as error:  # what rclpy's errors of arguments have in common
        sys.stderr.write(f"kdbts_node: {' '.join(str(error).split())}\n")
        return 2
    node: Closable | None = None
    try:
        node = _spin(make)
    finally:
        # A second Ctrl-C, as launch sends it, must not turn the way out into a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        finished = node is None or node.close()
        rclpy.try_shutdown()
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
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # SIGINT and SIGTERM are how a node is meant to end
    except RuntimeError:
        # Stopped while it was being made: its first entity without a context raises this.
        if rclpy.ok():
            raise
    return node
