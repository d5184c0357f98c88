"""Posed frames to a rosbag2 recording that `ros2 bag play` and `kdbts play` replay alike.

Topics and frames: `docs/kitti.md`.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

from kdbts_ros.datasets.bags import messages as messages
from kdbts_ros.datasets.sample import PosedFrame
from kdbts_ros.density.geometry.camera import Array, View, inverse
from kdbts_ros.errors import UserError

Storage = Literal["mcap", "sqlite3"]

WORLD_FRAME = "odom"
BASE_FRAME = "base_link"
SCANNER_FRAME = "velodyne"
POINTS_TOPIC = "/velodyne_points"
# A rig that moves by more than this (m, or a rotation's entry) between frames is not static.
_RIG_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Scans:
    """(N,4) x y z intensity per frame, None where there is none, and T_base_scanner (4,4)."""

    T_base_scanner: Array
    per_frame: Iterable[npt.NDArray[np.float32] | None]


def camera_frame(name: str) -> str:
    """TF frame of a camera; it is optical: x right, y down, z forward."""
    return f"camera_{name}"


def image_topic(name: str, compressed: bool = False) -> str:
    """Topic of a camera's rectified images."""
    return f"/camera/{name}/image_rect_color" + ("/compressed" if compressed else "")


def info_topic(name: str) -> str:
    """Topic of a camera's CameraInfo."""
    return f"/camera/{name}/camera_info"


def write_bag(
    frames: Iterable[PosedFrame],
    out: Path | str,
    *,
    compressed: bool = False,
    storage: Storage = "mcap",
    scans: Scans | None = None,
    force: bool = False,
    on_frame: Callable[[int], None] | None = None,
) -> int:
    """Write posed frames as a rosbag2 folder; it appears at `out` only when it is whole.

    Args:
        frames: a KITTI drive, a synthetic drive, or any other source; stamps increase, cameras
            stay where they are on the base.
        out: folder to make; its name becomes the file name inside.
        compressed: JPEG CompressedImage instead of rgb8 Image.
        storage: of rosbag2.
        scans: written as PointCloud2, stamped as their frames.
        force: replace a bag that is there already.
        on_frame: called with the number of frames written so far.

    Returns:
        Number of frames written.

    Raises:
        UserError: `out` exists, no frames, stamps that do not increase or are not positive, a rig
            that moves on its base, or a disk that refuses.
    """
    out = Path(out)
    try:
        with _appearing(out, force) as partial:
            plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
            with Writer(partial, version=Writer.VERSION_LATEST, storage_plugin=plugin) as writer:
                return _write(_Bag(writer, compressed), frames, scans, on_frame)
    except (OSError, WriterError, sqlite3.Error) as error:
        raise UserError(f"bag {out} cannot be written: {error}") from error


class _Bag:
    """An open bag; connections are made as topics are first written."""

    def __init__(self, writer: Writer, compressed: bool) -> None:
        self._writer = writer
        self._compressed = compressed
        self._connections: dict[str, Connection] = {}

    def static(self, T_base_sensor: dict[str, Array], stamp_ns: int) -> None:
        """Latched places of the sensors on the base."""
        pairs = {(BASE_FRAME, frame): T for frame, T in T_base_sensor.items()}
        data = messages.transforms(pairs, stamp_ns)
        self._put("/tf_static", "tf2_msgs/msg/TFMessage", stamp_ns, data, depth=1, latched=True)

    def frame(self, frame: PosedFrame) -> None:
        """Pose, then cameras: who hears the image can already look up its pose."""
        stamp = frame.stamp_ns
        pose = messages.transforms({(WORLD_FRAME, BASE_FRAME): frame.T_world_base}, stamp)
        self._put("/tf", "tf2_msgs/msg/TFMessage", stamp, pose, depth=100)
        for name, view in frame.views.items():
            info = messages.camera_info(view.camera, camera_frame(name), stamp)
            self._put(info_topic(name), "sensor_msgs/msg/CameraInfo", stamp, info)
            kind = "CompressedImage" if self._compressed else "Image"
            make = messages.compressed_image if self._compressed else messages.image
            data = make(view.image, camera_frame(name), stamp)
            self._put(image_topic(name, self._compressed), f"sensor_msgs/msg/{kind}", stamp, data)

    def points(self, points: npt.NDArray[np.float32], stamp_ns: int) -> None:
        """One scan."""
        data = messages.point_cloud(points, SCANNER_FRAME, stamp_ns)
        self._put(POINTS_TOPIC, "sensor_msgs/msg/PointCloud2", stamp_ns, data)

    def _put(
        self,
        topic: str,
        msgtype: str,
        stamp_ns: int,
        data: memoryview,
        depth: int = 10,
        latched: bool = False,
    ) -> None:
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic,
                msgtype,
                typestore=messages.TYPESTORE,
                offered_qos_profiles=[messages.qos(depth, latched)],
            )
        self._writer.write(self._connections[topic], stamp_ns, data)


def _write(
    bag: _Bag,
    frames: Iterable[PosedFrame],
    scans: Scans | None,
    on_frame: Callable[[int], None] | None,
) -> int:
    rig: dict[str, Array] | None = None
    previous = 0
    count = 0
    per_frame = repeat(None) if scans is None else scans.per_frame
    for frame, points in zip(frames, per_frame, strict=False):
        if frame.stamp_ns <= previous:
            raise UserError(
                f"frame {count} is stamped {frame.stamp_ns} ns, not after {previous} ns; "
                "a bag needs stamps that are positive and increase"
            )
        previous = frame.stamp_ns
        if rig is None:
            rig = _rig(frame)
            sensors = {camera_frame(name): T for name, T in rig.items()}
            if scans is not None:
                sensors[SCANNER_FRAME] = scans.T_base_scanner
            bag.static(sensors, frame.stamp_ns)
        _check_rig(rig, frame, count)
        bag.frame(frame)
        if points is not None:
            bag.points(points, frame.stamp_ns)
        count += 1
        if on_frame is not None:
            on_frame(count)
    if not count:
        raise UserError("there is no frame to write; choose frames that exist")
    return count


def _T_base_cam(frame: PosedFrame, view: View) -> Array:
    return inverse(frame.T_world_base) @ view.T_world_cam


def _rig(frame: PosedFrame) -> dict[str, Array]:
    return {name: _T_base_cam(frame, view) for name, view in frame.views.items()}


def _check_rig(rig: dict[str, Array], frame: PosedFrame, index: int) -> None:
    """/tf_static can only hold a rig that is rigid."""
    if set(rig) != set(frame.views):
        raise UserError(f"frame {index} has cameras {sorted(frame.views)}, not {sorted(rig)}")
    for name, view in frame.views.items():
        if np.abs(_T_base_cam(frame, view) - rig[name]).max() > _RIG_TOLERANCE:
            raise UserError(
                f"camera {name} moves on its base at frame {index}; a bag needs a rigid rig"
            )


@contextmanager
def _appearing(out: Path, force: bool) -> Iterator[Path]:
    """A folder of the same name beside `out` that takes its place if the block succeeds."""
    if out.exists() and not force:
        raise UserError(f"{out} exists already; choose another name or --force to replace it")
    if out.exists() and not (out / "metadata.yaml").is_file():
        raise UserError(f"{out} is not a bag, so it is not replaced; choose another name")
    out.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        partial = workshop / out.name
        yield partial
        replaced = workshop / "replaced"
        if out.exists():
            out.rename(replaced)
        try:
            partial.rename(out)
        except OSError:
            if replaced.exists():
                replaced.rename(out)
            raise
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
