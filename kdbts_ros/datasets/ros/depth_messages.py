"""From messages of depth images to metres: REP-118's two encodings, plain or compressed."""

from __future__ import annotations

import re
import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.ros.camera_plausibility import MAX_PIXELS
from kdbts_ros.encoded_images import decode_image
from kdbts_ros.errors import UserError

Depth = npt.NDArray[np.float32]

# Bytes of a value: millimetres, and metres.
_ENCODINGS = {"16uc1": 2, "mono16": 2, "32fc1": 4}
_FORMAT = re.compile(r"\s*(\w+)\s*;\s*compressedDepth\s*(\w*)\s*", re.IGNORECASE)
# What compressed_depth_image_transport writes before a PNG: a word, and two parameters.
_HEADER = struct.Struct("<iff")
# No sensor of a robot measures farther, m.
FARTHEST = 200.0


def decode_depth(message: Any) -> Depth:
    """(H,W) z-depth in m of a sensor_msgs/Image or CompressedImage; 0 where none was measured.

    Raises:
        UserError: no depth, or a message that contradicts itself.
    """
    depth = _compressed(message) if hasattr(message, "format") else _plain(message)
    # REP-118 has NaN where nothing is known and infinities beyond the range.
    with np.errstate(invalid="ignore"):
        good = (depth > 0) & (depth <= FARTHEST)
    return np.where(good, depth, np.float32(0))


def _plain(message: Any) -> Depth:
    width, height, step = message.width, message.height, message.step
    size = _ENCODINGS.get(message.encoding.lower())
    if size is None:
        raise UserError(
            f"the encoding '{message.encoding}' is no depth: 16UC1 (mm) and 32FC1 (m) are"
        )
    if not 0 < width * height <= MAX_PIXELS:
        raise UserError(f"the depth image claims {width}x{height} pixels")
    if step < width * size or len(message.data) != step * height:
        raise UserError(
            f"the depth image holds {len(message.data)} bytes in steps of {step}, but is "
            f"{width}x{height} {message.encoding}"
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(height, step)[:, : width * size]
    order = ">" if message.is_bigendian else "<"
    values = np.ascontiguousarray(rows).view(f"{order}{'u2' if size == 2 else 'f4'}")
    return _metres(values, millimetres=size == 2)


def _compressed(message: Any) -> Depth:
    found = _FORMAT.fullmatch(message.format)
    if found is None or found[1].lower() not in _ENCODINGS or found[2].lower() not in ("", "png"):
        raise UserError(
            f"the format '{message.format}' is not read: compressedDepth as PNG of 16UC1 or 32FC1 "
            "is, and so is an uncompressed topic"
        )
    content = bytes(message.data)
    if len(content) <= _HEADER.size:
        raise UserError("the compressed depth image is empty")
    _, a, b = _HEADER.unpack_from(content)
    values = decode_image(content[_HEADER.size :], cv2.IMREAD_UNCHANGED)
    if values.dtype != np.uint16 or values.ndim != 2:
        raise UserError(f"the compressed depth image holds {values.dtype} of {values.shape}")
    if found[1].lower() != "32fc1":
        return _metres(values, millimetres=True)
    # Metres are kept as the inverse of what is linear in the value, 0 for none.
    with np.errstate(all="ignore"):
        depth = np.float32(a) / (values.astype(np.float32) - np.float32(b))
    return np.where(values > 0, depth, np.float32(0))


def _metres(values: npt.NDArray[Any], millimetres: bool) -> Depth:
    with np.errstate(invalid="ignore"):
        depth = values.astype(np.float32)
    return depth / np.float32(1000) if millimetres else depth
