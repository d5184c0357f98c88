"""Recorded inputs and outputs of the node, brought together by the stamp of their image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from nav_msgs.msg import OccupancyGrid
from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from kdbts_ros.datasets.bags.pose_graph import PoseGraph
from kdbts_ros.demo.recorder import DEPTHS, GRIDS
from kdbts_ros.demo.recording import Recording
from kdbts_ros.density.geometry.poses import Matrix
from kdbts_ros.density.maps.grid import GridWindow
from kdbts_ros.node.inputs.camera_messages import decode, decode_compressed
from kdbts_ros.node.outputs.messages import to_ns


@dataclass(frozen=True)
class Map:
    """A published map: (H,W) int8 of -1, 0, 100 over its window in `frame`."""

    stamp_ns: int
    frame: str
    window: GridWindow
    grid: npt.NDArray[np.int8]


@dataclass(frozen=True)
class Moment:
    """A map with the depth (h,w) m and the image (h,w,3) RGB of the same instant."""

    map: Map
    depth: npt.NDArray[np.float32]
    image: npt.NDArray[np.uint8]


def maps(outputs: Path) -> Iterator[Map]:
    """The published maps in the order of their stamps."""
    with Reader(outputs) as reader:
        for stamp_ns, data in _stamped(reader, GRIDS):
            yield _map(stamp_ns, data)


def moments(outputs: Path, recording: Recording) -> Iterator[Moment]:
    """Every map of which depth and image were recorded, too; one at a time is held in memory."""
    with ExitStack() as stack:
        readers = [stack.enter_context(Reader(p)) for p in (outputs, outputs, recording.path)]
        streams = [
            _stamped(reader, topic)
            for reader, topic in zip(readers, (GRIDS, DEPTHS, recording.images), strict=True)
        ]
        for stamp_ns, (grid, depth, image) in _joined(streams):
            yield Moment(
                _map(stamp_ns, grid),
                _depth(deserialize_message(depth, Image)),
                _picture(image, recording.compressed),
            )


def poses(recording: Recording) -> PoseGraph:
    """All transforms of a recording."""
    graph = PoseGraph()
    with Reader(recording.path) as reader:
        wanted = [c for c in reader.connections if c.topic in recording.transforms]
        for connection, _, data in reader.messages(wanted):
            for stamped in deserialize_message(bytes(data), TFMessage).transforms:
                t, q = stamped.transform.translation, stamped.transform.rotation
                graph.add(
                    stamped.header.frame_id,
                    stamped.child_frame_id,
                    to_ns(stamped.header.stamp),
                    (t.x, t.y, t.z),
                    (q.x, q.y, q.z, q.w),
                    static=connection.topic == "/tf_static",
                )
    return graph


def base_pose(poses: PoseGraph, at: Map, base_frame: str) -> Matrix:
    """(4,4) T_fixed_base at a map's stamp; raises NoPose."""
    return poses.pose(at.frame, base_frame, at.stamp_ns)


def _stamped(reader: Reader, topic: str) -> Iterator[tuple[int, bytes]]:
    """Messages of a topic with the stamps of their headers."""
    wanted = [c for c in reader.connections if c.topic == topic]
    if wanted:
        for _, _, data in reader.messages(wanted):
            raw = bytes(data)
            yield to_ns(deserialize_message(raw, Header).stamp), raw


def _joined(streams: list[Iterator[tuple[int, bytes]]]) -> Iterator[tuple[int, list[bytes]]]:
    """Messages of equal stamps, of streams whose stamps ascend; others are passed over."""
    heads = [next(stream, None) for stream in streams]
    while True:
        present = [head for head in heads if head is not None]
        if len(present) < len(heads):
            return
        newest = max(stamp for stamp, _ in present)
        if all(stamp == newest for stamp, _ in present):
            yield newest, [data for _, data in present]
            heads = [next(stream, None) for stream in streams]
        else:
            heads = [
                next(stream, None) if head[0] < newest else head
                for head, stream in zip(present, streams, strict=True)
            ]


def _picture(data: bytes, compressed: bool) -> npt.NDArray[np.uint8]:
    if compressed:
        return decode_compressed(deserialize_message(data, CompressedImage))
    return decode(deserialize_message(data, Image))


def _map(stamp_ns: int, data: bytes) -> Map:
    message = deserialize_message(data, OccupancyGrid)
    info = message.info
    # The message holds the resolution in single precision.
    resolution = round(float(info.resolution), 6)
    origin = info.origin.position
    window = GridWindow(resolution, info.width, info.height, origin.x, origin.y)
    cells = np.array(message.data, np.int8).reshape(info.height, info.width)
    return Map(stamp_ns, message.header.frame_id, window, cells)


def _depth(message: Any) -> npt.NDArray[np.float32]:
    metres = np.frombuffer(message.data, np.float32)
    return metres.reshape(message.height, message.width)
