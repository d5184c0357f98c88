"""Processes of a demo: where their output goes, and that they end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from kdbts_ros import tether

# SIGINT is how ROS nodes are ended; what does not listen in time is killed.
_STEPS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = (5.0, 3.0)


def prepare_environment(ros_logs: Path) -> int:
    """Give this process and its children a ROS of their own on this machine; its domain.

    Neither a robot's topics nor a second demo's may get in. Call it before rclpy is imported.
    """
    environment = os.environ
    # Domains above 101 collide with the ephemeral ports of Linux.
    domain = 1 + os.getpid() % 100
    if environment.get("ROS_DOMAIN_ID") == str(domain):
        domain = 1 + domain % 100
    environment["ROS_DOMAIN_ID"] = str(domain)
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    environment["ROS_LOG_DIR"] = str(ros_logs)
    # Unset where ROS came as Python wheels and `kdbts` was called without the Makefile.
    environment.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    return domain


class Child:
    """A Python module in a process of its own; as a context it ends with the block.

    The block gives it time to end well; that it ends, should this process be killed or interrupted
    before the block has begun, is the kernel's part.
    """

    def __init__(self, module: str, arguments: Sequence[str], log: Path) -> None:
        self.log = log
        with log.open("w") as output:
            # A session of its own: a Ctrl-C reaches the demo alone, which then ends its children.
            self._process = subprocess.Popen(
                tether.command(module, arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def last_words(self, lines: int = 6) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace").strip().splitlines()
        return "\n".join(text[-lines:]) or "(it said nothing)"

    def stop(self) -> None:
        """End it, and wait until it has."""
        tether.end(self._process, *zip(_STEPS, _PATIENCE, strict=True))

    def kill(self) -> None:
        """End it at once."""
        tether.end(self._process)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            # Who waits for this process has no patience for two of them to end well.
            self.kill()
        else:
            self.stop()
