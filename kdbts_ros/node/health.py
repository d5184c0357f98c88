"""What the node says about itself: OK, or one sentence naming what is wrong and what cures it."""

from __future__ import annotations

from dataclasses import dataclass, field

from kdbts_ros.node import drops
from kdbts_ros.node.tally import StreamTally, Tally

OK, WARN, ERROR = 0, 1, 2


@dataclass(frozen=True)
class Status:
    """One line of /diagnostics. A lasting trouble is logged once, since nothing will change it.

    said: it is in the log already.
    """

    name: str
    level: int
    message: str
    values: dict[str, str] = field(default_factory=dict)
    lasting: bool = False
    said: bool = False


@dataclass(frozen=True)
class StreamSurroundings:
    """What is to be seen of one camera's topics. `camera` is empty where there is only one.

    `published_since`: when the image topic got its first publisher, monotonic s; None without one.
    """

    camera: str
    image_topic: str
    camera_info_topic: str
    image_publishers: int
    published_since: float | None = None


@dataclass(frozen=True)
class Surroundings:
    """What the node sees around it when it assesses itself. `clock_runs`: ROS time is not zero."""

    active: bool
    state: str
    fault: str
    streams: tuple[StreamSurroundings, ...]
    image_reliability: str
    clock_runs: bool
    model: dict[str, str]


def assess(tally: Tally, around: Surroundings, now: float, silence: float) -> list[Status]:
    """`lifecycle`, and while active `input` (of each camera), `pose`, `inference` and `camera`.

    silence: s of patience.
    """
    level = ERROR if around.fault else OK
    lifecycle = Status("lifecycle", level, around.fault or f"node is {around.state}")
    if not around.active:
        return [lifecycle]
    return [
        lifecycle,
        *(_input(tally, around, stream, now, silence) for stream in around.streams),
        _pose(tally, around, now, silence),
        _inference(tally, around, now, silence),
        _camera(tally, now, silence),
    ]


def _quiet(at: float | None, since: float, now: float, silence: float) -> bool:
    return now - (since if at is None else max(at, since)) > silence


def _input(
    tally: Tally, around: Surroundings, stream: StreamSurroundings, now: float, silence: float
) -> Status:
    account = tally.stream(stream.camera)
    values = {
        "image topic": stream.image_topic,
        "camera_info topic": stream.camera_info_topic,
        "publishers of images": str(stream.image_publishers),
        "frames in": str(tally.frames_in),
    }
    level, message = OK, "images and camera_info arrive"
    # A publisher that has just appeared is not silent yet, however long the node has waited for it.
    since = max(tally.since, stream.published_since or tally.since)
    if _quiet(account.image_at, since, now, silence):
        level, message = _no_images(account, stream, around.image_reliability, silence)
    elif account.calibration_fault:
        level, message = ERROR, account.calibration_fault
    elif account.image_at is None:
        message = "waiting for the first image"
    elif account.calibration_at is None and now - tally.since > silence:
        level = ERROR
        message = (
            f"images arrive but no camera_info on {stream.camera_info_topic}: "
            "remap camera_info to the topic of this camera"
        )
    else:
        for reason in (
            drops.BAD_IMAGE,
            drops.CAMERA_INFO_MISMATCH,
            drops.ZERO_STAMP,
            drops.FUTURE_STAMP,
            drops.DUPLICATE,
            drops.OUT_OF_ORDER,
        ):
            if now - tally.drop_at.get(reason, float("-inf")) <= silence:
                level, message = WARN, f"{reason}: {tally.details[reason]}"
                break
    return Status(f"input {stream.camera}".rstrip(), level, message, values)


def _no_images(
    account: StreamTally, stream: StreamSurroundings, reliability: str, silence: float
) -> tuple[int, str]:
    topic = stream.image_topic
    if not stream.image_publishers:
        return WARN, f"nobody publishes {topic}: start the camera, or remap image to its topic"
    if account.incompatible_qos:
        return ERROR, (
            f"the publisher of {topic} offers another QoS than asked ({account.incompatible_qos}): "
            "set image_reliability:=best_effort"
        )
    if reliability == "best_effort":
        return ERROR, (
            f"{topic} has a publisher but no image came for {silence:g} s: large images are lost "
            "by a default middleware; set image_reliability:=reliable, or start the camera with "
            "FASTDDS_DEFAULT_PROFILES_FILE=<share>/config/fastdds_large_messages.xml"
        )
    return ERROR, (
        f"{topic} has a publisher but no image came for {silence:g} s: the camera is silent, or "
        "publishes best effort (then set image_reliability:=best_effort)"
    )


def _pose(tally: Tally, around: Surroundings, now: float, silence: float) -> Status:
    lost = {reason: tally.dropped[reason] for reason in sorted(drops.POSE_REASONS)}
    values = {f"dropped, {reason}": str(count) for reason, count in lost.items()}
    values["jumps in time"] = str(tally.time_jumps)
    if not around.clock_runs:
        return Status("pose", WARN, "use_sim_time is set but nobody publishes /clock", values)
    latest = max(drops.POSE_REASONS, key=lambda r: tally.drop_at.get(r, float("-inf")))
    failed_at = tally.drop_at.get(latest)
    if failed_at is not None and now - failed_at <= silence:
        lasting = _quiet(tally.pose_at, tally.since, now, silence)
        detail = f"{latest}: {tally.details[latest]}"
        return Status("pose", ERROR if lasting else WARN, detail, values)
    if now - tally.transform_fault_at <= silence:
        return Status("pose", WARN, tally.transform_fault, values)
    if tally.pose_at is None:
        return Status("pose", OK, "no image needed a pose yet", values)
    return Status("pose", OK, "poses are found at the stamps of the images", values)


def _inference(tally: Tally, around: Surroundings, now: float, silence: float) -> Status:
    values = dict(around.model)
    values["maps out"] = str(tally.maps_out)
    values["views in"] = str(tally.views_in)
    for reason, count in sorted(tally.dropped.items()):
        values[f"dropped, {reason}"] = str(count)
    for name, (median, p95) in tally.percentiles().items():
        values[f"{name} ms, median and p95"] = f"{median:.1f}, {p95:.1f}"
    detail = tally.details.get(drops.INFERENCE_ERROR, "")
    if tally.failures_in_row:
        level = ERROR if tally.failures_in_row >= 3 else WARN
        times = f"{tally.failures_in_row} image(s) in a row failed"
        return Status("inference", level, f"{times}: {detail}", values)
    if tally.pose_at is not None and _quiet(tally.map_at, tally.pose_at, now, silence):
        return Status("inference", WARN, f"no map for {silence:g} s", values)
    return Status("inference", OK, "maps are published", values)


def _camera(tally: Tally, now: float, silence: float) -> Status:
    if now - tally.drop_at.get(drops.BAD_MOUNT, float("-inf")) <= silence:
        return Status("camera", ERROR, f"{drops.BAD_MOUNT}: {tally.details[drops.BAD_MOUNT]}")
    found = [f"{frame}: {s}" for frame, said in sorted(tally.concerns.items()) for s in said]
    if found:
        return Status("camera", WARN, "; ".join(found), lasting=True)
    return Status("camera", OK, "the network is shown what it was trained on")


def engine_status(at_start: dict[str, str], model: dict[str, str]) -> Status:
    """Whether the model still runs as it did when it was loaded; both as `Pipeline.describe`."""
    before, engine = at_start.get("engine", ""), model.get("engine", "")
    if engine == before:
        return Status("engine", OK, f"runs as it was loaded: {engine or 'nothing is loaded'}")
    return Status("engine", WARN, f"slower since it was loaded: {engine}", lasting=True)
