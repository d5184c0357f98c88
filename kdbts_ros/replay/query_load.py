"""Questions about many points, asked of a running node again and again, and how long they take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.node import Node

from kdbts_ros.node.outputs import messages
from kdbts_ros.srv import QueryOccupancy

POINTS = 10_000
# No whole fraction of a camera's period: questions come at every moment of a frame.
PERIOD_SECONDS = 0.073


@dataclass(frozen=True)
class QueryFigures:
    """What came of questions; milliseconds.

    round_trip_p50_ms, round_trip_p95_ms: from the call to its answer, in a client written in
    Python. node_p50_ms, node_p95_ms: of that, in the node. refused: answers without success;
    message: the last reason.
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
