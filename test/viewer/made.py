"""Messages, and a recording of a short drive with what a node would have made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from kdbts_ros.datasets.bags.messages import TYPESTORE, camera_info, image, point_cloud, transforms
from kdbts_ros.density.geometry.camera import Camera

SECOND = 1_000_000_000
CAMERA = Camera(32, 24, 20.0, 20.0, 16.0, 12.0)
# An optical frame 1.5 m up that looks along x.
T_BASE_CAM = np.array([[0, 0, 1, 0.3], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1.0]])
IMAGES, DEPTHS = "/camera/left/image_rect_color", "/kdbts/depth/image"


def message(kind: str, **fields: Any) -> Any:
    return TYPESTORE.types[kind](**fields)


def header(frame: str, stamp_ns: int) -> Any:
    stamp = message(
        "builtin_interfaces/msg/Time", sec=stamp_ns // SECOND, nanosec=stamp_ns % SECOND
    )
    return message("std_msgs/msg/Header", stamp=stamp, frame_id=frame)


def pose(x: float, y: float, z: float, quaternion: tuple[float, ...] = (0, 0, 0, 1)) -> Any:
    turn = dict(zip("xyzw", map(float, quaternion), strict=True))
    return message(
        "geometry_msgs/msg/Pose",
        position=message("geometry_msgs/msg/Point", x=x, y=y, z=z),
        orientation=message("geometry_msgs/msg/Quaternion", **turn),
    )


def grid(stamp_ns: int, cells: np.ndarray, x0: float = 0.0, frame: str = "odom") -> Any:
    height, width = cells.shape
    info = message(
        "nav_msgs/msg/MapMetaData",
        map_load_time=header("", stamp_ns).stamp,
        resolution=0.5,
        width=width,
        height=height,
        origin=pose(x0, -2.0, 0.0),
    )
    return message(
        "nav_msgs/msg/OccupancyGrid",
        header=header(frame, stamp_ns),
        info=info,
        data=cells.astype(np.int8).ravel(),
    )


def depth(stamp_ns: int, metres: np.ndarray) -> Any:
    height, width = metres.shape
    return message(
        "sensor_msgs/msg/Image",
        header=header("camera_left", stamp_ns),
        height=height,
        width=width,
        encoding="32FC1",
        is_bigendian=0,
        step=4 * width,
        data=np.ascontiguousarray(metres, np.float32).view(np.uint8).ravel(),
    )


def cloud(points: np.ndarray, stamp_ns: int = SECOND) -> Any:
    return TYPESTORE.deserialize_cdr(
        bytes(point_cloud(points, "odom", stamp_ns)), "sensor_msgs/msg/PointCloud2"
    )


def drive(folder: Path, frames: int = 5) -> tuple[Path, Path]:
    """A recording of the camera and its poses, and one of maps, depth and clouds."""
    inputs, outputs = folder / "drive", folder / "outputs"
    with Writer(inputs, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        put = _putter(writer)
        static = transforms({("base_link", "camera_left"): T_BASE_CAM}, SECOND)
        put("/tf_static", "tf2_msgs/msg/TFMessage", SECOND, static)
        for i in range(frames):
            at = SECOND + i * SECOND // 10
            T = np.eye(4)
            T[0, 3] = i
            put("/tf", "tf2_msgs/msg/TFMessage", at, transforms({("odom", "base_link"): T}, at))
            info = camera_info(CAMERA, "camera_left", at)
            put("/camera/left/camera_info", "sensor_msgs/msg/CameraInfo", at, info)
            rgb = np.full((24, 32, 3), 40 * i, np.uint8)
            put(IMAGES, "sensor_msgs/msg/Image", at, image(rgb, "camera_left", at))
    with Writer(outputs, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        put = _putter(writer)
        for i in range(frames):
            at = SECOND + i * SECOND // 10
            cells = np.full((8, 10), -1)
            cells[2:6, 2:8] = 0
            cells[3, i] = 100
            put("/kdbts/occupancy", "nav_msgs/msg/OccupancyGrid", at, grid(at, cells, float(i)))
            info = camera_info(CAMERA, "camera_left", at)
            put("/kdbts/depth/camera_info", "sensor_msgs/msg/CameraInfo", at, info)
            put(DEPTHS, "sensor_msgs/msg/Image", at, depth(at, np.full((24, 32), 7.0 + i)))
            points = np.array([[i, 0, 0.5, 1.0], [i + 1, 1, 0.5, 1.0]])
            made = point_cloud(points, "odom", at)
            put("/kdbts/points", "sensor_msgs/msg/PointCloud2", at, made)
    return inputs, outputs


def _putter(writer: Writer) -> Any:
    connections: dict[str, Any] = {}

    def put(topic: str, kind: str, stamp_ns: int, made: Any) -> None:
        if topic not in connections:
            connections[topic] = writer.add_connection(topic, kind, typestore=TYPESTORE)
        is_bytes = isinstance(made, (bytes, memoryview))
        raw = made if is_bytes else TYPESTORE.serialize_cdr(made, kind)
        writer.write(connections[topic], stamp_ns, bytes(raw))

    return put
