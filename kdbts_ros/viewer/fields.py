"""Plain arrays out of ROS messages, for a viewer.

Only fields are read, so that messages of a recording and of a running system are read alike.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.ros.camera_plausibility import MAX_PIXELS
from kdbts_ros.errors import UserError

Floats = npt.NDArray[np.float32]

# By the numbers of sensor_msgs/PointField.
_KINDS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
# Metres in a unit of an encoding, by REP-118.
_DEPTHS = {"32FC1": ("f4", 1.0), "16UC1": ("u2", 0.001), "mono16": ("u2", 0.001)}
# What a viewer draws of a cloud at most.
MOST_POINTS = 200_000


def stamp_ns(stamp: Any) -> int:
    """Nanoseconds of a builtin_interfaces/Time."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def is_depth(message: Any) -> bool:
    """Whether a sensor_msgs/Image holds distances."""
    return message.encoding in _DEPTHS


def depth_metres(message: Any) -> Floats:
    """(H,W) z-depth in metres of a sensor_msgs/Image, 0 where there is none.

    Raises:
        UserError: an encoding without distances, or a buffer that does not fit its size.
    """
    if not is_depth(message):
        raise UserError(f"encoding {message.encoding!r:.40} holds no depth")
    kind, metres = _DEPTHS[message.encoding]
    width, height, step = int(message.width), int(message.height), int(message.step)
    data = np.frombuffer(message.data, np.uint8)
    item = np.dtype(kind).itemsize
    if not (0 < width * height <= MAX_PIXELS and step >= width * item):
        raise UserError(f"a depth image of {width}x{height} pixels with rows of {step} bytes")
    if data.size != step * height:
        raise UserError(f"depth image holds {data.size} bytes, but step {step} x height {height}")
    rows = np.ascontiguousarray(data.reshape(height, step)[:, : width * item])
    depth = rows.view(_order(message.is_bigendian) + kind).astype(np.float32) * np.float32(metres)
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))


def grid_cells(message: Any) -> npt.NDArray[np.int8]:
    """(H,W) cells of a nav_msgs/OccupancyGrid.

    Raises:
        UserError: a size or resolution that no map has, or as many cells as do not fit it.
    """
    info = message.info
    width, height, resolution = int(info.width), int(info.height), float(info.resolution)
    if not (0 < width * height <= MAX_PIXELS and 0 < resolution < float("inf")):
        raise UserError(f"a map of {width}x{height} cells of {resolution:g} m")
    cells = np.asarray(message.data, np.int8)
    if cells.size != width * height:
        raise UserError(f"a map of {width}x{height} cells holds {cells.size}")
    return cells.reshape(height, width)


def cloud_fields(message: Any) -> dict[str, Floats]:
    """Columns by name of a sensor_msgs/PointCloud2, without points whose place is not finite.

    Of more than `MOST_POINTS` every n-th.

    Raises:
        UserError: fields that lie outside of a point, x, y or z missing, or a short buffer.
    """
    step, rows = int(message.point_step), int(message.height)
    count = int(message.width) * rows
    order = _order(message.is_bigendian)
    names, formats, offsets = [], [], []
    for field in message.fields:
        kind = _KINDS.get(int(field.datatype))
        if kind is None or int(field.offset) + np.dtype(kind).itemsize > step:
            raise UserError(f"field {field.name!r:.40} of a cloud lies outside of its points")
        names.append(str(field.name))
        formats.append(order + kind)
        offsets.append(int(field.offset))
    if not {"x", "y", "z"} <= set(names) or len(set(names)) < len(names):
        raise UserError(f"a cloud needs x, y and z once each, it has {', '.join(names) or 'none'}")
    data = np.frombuffer(message.data, np.uint8)
    if data.size != count * step or int(message.row_step) * rows != data.size:
        raise UserError(f"a cloud of {count} points of {step} bytes holds {data.size}")
    layout = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": step})
    points = data.view(layout)[:: max(1, -(-count // MOST_POINTS))]
    columns = {name: points[name].astype(np.float32) for name in names}
    good = np.isfinite(columns["x"] + columns["y"] + columns["z"])
    return {name: column[good] for name, column in columns.items()}


def _order(is_bigendian: Any) -> str:
    big = bool(is_bigendian)
    native = sys.byteorder == "big"
    return "=" if big == native else (">" if big else "<")
