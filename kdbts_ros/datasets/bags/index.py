"""One pass over a recording: where its images lie, its calibrations, and all its transforms."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kdbts_ros.datasets.bags.cameras import CameraIndex, CameraScan
from kdbts_ros.datasets.bags.depth_topics import NONE, depth_topic
from kdbts_ros.datasets.bags.files import open_bag
from kdbts_ros.datasets.bags.messages import TYPESTORE
from kdbts_ros.datasets.bags.pose_graph import PoseGraph
from kdbts_ros.datasets.bags.recording import Recording
from kdbts_ros.datasets.bags.runs import two_runs
from kdbts_ros.datasets.bags.topics import ODOMETRY, TRANSFORMS, camera_topics
from kdbts_ros.datasets.ros.pose_rules import frame_name
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown
from kdbts_ros.reading import reading
from kdbts_ros.suggestions import did_you_mean

# What helps where one message is no message.
DAMAGED = "the file is damaged; copy it again, or record anew"


@dataclass(frozen=True)
class BagIndex:
    """What one pass over a recording found."""

    path: Path
    cameras: dict[str, CameraIndex]
    poses: PoseGraph
    depth: CameraIndex | None = None


def read_index(
    path: Path,
    wanted: Sequence[str] | None = None,
    odometry: str | None = None,
    rectified: bool | None = None,
    depth: str = NONE,
) -> BagIndex:
    """Index a recording.

    Args:
        wanted: names or topics of cameras; None for all.
        odometry: topic of nav_msgs/Odometry for the poses; None for /tf, or where the recording has
            no /tf, for the one odometry topic it has.
        rectified: whether images are straight already; None to judge each topic by its name.
        depth: topic of depth images, AUTO or NONE; see `depth_topic`.

    Raises:
        UserError: not a recording, no cameras, no poses, two runs in one, or messages that cannot
            be read.
    """
    with open_bag(path) as reader:
        types = {c.topic: str(c.msgtype) for c in reader.connections}
        scans = {
            topics.name: CameraScan(topics, topics.rectified if rectified is None else rectified)
            for topics in camera_topics(types, wanted, path)
        }
        leading = next(iter(scans.values())).topics
        deep = depth_topic(types, depth, leading, path)
        depths = [] if deep is None else [CameraScan(deep, deep.rectified)]
        poses = _Poses(_pose_topics(types, odometry, path))
        _scan(reader, [*scans.values(), *depths], poses)
    cameras = {name: scan.index(path) for name, scan in scans.items()}
    if sentence := poses.two_runs([camera.frame_id for camera in cameras.values()]):
        raise UserError(f"{path} {sentence}")
    measured = [scan.index(path) for scan in depths]
    return BagIndex(path, cameras, poses.graph, next(iter(measured), None))


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
                f"{did_you_mean(odometry, held)}"
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


def _scan(reader: Recording, cameras: Sequence[CameraScan], poses: _Poses) -> None:
    takers: dict[str, list[Callable[[bytes, int], None]]] = {}
    for scan in cameras:
        takers.setdefault(scan.topics.images, []).append(scan.image)
        takers.setdefault(scan.topics.infos, []).append(scan.info)
    for topic in poses.sources:
        takers.setdefault(topic, []).append(partial(poses.take, topic))
    connections = [c for c in reader.connections if c.topic in takers]
    for connection, logged_ns, raw in reader.messages(connections):
        with reading(
            f"a message on {connection.topic} in {shown(reader.path)}", DAMAGED, "rosbags"
        ):
            for take in takers[connection.topic]:
                take(raw, logged_ns)


class _Poses:
    """Takes the transforms and odometry of a recording, and remembers when they were told.

    Args:
        sources: types by topic.
    """

    def __init__(self, sources: dict[str, str]) -> None:
        self.sources = sources
        self.graph = PoseGraph()
        # Stamps and log times in turns: a transform may be told a thousand times a second.
        self._told: dict[str, array[int]] = {}

    def take(self, topic: str, raw: bytes, logged_ns: int) -> None:
        """A serialised message."""
        message: Any = TYPESTORE.deserialize_cdr(raw, self.sources[topic])
        if self.sources[topic] == ODOMETRY:
            t, q = message.pose.pose.position, message.pose.pose.orientation
            names, stamp_ns = (message.header.frame_id, message.child_frame_id), _stamp(message)
            self.graph.add_odometry(*names, stamp_ns, (t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
            self._tell(message.child_frame_id, stamp_ns, logged_ns)
            return
        static = topic.endswith("_static")
        for item in message.transforms:
            t, q = item.transform.translation, item.transform.rotation
            names, stamp_ns = (item.header.frame_id, item.child_frame_id), _stamp(item)
            position, quaternion = (t.x, t.y, t.z), (q.x, q.y, q.z, q.w)
            self.graph.add(*names, stamp_ns, position, quaternion, static=static)
            if not static:
                self._tell(item.child_frame_id, stamp_ns, logged_ns)

    def two_runs(self, frames: Iterable[str]) -> str | None:
        """Why the poses of frames are not those of one run, None if they may be."""
        for child in ("", *(name for frame in frames for name in self.graph.ancestors(frame))):
            told = self._told.get(child, array("q"))
            pairs = list(zip(told[::2], told[1::2], strict=True))
            if sentence := two_runs(pairs, f"the poses of '{child}'"):
                return sentence
        return None

    def _tell(self, child: str, stamp_ns: int, logged_ns: int) -> None:
        self._told.setdefault(frame_name(child), array("q")).extend((stamp_ns, logged_ns))


def _stamp(message: Any) -> int:
    return int(message.header.stamp.sec) * 1_000_000_000 + int(message.header.stamp.nanosec)
