"""Questions about many points, asked of a running node again and again, and how long they take.

They are asked by a process of their own, as a planner's are: the one that plays the camera spends
milliseconds on sending an image, for which an answer would have to wait.
"""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node

from kdbts_ros import tether
from kdbts_ros.errors import UserError
from kdbts_ros.node.outputs import messages
from kdbts_ros.replay import program
from kdbts_ros.srv import QueryOccupancy

POINTS = 10_000
# No whole fraction of a camera's period: questions come at every moment of a frame.
PERIOD_SECONDS = 0.073
# For the service to appear, and for answers under way when the last question was asked.
PATIENCE_SECONDS, SETTLING_SECONDS = 60.0, 1.0
# What the process says once it asks.
ASKING = "asking"


@dataclass(frozen=True)
class QueryFigures:
    """What came of questions; milliseconds.

    round_trip_p50_ms, round_trip_p95_ms: from the call to its answer, in the client: ours is
    written in Python. node_p50_ms, node_p95_ms: of that, in the node. refused: answers without
    success; message: the last reason.
    """

    points: int
    asked: int
    answered: int
    refused: int
    round_trip_p50_ms: float | None
    round_trip_p95_ms: float | None
    node_p50_ms: float | None
    node_p95_ms: float | None
    message: str = ""


class QueryLoad:
    """Asks about `POINTS` points before the robot while its node is spun, once started.

    Args:
        node: to ask with.
        name: full name of the node that is asked.
    """

    def __init__(self, node: Node, name: str) -> None:
        self._node = node
        self._client = node.create_client(QueryOccupancy, f"{name}/query")
        self._request = QueryOccupancy.Request()
        self._request.header.frame_id = "base_link"
        # Between two rates no image is sent.
        self._request.max_age = math.inf
        places = np.random.default_rng(0).uniform([3, -10, 0], [23, 10, 2], (POINTS, 3))
        self._request.points = messages.filled("d", places)
        self._timer: Any = None
        self._asked = 0
        self._times: list[tuple[float, float]] = []
        self._refusals: list[str] = []

    def start(self) -> None:
        """Ask from now on."""
        self._asked, self._times, self._refusals = 0, [], []
        self._timer = self._node.create_timer(PERIOD_SECONDS, self._ask)

    def stop(self) -> None:
        """Ask no more; what is under way may still be answered."""
        self._node.destroy_timer(self._timer)

    def figures(self) -> QueryFigures:
        """Of what was asked since `start`."""

        def percentile(column: int, share: float) -> float | None:
            values = [times[column] for times in self._times]
            return round(float(np.percentile(values, share)), 2) if values else None

        return QueryFigures(
            points=POINTS,
            asked=self._asked,
            answered=len(self._times),
            refused=len(self._refusals),
            round_trip_p50_ms=percentile(0, 50),
            round_trip_p95_ms=percentile(0, 95),
            node_p50_ms=percentile(1, 50),
            node_p95_ms=percentile(1, 95),
            message=self._refusals[-1] if self._refusals else "",
        )

    def _ask(self) -> None:
        if not self._client.service_is_ready():
            return
        self._asked += 1
        began = time.perf_counter()

        def heard(future: Any) -> None:
            took = (time.perf_counter() - began) * 1e3
            answer = future.result()
            if answer.success and len(answer.probability) == POINTS:
                self._times.append((took, float(answer.took_ms)))
            else:
                self._refusals.append(str(answer.message))

        self._client.call_async(self._request).add_done_callback(heard)

    def is_answered(self) -> bool:
        """Whether the service is there."""
        return bool(self._client.service_is_ready())


class Asking:
    """A process that asks from the moment this is made, for so many seconds.

    Args:
        name: full name of the node that is asked.
        client: a program instead of ours. It is called with name and seconds, writes `ASKING` and a
            new line as soon as it asks, and in the end a `QueryFigures` as JSON.
    """

    def __init__(self, name: str, seconds: float, client: str | None = None) -> None:
        self._client, words = client, [name, str(seconds)]
        if client is None:
            command = tether.command(__name__, words)
        else:
            command = tether.command(program.__name__, [client, *words])
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        # Importing rclpy must not be what the node has to stand beside.
        self._asks = self._first_line() == ASKING

    def figures(self) -> QueryFigures | None:
        """What came of it, once it has ended; None if it did not find the service.

        Raises:
            UserError: a client that is not ours said something else.
        """
        if self._client is None:
            said, _ = self._process.communicate(timeout=PATIENCE_SECONDS)
            return QueryFigures(**json.loads(said)) if self._asks and said else None
        try:
            said = self._process.communicate(timeout=PATIENCE_SECONDS)[0] if self._asks else b""
            return QueryFigures(**json.loads(said))
        except (TypeError, ValueError, subprocess.TimeoutExpired) as error:
            raise UserError(
                f"the client {self._client} said no figures of questions ({error}): see "
                "examples/query_load.cpp for what is expected of it"
            ) from error

    def _first_line(self) -> str:
        """Byte by byte: what comes behind it stays in the pipe."""
        assert self._process.stdout is not None
        pipe, line = self._process.stdout.fileno(), bytearray()
        until = time.monotonic() + PATIENCE_SECONDS
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
            byte = os.read(pipe, 1) if ready else b""
            if not byte:
                break
            line += byte
        return line.decode(errors="replace").strip()

    def __enter__(self) -> Asking:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tether.end(self._process)


def quickest_executor() -> Executor:
    """The one of rclpy that builds no wait set for each answer, where this ROS has it (Kilted)."""
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


def main() -> int:
    """Ask a node for so many seconds, and say in JSON what came of it: NAME SECONDS."""
    name, seconds = sys.argv[1], float(sys.argv[2])
    rclpy.init()
    node, executor = rclpy.create_node("kdbts_query_load"), quickest_executor()
    executor.add_node(node)
    load = QueryLoad(node, name)

    def spin(until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            executor.spin_once(timeout_sec=left)

    give_up = time.monotonic() + PATIENCE_SECONDS
    while not load.is_answered():
        if time.monotonic() > give_up:
            return 1
        spin(time.monotonic() + 0.1)
    print(ASKING, flush=True)
    load.start()
    spin(time.monotonic() + seconds)
    load.stop()
    spin(time.monotonic() + SETTLING_SECONDS)
    print(json.dumps(asdict(load.figures())), flush=True)
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
