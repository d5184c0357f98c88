"""One pass over a recording: where its images lie, its calibrations, and all its transforms."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rosbags.serde import SerdeError

from kdbts_ros.datasets.bag_files import open_bag
from kdbts_ros.datasets.bag_messages import TYPESTORE
from kdbts_ros.datasets.bag_recording import Recording
from kdbts_ros.datasets.bag_topics import ODOMETRY, TRANSFORMS, CameraTopics, camera_topics
from kdbts_ros.datasets.camera_infos import read_lens
from kdbts_ros.datasets.pose_graph import PoseGraph
from kdbts_ros.density.lenses import Lens
from kdbts_ros.errors import UserError


@dataclass(frozen=True)
class ImageEntry:
    """One recorded image: its own stamp and the time it was logged at, ns."""

    stamp_ns: int
    logged_ns: int


@dataclass
class CameraIndex:
    """A camera's images in the order of their stamps; frame_id of its optical frame."""

    topics: CameraTopics
    images: list[ImageEntry] = field(default_factory=list)
    lens: Lens | None = None
    frame_id: str = ""


@dataclass(frozen=True)
class BagIndex:
    """What one pass over a recording found."""

    path: Path
    cameras: dict[str, CameraIndex]
    poses: PoseGraph


def read_index(
    path: Path, wanted: Sequence[str] | None = None, odometry: str | None = None
) -> BagIndex:
    """Index a recording.

    Args:
        wanted: names or topics of cameras; None for all.
        odometry: topic of nav_msgs/Odometry for the poses; None for /tf, or where the recording has
            no /tf, for the one odometry topic it has.

    Raises:
        UserError: not a recording, no cameras, no poses, or messages that cannot be read.
    """
    with open_bag(path) as reader:
        types = {c.topic: str(c.msgtype) for c in reader.connections}
        cameras = {c.name: CameraIndex(c) for c in camera_topics(types, wanted, path)}
        sources = _pose_topics(types, odometry, path)
        poses = PoseGraph()
        _scan(reader, cameras, sources, poses)
    for camera in cameras.values():
        if camera.lens is None:
            raise UserError(f"{path} has no message on {camera.topics.infos}: record it as well")
        camera.images = sorted(set(camera.images), key=lambda entry: entry.stamp_ns)
    return BagIndex(path, cameras, poses)


def _pose_topics(types: dict[str, str], odometry: str | None, path: Path) -> dict[str, str]:
    """Topics of transforms and odometry to read, with their types."""
    found = {
        t: k for t, k in types.items() if k == TRANSFORMS and t.endswith(("/tf", "/tf_static"))
    }
    held = [topic for topic, kind in types.items() if kind == ODOMETRY]
    if odometry is not None:
        if odometry not in held:
            raise UserError(
                f"{path} has no odometry {odometry}; it has {', '.join(held) or 'none'}"
            )
        return {**{t: k for t, k in found.items() if t.endswith("_static")}, odometry: ODOMETRY}
    if any(topic.endswith("/tf") for topic in found):
        return found
    if len(held) == 1:
        return {**found, held[0]: ODOMETRY}
    choose = f": name one of {', '.join(held)} with --odometry" if held else ""
    raise UserError(
        f"{path} has no poses: record /tf and /tf_static, or an odometry topic and /tf_static"
        + choose
    )


def _scan(
    reader: Recording, cameras: dict[str, CameraIndex], sources: dict[str, str], poses: PoseGraph
) -> None:
    by_images = {c.topics.images: c for c in cameras.values()}
    by_infos = {c.topics.infos: c for c in cameras.values()}
    topics = {*by_images, *by_infos, *sources}
    connections = [c for c in reader.connections if c.topic in topics]
    for connection, logged_ns, raw in reader.messages(connections):
        topic = connection.topic
        try:
            if topic in by_images:
                by_images[topic].images.append(ImageEntry(header_stamp(raw), logged_ns))
                continue
            if topic in by_infos:
                _take_info(by_infos[topic], raw)
            if topic in sources:
                _take_poses(poses, TYPESTORE.deserialize_cdr(raw, sources[topic]), topic)
        except (struct.error, SerdeError, ValueError, IndexError, KeyError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(
                f"a message on {topic} in {reader.path} cannot be read: {error}"
            ) from error


def _take_info(camera: CameraIndex, raw: bytes) -> None:
    if camera.lens is not None:
        return
    info: Any = TYPESTORE.deserialize_cdr(raw, "sensor_msgs/msg/CameraInfo")
    try:
        camera.lens = read_lens(info, camera.topics.rectified)
    except UserError as error:
        raise UserError(f"{camera.topics.infos}: {error}") from error
    camera.frame_id = info.header.frame_id.lstrip("/")


def _take_poses(poses: PoseGraph, message: Any, topic: str) -> None:
    if hasattr(message, "transforms"):
        static = topic.endswith("_static")
        for item in message.transforms:
            t, q = item.transform.translation, item.transform.rotation
            parent, child, stamp_ns = item.header.frame_id, item.child_frame_id, _stamp(item)
            position, quaternion = (t.x, t.y, t.z), (q.x, q.y, q.z, q.w)
            poses.add(parent, child, stamp_ns, position, quaternion, static=static)
        return
    t, q = message.pose.pose.position, message.pose.pose.orientation
    parent, child, stamp_ns = message.header.frame_id, message.child_frame_id, _stamp(message)
    poses.add_odometry(parent, child, stamp_ns, (t.x, t.y, t.z), (q.x, q.y, q.z, q.w))


def _stamp(message: Any) -> int:
    return int(message.header.stamp.sec) * 1_000_000_000 + int(message.header.stamp.nanosec)


def header_stamp(raw: bytes) -> int:
    """ns of the header that a serialised message begins with, without reading the rest.

    Raises:
        struct.error: fewer bytes than a header has.
    """
    order = "<" if raw[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", raw, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
