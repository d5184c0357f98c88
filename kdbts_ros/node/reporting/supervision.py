"""What the node is asked once a second, by a clock that nothing of what is watched moves."""

from __future__ import annotations

import time

from rclpy.node import Node

from kdbts_ros.node.inference.worker import InferenceThread
from kdbts_ros.node.inputs.intake import Intake
from kdbts_ros.node.outputs.publishers import Outputs
from kdbts_ros.node.parameters.values import Parameters
from kdbts_ros.node.reporting.counters import Counters
from kdbts_ros.node.reporting.diagnostics import Diagnostics
from kdbts_ros.node.reporting.faults import Faults
from kdbts_ros.node.reporting.graph import Namesakes, clock_publishers
from kdbts_ros.node.reporting.health import (
    Surroundings,
    assess,
    engine_status,
    stopped_maps,
    why_no_map,
)
from kdbts_ros.node.reporting.status import Status


class Supervision:
    """Asks a node's parts how they are, and tells `/diagnostics` and `~/report`."""

    def __init__(self, node: Node, faults: Faults) -> None:
        self._node, self._faults = node, faults
        self._diagnostics = Diagnostics(node)
        self._namesakes = Namesakes(node)

    def tell(
        self,
        state: str,
        fault: str,
        values: Parameters,
        counters: Counters,
        thread: InferenceThread | None,
        intake: Intake | None,
        outputs: Outputs | None,
    ) -> None:
        """Tell how everything is now; `fault`: why the node is not in the state it should be."""
        now, active = time.monotonic(), state == "active" and intake is not None
        namesakes, namesakes_for = self._namesakes.look(now)
        around = Surroundings(
            active=active,
            state=state,
            fault=fault,
            streams=intake.surroundings(now) if intake else (),
            clock_publishers=clock_publishers(self._node),
            clock_runs=self._node.get_clock().now().nanoseconds > 0,
            model=thread.description if thread else {},
            namesakes=namesakes,
            namesakes_for=namesakes_for,
            inference_timeout=values.inference_timeout,
        )
        statuses = assess(counters, around, now, values.silence_timeout)
        self._diagnostics.publish(statuses + self._others(thread, now, values), now)
        if outputs is not None and active:
            if values.clear_on_stale and stopped_maps(counters, now, values.silence_timeout):
                outputs.clear()
            why = why_no_map(counters, statuses, now, values.silence_timeout)
            outputs.publish_silence(why, around.model, counters)

    def _others(
        self, thread: InferenceThread | None, now: float, values: Parameters
    ) -> list[Status]:
        told = [self._faults.status(now, values.silence_timeout)]
        if thread is not None and thread.description:
            told.append(engine_status(thread.as_loaded, thread.description))
        return told
