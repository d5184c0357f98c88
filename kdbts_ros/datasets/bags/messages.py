"""ROS messages as CDR bytes without a ROS installation, for bags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from kdbts_ros.density.geometry.camera import Array, Camera
from kdbts_ros.errors import UserError

TYPESTORE = get_typestore(Stores.ROS2_JAZZY)
# rmw's "no limit", as `ros2 bag record` writes it.
_UNLIMITED = QosTime(9223372036, 854775807)
JPEG_QUALITY = 95


def qos(depth: int, latched: bool = False) -> Qos:
    """Reliable, keep last; `latched` keeps the last messages for late subscribers."""
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=depth,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=_UNLIMITED,
        lifespan=_UNLIMITED,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_UNLIMITED,
        avoid_ros_namespace_conventions=False,
    )


def image(rgb: npt.NDArray[np.uint8], frame_id: str, stamp_ns: int) -> memoryview:
    """sensor_msgs/Image, rgb8, of an (H,W,3) image."""
    height, width, _ = rgb.shape
    return _cdr(
        "sensor_msgs/msg/Image",
        header=_header(frame_id, stamp_ns),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(rgb).reshape(-1),
    )


def compressed_image(rgb: npt.NDArray[np.uint8], frame_id: str, stamp_ns: int) -> memoryview:
    """sensor_msgs/CompressedImage, JPEG, of an (H,W,3) image."""
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise UserError(f"an image of shape {rgb.shape} cannot be compressed to JPEG")
    return _cdr(
        "sensor_msgs/msg/CompressedImage",
        header=_header(frame_id, stamp_ns),
        # What image_transport's compressed plug-in writes, and reads the colour order from.
        format="rgb8; jpeg compressed bgr8",
        data=data.reshape(-1).astype(np.uint8, copy=False),
    )


def camera_info(camera: Camera, frame_id: str, stamp_ns: int) -> memoryview:
    """sensor_msgs/CameraInfo of a rectified camera: K = P, no distortion, R identity.

    The fourth column of P stays zero: the frame of each camera is in TF, and a baseline here as
    well would count it twice.
    """
    K = np.array(
        [[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1]], np.float64
    )
    region = TYPESTORE.types["sensor_msgs/msg/RegionOfInterest"]
    return _cdr(
        "sensor_msgs/msg/CameraInfo",
        header=_header(frame_id, stamp_ns),
        height=camera.height,
        width=camera.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=K.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=np.column_stack([K, np.zeros(3)]).reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=region(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )


def transforms(T_parent_child: Mapping[tuple[str, str], Array], stamp_ns: int) -> memoryview:
    """tf2_msgs/TFMessage of (4,4) transforms by (parent frame, child frame)."""
    types = TYPESTORE.types
    messages = []
    for (parent, child), T in T_parent_child.items():
        x, y, z, w = map(float, Rotation.from_matrix(T[:3, :3]).as_quat())
        translation = types["geometry_msgs/msg/Vector3"](*map(float, T[:3, 3]))
        rotation = types["geometry_msgs/msg/Quaternion"](x=x, y=y, z=z, w=w)
        messages.append(
            types["geometry_msgs/msg/TransformStamped"](
                header=_header(parent, stamp_ns),
                child_frame_id=child,
                transform=types["geometry_msgs/msg/Transform"](translation, rotation),
            )
        )
    return _cdr("tf2_msgs/msg/TFMessage", transforms=messages)


def point_cloud(points: npt.NDArray[np.floating], frame_id: str, stamp_ns: int) -> memoryview:
    """sensor_msgs/PointCloud2 of (N,4) x y z intensity, float32."""
    field = TYPESTORE.types["sensor_msgs/msg/PointField"]
    float32 = 7
    fields = [
        field(name=name, offset=4 * i, datatype=float32, count=1)
        for i, name in enumerate(("x", "y", "z", "intensity"))
    ]
    return _cdr(
        "sensor_msgs/msg/PointCloud2",
        header=_header(frame_id, stamp_ns),
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=16,
        row_step=16 * len(points),
        data=np.ascontiguousarray(points, "<f4").view(np.uint8).reshape(-1),
        is_dense=bool(np.isfinite(points).all()),
    )


def _header(frame_id: str, stamp_ns: int) -> Any:
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    stamp = TYPESTORE.types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return TYPESTORE.types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)


def _cdr(msgtype: str, **fields: Any) -> memoryview:
    message = TYPESTORE.types[msgtype](**fields)
    return memoryview(TYPESTORE.serialize_cdr(message, msgtype))
