"""What the node publishes, and what of it anybody wants."""

from __future__ import annotations

from typing import Any

from nav_msgs.msg import OccupancyGrid
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image

from kdbts_ros.msg import InferenceReport
from kdbts_ros.node import messages
from kdbts_ros.node.tally import Tally
from kdbts_ros.node.worker import Job, Outcome

# Nav2's static layer asks for a latched map and does not connect to a volatile one.
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
# Depth and preview exceed what a middleware sends in one piece: best effort would lose them.
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


class Outputs:
    """The publishers of a configured node."""

    def __init__(self, node: LifecycleNode, fixed_frame: str) -> None:
        self._node = node
        self._fixed_frame = fixed_frame
        self._publishers: list[Any] = []
        self._occupancy = self._publisher(OccupancyGrid, "~/occupancy", LATCHED)
        self._probability = self._publisher(OccupancyGrid, "~/occupancy_probability", LATCHED)
        self._depth = self._publisher(Image, "~/depth/image", NEWEST)
        self._depth_info = self._publisher(CameraInfo, "~/depth/camera_info", NEWEST)
        self._preview = self._publisher(Image, "~/preview", NEWEST)
        self._report = self._publisher(InferenceReport, "~/report", QoSProfile(depth=10))

    def _publisher(self, kind: type, topic: str, qos: QoSProfile) -> Any:
        publisher = self._node.create_lifecycle_publisher(
            kind, topic, qos, qos_overriding_options=QoSOverridingOptions.with_default_policies()
        )
        self._publishers.append(publisher)
        return publisher

    @property
    def want_depth(self) -> bool:
        """Somebody listens to the depth image."""
        return self._depth.get_subscription_count() > 0

    @property
    def want_preview(self) -> bool:
        """Somebody looks at the preview."""
        return self._preview.get_subscription_count() > 0

    def publish(self, job: Job, result: Any) -> None:
        """Send the map, and what else the result holds."""
        stamp_ns, camera_frame = job.frame.stamp_ns, job.frame.frame_id
        fixed = messages.header(stamp_ns, self._fixed_frame)
        ground = float(job.needs.T_fixed_base[2, 3])
        for publisher, cells in (
            (self._occupancy, result.trinary),
            (self._probability, result.percent),
        ):
            publisher.publish(messages.occupancy_grid(fixed, result.window, cells, ground))
        optical = messages.header(stamp_ns, camera_frame)
        if job.want_depth and result.depth is not None:
            self._depth.publish(messages.depth_image(optical, result.depth))
            self._depth_info.publish(messages.camera_info(optical, result.depth_camera))
        if result.preview is not None:
            self._preview.publish(messages.rgb_image(optical, result.preview))

    def publish_report(
        self,
        outcome: Outcome,
        stages: dict[str, float],
        model: dict[str, str],
        tally: Tally,
    ) -> None:
        """Send the account of one map; `stages` in milliseconds as `stages_ms` names them."""
        report = InferenceReport(
            header=messages.header(outcome.job.frame.stamp_ns, self._fixed_frame),
            mode="single",
            views_used=1,
            frames_in=tally.frames_in,
            maps_out=tally.maps_out,
        )
        for name in ("head", "checkpoint", "device", "precision"):
            setattr(report, name, model.get(name, ""))
        for name in ("decode", "wait", "network", "query", "publish", "total", "age"):
            setattr(report, f"{name}_ms", float(stages.get(name, 0.0)))
        reasons = sorted(tally.dropped)
        report.drop_reasons = reasons
        report.drop_counts = [tally.dropped[reason] for reason in reasons]
        self._report.publish(report)

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers = []


def stages_ms(
    outcome: Outcome, publish_began: float, published: float, age_ms: float
) -> dict[str, float]:
    """Where the time of one map went; instants are seconds of `Frame.arrived`'s clock."""
    times = outcome.result.times_ms
    arrived = outcome.job.frame.arrived
    return {
        "decode": outcome.decode_ms,
        "wait": (outcome.started - arrived) * 1e3,
        "network": times.get("network", 0.0),
        "query": times.get("query", 0.0) + times.get("depth", 0.0),
        "publish": (published - publish_began) * 1e3,
        "total": (published - arrived) * 1e3,
        "age": age_ms,
    }
