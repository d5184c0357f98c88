"""Small recordings, written message by message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from kdbts_ros.datasets.bags import messages as messages
from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL, Camera

SECOND = 1_000_000_000
CAMERA = Camera(48, 32, 40.0, 40.0, 24.0, 16.0)
T_BASE_CAM = rigid(R_BODY_OPTICAL, (0.3, 0.0, 0.9))
TYPES = messages.TYPESTORE.types
IMAGE, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"


class Bag:
    """A recording that is open for writing."""

    def __init__(
        self,
        path: Path,
        storage: StoragePlugin = StoragePlugin.MCAP,
        compression: CompressionMode = CompressionMode.NONE,
    ) -> None:
        self._writer = Writer(path, version=Writer.VERSION_LATEST, storage_plugin=storage)
        if compression is not CompressionMode.NONE:
            self._writer.set_compression(compression, CompressionFormat.ZSTD)
        self._connections: dict[str, Any] = {}

    def __enter__(self) -> Bag:
        self._writer.open()
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.close()

    def put(self, topic: str, msgtype: str, logged_ns: int, data: bytes | memoryview) -> None:
        """Write a serialised message."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, msgtype, typestore=messages.TYPESTORE
            )
        self._writer.write(self._connections[topic], logged_ns, data)

    def tf(
        self, parent: str, child: str, T: np.ndarray, stamp_ns: int, static=False, logged_ns=0
    ) -> None:
        """Write a transform."""
        data = messages.transforms({(parent, child): T}, stamp_ns)
        topic = "/tf_static" if static else "/tf"
        self.put(topic, "tf2_msgs/msg/TFMessage", logged_ns or stamp_ns, data)

    def info(
        self, stamp_ns: int, frame: str = "eye", space: str = "/eye", logged_ns=0, **changes: Any
    ) -> None:
        """Write a camera_info of `CAMERA`, some of its fields changed."""
        data = messages.camera_info(CAMERA, frame, stamp_ns)
        if changes:
            info = messages.TYPESTORE.deserialize_cdr(data, INFO)
            for name, value in changes.items():
                setattr(info, name, value)
            data = memoryview(messages.TYPESTORE.serialize_cdr(info, INFO))
        self.put(f"{space}/camera_info", INFO, logged_ns or stamp_ns, data)

    def image(
        self,
        stamp_ns: int,
        image: np.ndarray,
        topic: str = "/eye/image_raw",
        frame: str = "eye",
        logged_ns=0,
    ) -> None:
        """Write an (H,W,3) image."""
        self.put(topic, IMAGE, logged_ns or stamp_ns, messages.image(image, frame, stamp_ns))


def grey(value: int) -> np.ndarray:
    """An image of `CAMERA`'s size."""
    return np.full((32, 48, 3), value, np.uint8)


def drive(bag: Bag, seconds: int = 2, start_ns: int = SECOND, logged_after: int = 0) -> None:
    """A mounted camera's robot that drives along x at 1 m/s: the poses, at 10 Hz."""
    if not logged_after:
        bag.tf("base_link", "eye", T_BASE_CAM, SECOND, static=True)
    for i in range(10 * seconds + 1):
        stamp = start_ns + i * SECOND // 10
        T = rigid(np.eye(3), (0.1 * i, 0, 0))
        bag.tf("odom", "base_link", T, stamp, logged_ns=stamp + logged_after)
