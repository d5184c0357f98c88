"""What the node says about itself: OK, or one sentence naming what is wrong and what cures it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.counters import JUMPS_WITHIN, Counters, StreamCounters
from kdbts_ros.node.reporting.input_health import StreamSurroundings, input_status
from kdbts_ros.node.reporting.status import ERROR, OK, STALE, WARN, Status, quiet

# A process that was killed is listed in the graph until its lease ends, 20 s with Fast DDS.
LISTED_AFTER_DEATH = 30.0


@dataclass(frozen=True)
class Surroundings:
    """What the node sees around it when it assesses itself.

    clock_runs: ROS time is not zero.
    clock_publishers: nodes that publish /clock, while the node lives by it; else empty.
    namesakes: other nodes of this node's full name, and for how long there were any, seconds.
    inference_timeout: after how long an inference that does not end is given up, seconds.
    """

    active: bool
    state: str
    fault: str
    streams: tuple[StreamSurroundings, ...]
    clock_runs: bool
    model: dict[str, str]
    clock_publishers: tuple[str, ...] = ()
    namesakes: int = 0
    namesakes_for: float = 0.0
    inference_timeout: float = 60.0


def assess(counters: Counters, around: Surroundings, now: float, silence: float) -> list[Status]:
    """`lifecycle`, `name`; while active also `input` of each camera, `time`, `pose`, `inference`
    and `camera`.

    silence: s of patience.
    """
    level = ERROR if around.fault else OK
    lifecycle = Status("lifecycle", level, around.fault or f"node is {around.state}")
    if not around.active:
        return [lifecycle, _name(around)]
    return [
        lifecycle,
        _name(around),
        *(
            input_status(counters.stream(stream.camera), stream, counters.since, now, silence)
            for stream in around.streams
        ),
        _time(counters, around, now),
        _pose(counters, now, silence),
        _inference(counters, around, now, silence),
        _camera(counters, now, silence),
    ]


def _name(around: Surroundings) -> Status:
    if not around.namesakes:
        return Status("name", OK, "no other node has this name")
    cure = "their topics, services and parameters are mixed up; stop one, or start it with another "
    cure += "name (--ros-args -r __node:=...)"
    if around.namesakes_for > LISTED_AFTER_DEATH:
        return Status("name", ERROR, f"{around.namesakes} other node(s) have this name: {cure}")
    return Status(
        "name",
        WARN,
        f"{around.namesakes} other node(s) have this name, unless they were killed a moment ago: "
        f"{cure}",
    )


def _time(counters: Counters, around: Surroundings, now: float) -> Status:
    values = {
        "jumps in time": str(counters.time_jumps),
        "publishers of /clock": ", ".join(around.clock_publishers) or "none that matters",
    }
    if not around.clock_runs:
        sentence = "use_sim_time is set but nobody publishes /clock"
        if around.clock_publishers:
            sentence = f"/clock stands at zero: {', '.join(around.clock_publishers)} publishes it"
        return Status("time", WARN, f"{sentence}; images are judged by their stamps alone", values)
    repeated = counters.jumps.repeated(now)
    if repeated:
        found = "; ".join(f"{topic}, published by {_behind(topic, around)}" for topic in repeated)
        return Status(
            "time",
            ERROR,
            f"time jumps again and again within {JUMPS_WITHIN:g} s, and each jump begins an empty "
            f"map, as told by {found}: stop all but one publisher (a recording that loops should "
            "be longer)",
            values,
        )
    if len(around.clock_publishers) > 1:
        several = " and ".join(around.clock_publishers)
        return Status("time", WARN, f"/clock is published by {several}: stop one", values)
    return Status("time", OK, "time goes on", values)


def _behind(topic: str, around: Surroundings) -> str:
    """The nodes that publish a topic which told of jumps."""
    for stream in around.streams:
        if stream.image_topic == topic:
            return " and ".join(sorted({p.node for p in stream.images})) or "nobody any more"
    return " and ".join(around.clock_publishers) or "nobody any more"


def _of(camera: str) -> str:
    """What goes before a sentence about one of several cameras."""
    return f"{camera}: " if camera else ""


def _pose(counters: Counters, now: float, silence: float) -> Status:
    lost = {reason: counters.dropped[reason] for reason in sorted(drops.POSE_REASONS)}
    values = {f"dropped, {reason}": str(count) for reason, count in lost.items()}
    found = [
        (level, sentence)
        for camera, account in counters.streams.items()
        for level, sentence in _lost_poses(counters, camera, account, now, silence)
    ]
    if found:
        level = max(level for level, _ in found)
        return Status("pose", level, "; ".join(sentence for _, sentence in found), values)
    if now - counters.transform_fault_at <= silence:
        return Status("pose", WARN, counters.transform_fault, values)
    if counters.pose_at is None:
        return Status("pose", OK, "no image needed a pose yet", values)
    return Status("pose", OK, "poses are found at the stamps of the images", values)


def _lost_poses(
    counters: Counters, camera: str, account: StreamCounters, now: float, silence: float
) -> list[tuple[int, str]]:
    """Why images of one camera were lost lately for want of a pose; nothing if none was."""
    reasons = account.losses.recent(drops.POSE_REASONS, now - silence)
    if not reasons:
        return []
    lasting = quiet(account.pose_at, counters.since, now, silence)
    return [(ERROR if lasting else WARN, _of(camera) + account.losses.sentence(reasons[0]))]


def _inference(counters: Counters, around: Surroundings, now: float, silence: float) -> Status:
    values = dict(around.model)
    values["maps out"] = str(counters.maps_out)
    values["views in"] = str(counters.views_in)
    for reason, count in sorted(counters.dropped.items()):
        values[f"dropped, {reason}"] = str(count)
    for name, (median, p95) in counters.percentiles().items():
        values[f"{name} ms, median and p95"] = f"{median:.1f}, {p95:.1f}"
    failing = {name: a for name, a in counters.streams.items() if a.failures_in_row}
    if failing:
        in_row = max(account.failures_in_row for account in failing.values())
        failures = "; ".join(
            f"{_of(name)}{account.failures_in_row} image(s) in a row failed: "
            f"{account.losses.details[drops.INFERENCE_ERROR]}"
            for name, account in failing.items()
        )
        return Status("inference", ERROR if in_row >= 3 else WARN, failures, values)
    overdue = _overdue(counters, around, now, silence)
    if overdue:
        return Status("inference", ERROR, overdue, values)
    if quiet(counters.map_at, counters.since, now, silence):
        # Nothing came that could become a map: the other lines say why, and the log has it of them.
        return Status("inference", STALE, no_map(counters, now, silence), values, said=True)
    if counters.map_at is None:
        return Status("inference", OK, "no map yet", values)
    return Status("inference", OK, "maps are published", values)


def _overdue(counters: Counters, around: Surroundings, now: float, silence: float) -> str:
    """Why maps do not come of images that could become some; empty if they do."""
    waited = counters.debts.answer_overdue(now)
    if waited > silence:
        return (
            f"an inference has not ended for {waited:.1f} s: given up after inference_timeout, "
            f"{around.inference_timeout:g} s; if frames take that long on this machine, raise "
            "silence_timeout and inference_timeout"
        )
    if counters.debts.map_overdue(now) > silence:
        return no_map(counters, now, silence)
    return ""


def stopped_maps(counters: Counters, now: float, silence: float) -> bool:
    """Whether the newest map of this activation, or of one before, has grown old."""
    return counters.map_at is not None and quiet(counters.map_at, counters.since, now, silence)


def no_map(counters: Counters, now: float, silence: float) -> str:
    """For how long there was no map, and the newest reason why an image became none."""
    last = counters.since if counters.map_at is None else max(counters.map_at, counters.since)
    reason = counters.losses.newest(now - silence)
    return f"no map for {now - last:.1f} s" + (f"; the newest reason is {reason}" if reason else "")


def why_no_map(counters: Counters, statuses: Sequence[Status], now: float, silence: float) -> str:
    """The newest reason why there is no map, or the most serious trouble, or that there is none."""
    reason = counters.losses.newest(now - silence)
    if reason:
        return reason
    worst = max(statuses, key=lambda status: (status.level, not status.said))
    return "no image came that could become one" if worst.level == OK else worst.message


def _camera(counters: Counters, now: float, silence: float) -> Status:
    accounts = sorted(counters.streams.items())
    refused = [
        _of(camera) + account.losses.sentence(drops.BAD_MOUNT)
        for camera, account in accounts
        if account.losses.recent((drops.BAD_MOUNT,), now - silence)
    ]
    if refused:
        return Status("camera", ERROR, "; ".join(refused))
    found = [
        f"{camera or account.frame_id}: {sentence}"
        for camera, account in accounts
        for sentence in account.concerns
    ]
    if found:
        return Status("camera", WARN, "; ".join(found), lasting=True)
    return Status("camera", OK, "the network is shown what it was trained on")


def engine_status(at_start: dict[str, str], model: dict[str, str]) -> Status:
    """Whether the model still runs as it did when it was loaded; both as `Pipeline.describe`."""
    before, engine = at_start.get("engine", ""), model.get("engine", "")
    # While a model loads it describes itself before it is known as what was loaded.
    if not at_start or engine == before:
        return Status("engine", OK, f"runs as it was loaded: {engine or 'nothing is loaded'}")
    return Status("engine", WARN, f"slower since it was loaded: {engine}", lasting=True)
