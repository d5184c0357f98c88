"""Whether a camera's images and camera_info arrive; if not, why, and what cures it."""

from __future__ import annotations

from dataclasses import dataclass

from kdbts_ros.datasets.ros.topic_names import without_transport
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.counters import StreamCounters
from kdbts_ros.node.reporting.graph import CAMERA_INFO, COMPRESSED, IMAGE, Publisher, names
from kdbts_ros.node.reporting.status import ERROR, OK, STALE, WARN, Status, quiet
from kdbts_ros.suggestions import did_you_mean

# Losses that the camera's driver or wiring causes.
_CAUSES = (
    drops.OTHER_CAMERA,
    drops.BAD_IMAGE,
    drops.CAMERA_INFO_MISMATCH,
    drops.BAD_CAMERA_INFO,
    drops.NO_CAMERA_INFO,
    drops.ZERO_STAMP,
    drops.FUTURE_STAMP,
    drops.DUPLICATE,
    drops.OUT_OF_ORDER,
    drops.UNFORESEEN,
)
# Names in a sentence at most.
_MAX_NAMES = 4


@dataclass(frozen=True)
class StreamSurroundings:
    """What is to be seen of one camera's topics. `camera` is empty where there is only one.

    kind: type of the messages that the node listens to for images.
    images, infos: publishers of the two topics.
    published_since: when the image topic got its first publisher, monotonic s; None without one.
    others: topics in the graph on which images, and camera_info, are published; looked for only
        where the camera's own topic has no publisher.
    joined: how images find their camera_info, in words.
    tells_publishers: whether the middleware says which publisher an image came from.
    fault: why the node cannot listen; empty where it does.
    """

    camera: str
    image_topic: str
    camera_info_topic: str
    reliability: str = "best_effort"
    kind: str = IMAGE
    images: tuple[Publisher, ...] = ()
    infos: tuple[Publisher, ...] = ()
    published_since: float | None = None
    other_images: tuple[str, ...] = ()
    other_infos: tuple[str, ...] = ()
    joined: str = ""
    tells_publishers: bool = True
    fault: str = ""


def input_status(
    account: StreamCounters, stream: StreamSurroundings, since: float, now: float, silence: float
) -> Status:
    """The line `input` of a camera.

    Args:
        account: what the camera sent.
        since: when the node began to listen.
        now, silence: seconds; silence is what is borne without a word.
    """
    level, message = _judge(account, stream, since, now, silence)
    values = {
        "image topic": stream.image_topic,
        "camera_info topic": stream.camera_info_topic,
        "publishers of images": names(stream.images),
        "publishers of camera_info": names(stream.infos),
        "camera_info of an image": stream.joined,
        "frames in": str(account.frames_in),
    }
    for reason, count in sorted(account.losses.dropped.items()):
        values[f"dropped, {reason}"] = str(count)
    return Status(f"input {stream.camera}".rstrip(), level, message, values)


def _judge(
    account: StreamCounters, stream: StreamSurroundings, since: float, now: float, silence: float
) -> tuple[int, str]:
    if stream.fault:
        return ERROR, stream.fault
    # A publisher that has just appeared is not silent yet, however long the node has waited for it.
    published = max(since, stream.published_since or since)
    if quiet(account.image_at, published, now, silence):
        # A camera that stopped is stale, so that aggregators tell it from one that never was there.
        level = ERROR if account.image_at is None else STALE
        return level, _no_images(account, stream, silence)
    if account.calibration_fault:
        return ERROR, account.calibration_fault
    if account.image_at is None:
        return OK, "waiting for the first image"
    if account.calibration_at is None and now - since > silence:
        return ERROR, _no_infos(stream)
    recent = account.losses.recent(_CAUSES, now - silence)
    if recent:
        return _loss(account, stream, recent, _all_lost(account, since, now, silence))
    if len(stream.images) > 1 and not stream.tells_publishers:
        return WARN, (
            f"{stream.image_topic} has several publishers, {names(stream.images)}: if more than "
            "one sends images, maps alternate between them; give each a topic of its own"
        )
    return OK, "images and camera_info arrive"


def _all_lost(account: StreamCounters, since: float, now: float, silence: float) -> bool:
    """Whether nothing of the camera was of use for long, on arrival or to inference."""
    undecoded = account.undecoded_since
    if undecoded is not None and now - undecoded > silence:
        return True
    return quiet(account.good_at, since, now, silence)


def _loss(
    account: StreamCounters, stream: StreamSurroundings, recent: tuple[str, ...], all_lost: bool
) -> tuple[int, str]:
    """The newest of several recent reasons, as serious as the most serious of them."""
    sentence = account.losses.sentence(recent[0])
    if len(stream.images) > 1 and not drops.SHARED_TOPIC_REASONS.isdisjoint(recent):
        return ERROR, f"{sentence}; publishers of {stream.image_topic}: {names(stream.images)}"
    return (ERROR if all_lost or drops.OTHER_CAMERA in recent else WARN), sentence


def _no_images(account: StreamCounters, stream: StreamSurroundings, silence: float) -> str:
    topic, stopped = stream.image_topic, account.image_at is not None
    if not stream.images:
        more = " any more" if stopped else ""
        return f"nobody publishes {topic}{more}: {_cure_of_no_publisher(stream)}"
    usable = [publisher for publisher in stream.images if publisher.kind == stream.kind]
    if not usable:
        return _wrong_kind(stream)
    unreliable = stream.reliability == "reliable" and not any(p.reliable for p in usable)
    if account.incompatible_qos or unreliable:
        policy = account.incompatible_qos or "RELIABILITY"
        return (
            f"the publisher of {topic}, {names(usable)}, offers another QoS than asked "
            f"({policy}): set image_reliability:=best_effort"
        )
    silent = f"{topic} has a publisher, {names(usable)}, but no image came for {silence:g} s"
    if stopped:
        return f"{silent}: the camera has stopped"
    if stream.reliability == "best_effort":
        return (
            f"{silent}: the camera is silent, or its images are large and lost by a default "
            "middleware; set image_reliability:=reliable, or start the camera with "
            "FASTDDS_DEFAULT_PROFILES_FILE=<share>/config/fastdds_large_messages.xml"
        )
    return f"{silent}: the camera is silent"


_START = "start the camera, or name its topic: image_topic:= of the launch file, or -r image:="


def _cure_of_no_publisher(stream: StreamSurroundings) -> str:
    topic, others = stream.image_topic, stream.other_images
    base = without_transport(topic)
    if base != topic and base in others:
        return f"{base} is published; set image_transport:=raw and remap image to {base}"
    if f"{topic}/compressed" in others:
        return f"{topic}/compressed is published; set image_transport:=compressed"
    if others:
        return f"{_START}; published are {_list(others)}{did_you_mean(topic, others)}"
    return _START


def _wrong_kind(stream: StreamSurroundings) -> str:
    topic, kinds = stream.image_topic, sorted({p.kind for p in stream.images})
    base, _, last = topic.rpartition("/")
    said = f"{topic} is published as {', '.join(kinds)} by {names(stream.images)}, not as images"
    if without_transport(topic) != topic:
        return (
            f"{said}: run `ros2 run image_transport republish` from {last} to raw, and remap "
            f"image to its output, or to {base}"
        )
    return f"{said} ({IMAGE} or {COMPRESSED}): remap image to a topic of images"


def _no_infos(stream: StreamSurroundings) -> str:
    topic = stream.camera_info_topic
    said = f"images arrive but no camera_info on {topic}"
    if not stream.infos:
        others = stream.other_infos
        where = f"; published are {_list(others)}" if others else "; no camera_info is published"
        return f"{said}, which nobody publishes: remap camera_info to the topic of this camera" + (
            where
        )
    usable = [publisher for publisher in stream.infos if publisher.kind == CAMERA_INFO]
    if not usable:
        kinds = ", ".join(sorted({p.kind for p in stream.infos}))
        return (
            f"{said}: {names(stream.infos)} publishes {kinds} there; remap camera_info to the "
            "topic of this camera"
        )
    return (
        f"{said}: {names(usable)} publishes it but has sent none since the node listens; it must "
        "send one with every image, or latch the one it sent (durability transient_local)"
    )


def _list(topics: tuple[str, ...]) -> str:
    more = f" and {len(topics) - _MAX_NAMES} more" if len(topics) > _MAX_NAMES else ""
    return ", ".join(topics[:_MAX_NAMES]) + more
