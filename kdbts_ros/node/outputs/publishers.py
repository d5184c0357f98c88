"""What the node publishes, and what of it anybody wants.

Maps, depth and preview are sent by the inference thread, which has them first, and after them what
`beside` adds; the report and a late joiner's map by the executor. The lock of `Epochs` keeps the
two apart.

A middleware gives late joiners the last sample of a latched topic, whatever has happened since. So
a new epoch begins by replacing what is latched of an earlier one with a map that knows nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from nav_msgs.msg import OccupancyGrid
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image

from kdbts_ros.density.maps.confidence import confidence_percent
from kdbts_ros.density.settings import Wanted
from kdbts_ros.msg import InferenceReport
from kdbts_ros.node.inference.handover import Epochs
from kdbts_ros.node.inference.worker import Job, Outcome, Published
from kdbts_ros.node.outputs import messages
from kdbts_ros.node.outputs.beside import BesideOutputs
from kdbts_ros.node.outputs.query_service import Pose, QueryService
from kdbts_ros.node.outputs.reports import Reports
from kdbts_ros.node.parameters.values import Parameters
from kdbts_ros.node.reporting.counters import Counters
from kdbts_ros.node.reporting.faults import with_place

# Nav2's static layer asks for a latched map and does not connect to a volatile one.
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
# Depth and preview exceed what a middleware sends in one piece: best effort would lose them.
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
# So often comes a report, whether there is a map or not.
REPORT_SECONDS = 1.0
# How long the executor waits for what is being sent, seconds: a middleware may never return.
PATIENCE = 1.0


class Outputs:
    """The publishers of a configured node, and who answers questions about what they sent.

    Args:
        parameters: gives the values of now.
        pose: gives T_fixed_frame of a frame at a stamp in ns; raises Dropped or UserError.
        caught: told of what nobody foresaw.
    """

    def __init__(
        self,
        node: LifecycleNode,
        parameters: Callable[[], Parameters],
        epochs: Epochs,
        pose: Pose,
        caught: Callable[[str, Exception], None],
    ) -> None:
        self._node = node
        self._parameters = parameters
        self._epochs = epochs
        self._publishers: list[Any] = []
        self._last: tuple[Job, Any] | None = None
        self._probability_latched = self._confidence_latched = False
        self._reports, self._reported_at = Reports(), float("-inf")
        self._occupancy = self._publisher(OccupancyGrid, "~/occupancy", LATCHED)
        self._probability = self._publisher(
            OccupancyGrid, "~/occupancy_probability", LATCHED, self._on_probability_matched
        )
        self._confidence = self._publisher(OccupancyGrid, "~/confidence", LATCHED)
        self._depth = self._publisher(Image, "~/depth/image", NEWEST)
        self._depth_info = self._publisher(CameraInfo, "~/depth/camera_info", NEWEST)
        self._preview = self._publisher(Image, "~/preview", NEWEST)
        self._beside = BesideOutputs(
            lambda kind, topic: self._publisher(kind, topic, NEWEST), parameters, epochs
        )
        self._report = self._publisher(InferenceReport, "~/report", QoSProfile(depth=10))
        self._queries = QueryService(node, parameters, self.newest, pose, caught)

    def _publisher(
        self,
        kind: type,
        topic: str,
        qos: QoSProfile,
        matched: Callable[[Any], None] | None = None,
    ) -> Any:
        """matched: called when listeners come and go."""
        overrides = QoSOverridingOptions.with_default_policies()
        # Listeners that ask for another quality are told so by their own side. Two handlers more
        # of each publisher here made every turn of rclpy's executor half as long again.
        events = PublisherEventCallbacks(matched=matched, use_default_callbacks=False)
        publisher = self._node.create_lifecycle_publisher(
            kind, topic, qos, qos_overriding_options=overrides, event_callbacks=events
        )
        self._publishers.append(publisher)
        return publisher

    def newest(self) -> tuple[Job, Any] | None:
        """The job and the result of the last map of this epoch, for the executor's thread."""
        # Without the lock, which is held while a map is sent: it alone ends epochs.
        found = self._last
        return found if found is not None and found[0].epoch == self._epochs.now else None

    def wanted(self) -> Wanted:
        """What somebody listens to, or asks about."""
        return Wanted(
            depth=self._depth.get_subscription_count() > 0,
            percent=self._probability.get_subscription_count() > 0,
            preview=self._preview.get_subscription_count() > 0,
            queries=self._queries.wanted(),
        )

    def publish(self, job: Job, result: Any) -> Published | None:
        """Send the map, and what else was wanted of it, unless the job's epoch has ended.

        Called in the inference thread. An exception means that no map was sent; once it is, what
        cannot be sent beside it is told in the result.
        """
        began = time.monotonic()
        grid = self._grid(job, result, result.trinary)
        with self._epochs.lock:
            if job.epoch != self._epochs.now:
                return None
            self._occupancy.publish(grid)
            self._last = (job, result)
            fault = self._send_beside(job, result)
        ended, clock_ns = time.monotonic(), self._node.get_clock().now().nanoseconds
        # Only now, and not in the age of the map: nobody who waits for the map waits for this.
        faults = filter(None, (fault, self._beside.send(job, result.beside)))
        return Published(began, ended, (clock_ns - job.frame.stamp_ns) / 1e6, "; ".join(faults))

    def _send_beside(self, job: Job, result: Any) -> str:
        """Send what was wanted beside the map; why that failed, or nothing."""
        try:
            if result.percent is not None:
                self._send_probability(job, result, result.percent)
            if self._confidence.get_subscription_count() > 0:
                sure = confidence_percent(result.occupancy, result.views.used, result.trinary)
                self._confidence.publish(self._grid(job, result, sure))
                self._confidence_latched = True
            optical = messages.header(job.frame.stamp_ns, job.frame.frame_id)
            if job.wanted is not None and job.wanted.depth and result.depth is not None:
                self._depth.publish(messages.depth_image(optical, result.depth))
                self._depth_info.publish(messages.camera_info(optical, result.depth_camera))
            if result.preview is not None:
                self._preview.publish(messages.rgb_image(optical, result.preview))
        except Exception as error:  # a middleware has reasons of its own
            return f"publishing beside the map failed: {with_place(error)}"
        return ""

    def _send_probability(self, job: Job, result: Any, percent: Any) -> None:
        self._probability.publish(self._grid(job, result, percent))
        self._probability_latched = True

    def _grid(
        self, job: Job, result: Any, cells: Any, stamp_ns: int | None = None
    ) -> OccupancyGrid:
        stamp_ns = job.frame.stamp_ns if stamp_ns is None else stamp_ns
        head = messages.header(stamp_ns, self._parameters().fixed_frame)
        ground = float(job.needs.T_fixed_base[2, 3])
        return messages.occupancy_grid(head, result.window, cells, ground)

    def begin_epoch(self, stamp_ns: int | None = None) -> None:
        """Replace what is latched of an ended epoch by a map of the same cells, all unknown.

        Called in the executor's thread, once the publishers are active. stamp_ns: where the new
        epoch begins; None for the stamp of the map that is replaced.
        """
        with self._epochs.held(PATIENCE) as held:
            if held and self._last is not None and self._last[0].epoch != self._epochs.now:
                self._send_unknown(*self._last, stamp_ns)

    def clear(self) -> bool:
        """Replace what is latched by a map of the same cells, all unknown: it has grown old.

        Called in the executor's thread, while the publishers are active. Whether anything was: what
        is cleared already is left alone. The stamp is a nanosecond after that of the old map.
        """
        with self._epochs.held(PATIENCE) as held:
            if not held or self._last is None:
                return False
            job, result = self._last
            self._send_unknown(job, result, job.frame.stamp_ns + 1)
            return True

    def _send_unknown(self, job: Job, result: Any, stamp_ns: int | None) -> None:
        self._last = None
        unknown = np.full_like(result.trinary, -1)
        grid = self._grid(job, result, unknown, stamp_ns)
        self._occupancy.publish(grid)
        if self._probability_latched:
            self._probability.publish(grid)
        if self._confidence_latched:
            self._confidence.publish(grid)
        self._probability_latched = self._confidence_latched = False

    def _on_probability_matched(self, event: Any) -> None:
        """A late joiner gets the latched map, though nobody wanted it when it was made."""
        if event.current_count_change < 1:
            return
        # A newer map that is sent meanwhile must not be followed, and unlatched, by this one.
        with self._epochs.held(PATIENCE) as held:
            if not held or self._last is None or self._last[0].epoch != self._epochs.now:
                return
            job, result = self._last
            if result.percent is None:
                percent = result.occupancy.percent_beside(result.trinary)
                self._send_probability(job, result, percent)

    def publish_report(
        self,
        outcome: Outcome,
        stages: dict[str, float],
        model: dict[str, str],
        counters: Counters,
    ) -> None:
        """Send the account of one map; `stages` in milliseconds as `stages_ms` names them."""
        frame_id = self._parameters().fixed_frame
        self._send_report(self._reports.of_map(outcome, stages, model, counters, frame_id))

    def publish_silence(
        self, why: str, model: dict[str, str], counters: Counters, *, at_once: bool = False
    ) -> None:
        """Send the account of a second without a map; not after one that has just gone out, unless
        it is to go at once."""
        if not at_once and time.monotonic() - self._reported_at < REPORT_SECONDS / 2:
            return
        frame_id = self._parameters().fixed_frame
        self._send_report(self._reports.without_map(why, model, counters, frame_id))

    def _send_report(self, report: InferenceReport) -> None:
        self._report.publish(report)
        self._reported_at = time.monotonic()

    def close(self) -> None:
        """Destroy the publishers; the epoch of the jobs under way must have ended."""
        self._queries.close()
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers = []
