"""`~/report`: what became of the images, one message for every map and one a second without any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdbts_ros.msg import InferenceReport
from kdbts_ros.node.inference.worker import Outcome, Published
from kdbts_ros.node.outputs import messages
from kdbts_ros.node.reporting.counters import Counters

STAGES = ("decode", "wait", "network", "query", "publish", "ros", "total", "age")


def tells_of_a_map(report: Any) -> bool:
    """Whether an InferenceReport is the account of a map, and not of a second without one."""
    return bool(report.mode)


class Reports:
    """Writes the reports of one configuration."""

    def __init__(self) -> None:
        self._stamp_ns = 0

    def of_map(
        self,
        outcome: Outcome,
        stages: Mapping[str, float],
        model: Mapping[str, str],
        counters: Counters,
        frame_id: str,
    ) -> InferenceReport:
        """The account of one map of `frame_id`; `stages` in milliseconds as `stages_ms` has it."""
        self._stamp_ns = outcome.job.frame.stamp_ns
        report = self._counted(model, counters, frame_id)
        views, ground = outcome.result.views, outcome.result.ground
        report.mode, report.mode_note = views.mode, views.note
        report.views_used, report.views_kept = views.used, views.kept
        report.views_bytes, report.pose_jumps = views.kept_bytes, views.pose_jumps
        report.ground_scale, report.ground_pitch = ground.scale, ground.pitch
        for name in STAGES:
            setattr(report, f"{name}_ms", float(stages.get(name, 0.0)))
        return report

    def without_map(
        self, why: str, model: Mapping[str, str], counters: Counters, frame_id: str
    ) -> InferenceReport:
        """The account of a second without a map: counters of now, and why in `mode_note`.

        `mode` is empty, the stamp is that of the newest map (0 before the first), and no stage took
        any time.
        """
        report = self._counted(model, counters, frame_id)
        report.mode_note = why
        report.ground_scale = report.ground_pitch = float("nan")
        return report

    def _counted(
        self, model: Mapping[str, str], counters: Counters, frame_id: str
    ) -> InferenceReport:
        reasons = sorted(counters.dropped)
        report = InferenceReport(
            header=messages.header(self._stamp_ns, frame_id),
            time_jumps=counters.time_jumps,
            frames_in=counters.frames_in,
            maps_out=counters.maps_out,
            views_in=counters.views_in,
            drop_reasons=reasons,
            drop_counts=[counters.dropped[reason] for reason in reasons],
        )
        for name in ("head", "checkpoint", "device", "precision"):
            setattr(report, name, model.get(name, ""))
        return report


def stages_ms(outcome: Outcome, published: Published) -> dict[str, float]:
    """Where the time of one map went."""
    times = outcome.result.times_ms
    arrived = outcome.job.frame.arrived
    wait, total = (outcome.started - arrived) * 1e3, (published.ended - arrived) * 1e3
    network = times.get("network", 0.0)
    query = sum(times.get(stage, 0.0) for stage in ("views", "query", "depth", "preview"))
    return {
        "decode": outcome.decode_ms,
        "wait": wait,
        "network": network,
        "query": query,
        "publish": (published.ended - published.began) * 1e3,
        # What is left is the node's own: decoding, the executor's turns, messages, publishing.
        "ros": total - wait - network - query,
        "total": total,
        "age": published.age_ms,
    }
