"""Building the node's messages from plain arrays.

Array fields take an ``array.array``: rclpy copies it at once, while lists, bytes and numpy arrays
go through a check of every element (50 to 150 ms for a camera image).
"""

from __future__ import annotations

import sys
from array import array
from typing import Any

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from nav_msgs.msg import OccupancyGrid
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from kdbts_ros.datasets.ros.pose_rules import beyond_all_maps
from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.errors import UserError


def to_time(stamp_ns: int) -> Time:
    """Stamp of whole nanoseconds."""
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    return Time(sec=seconds, nanosec=nanoseconds)


def to_ns(stamp: Time) -> int:
    """Nanoseconds of a stamp."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def header(stamp_ns: int, frame_id: str) -> Header:
    """Header of a message about the instant of an image."""
    return Header(stamp=to_time(stamp_ns), frame_id=frame_id)


def occupancy_grid(
    head: Header, window: Any, cells: npt.NDArray[np.int8], ground: float
) -> OccupancyGrid:
    """A grid of (H,W) int8 cells over a `GridWindow`.

    `ground` is the height of the robot's ground in the fixed frame: Nav2 ignores it, RViz draws the
    map there.

    Raises:
        UserError: the origin is not finite, or further away than any robot.
    """
    if beyond_all_maps(window.x0, window.y0, ground):
        raise UserError(f"no map has its origin at ({window.x0:g}, {window.y0:g}, {ground:g}) m")
    grid = OccupancyGrid(header=head)
    grid.info.map_load_time = head.stamp
    grid.info.resolution = window.resolution
    grid.info.width, grid.info.height = window.width, window.height
    grid.info.origin.position.x, grid.info.origin.position.y = window.x0, window.y0
    grid.info.origin.position.z = ground
    # A quaternion of zeros, the default in some languages, makes Nav2 refuse the map.
    grid.info.origin.orientation.w = 1.0
    grid.data = filled("b", cells)
    return grid


def depth_image(head: Header, depth: npt.NDArray[np.float32]) -> Image:
    """REP-118: (H,W) metres along the optical axis as 32FC1, NaN invalid."""
    return _image(head, "32FC1", depth.astype(np.float32, copy=False))


def rgb_image(head: Header, picture: npt.NDArray[np.uint8]) -> Image:
    """(H,W,3) as rgb8."""
    return _image(head, "rgb8", picture)


def camera_info(head: Header, camera: Camera) -> CameraInfo:
    """The CameraInfo of a pinhole image; ROS counts pixel centres at integers."""
    fx, fy, cx, cy = camera.fx, camera.fy, camera.cx - 0.5, camera.cy - 0.5
    info = CameraInfo(header=head, width=camera.width, height=camera.height)
    info.distortion_model = "plumb_bob"
    info.d = array("d", [0.0] * 5)
    info.k = np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1], np.float64)
    info.r = np.eye(3, dtype=np.float64).ravel()
    info.p = np.array([fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1, 0], np.float64)
    return info


def _image(head: Header, encoding: str, pixels: npt.NDArray[Any]) -> Image:
    height, width = pixels.shape[:2]
    image = Image(header=head, height=height, width=width, encoding=encoding)
    image.is_bigendian = int(sys.byteorder == "big")
    image.step = pixels[0].nbytes
    image.data = filled("B", pixels)
    return image


def filled(typecode: str, values: npt.NDArray[Any]) -> Any:
    """An `array.array` of that type with the bytes of an array."""
    field: Any = array(typecode)
    field.frombytes(np.ascontiguousarray(values).view(np.uint8))
    return field
