"""From image messages to (H,W,3) uint8 RGB, refusing what contradicts itself.

Only the fields of a message are read, so that those of a recording and of a running system are
read alike. ROS does not check that an image's buffer fits its size, so that every message
passes `check_layout` before anything reads it.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.ros.camera_plausibility import MAX_PIXELS
from kdbts_ros.datasets.ros.image_encodings import Encoding, find_encoding
from kdbts_ros.datasets.ros.sample_depth import SampleDepth
from kdbts_ros.errors import UserError

Rgb = npt.NDArray[np.uint8]


def check_layout(message: Any) -> Encoding | None:
    """The encoding of a sensor_msgs/Image whose buffer fits its size; None for one not known here.

    Raises:
        UserError: one sentence, where they do not fit or the encoding is none of pictures.
    """
    width, height, step = message.width, message.height, message.step
    if width < 1 or height < 1:
        raise UserError(f"image is {width}x{height} pixels")
    if width * height > MAX_PIXELS:
        raise UserError(f"image claims {width}x{height} pixels")
    encoding = find_encoding(message.encoding)
    if encoding is None:
        return None
    if encoding.halved and (width % 2 or height % 2 or step % 2):
        raise UserError(
            f"a {message.encoding} image needs an even width, height and step, got "
            f"{width}x{height} and {step}"
        )
    rows = height + height // 2 if encoding.halved else height
    if len(message.data) != step * rows:
        more = " x 3/2" if encoding.halved else ""
        raise UserError(
            f"image holds {len(message.data)} bytes, but step {step} x height {height}{more}"
        )
    row = width * encoding.channels * encoding.item_bytes
    if step < row:
        raise UserError(
            f"image step {step} is shorter than a {message.encoding} row of {row} bytes"
        )
    if encoding.channels == 2 and width % 2:
        raise UserError(f"a {message.encoding} image needs an even width, got {width}")
    return encoding


def decode_plain(message: Any, encoding: Encoding, depth: SampleDepth | None = None) -> Rgb:
    """(H,W,3) RGB of a checked Image; alpha is ignored.

    Args:
        depth: what was seen of the stream's 16-bit values before; None: only this image counts.

    Raises:
        UserError: a size that OpenCV cannot turn into RGB.
    """
    rows = np.frombuffer(message.data, np.uint8).reshape(-1, message.step)
    rows = rows[:, : message.width * encoding.channels * encoding.item_bytes]
    if encoding.item_bytes == 2:
        order = ">u2" if message.is_bigendian else "<u2"
        values = np.ascontiguousarray(rows).view(order).astype(np.uint16, copy=False)
        rows = (depth or SampleDepth()).to_bytes(values)
    pixels = np.ascontiguousarray(rows).reshape(len(rows), message.width, encoding.channels)
    return to_rgb(pixels, encoding.to_rgb, message.encoding)


def to_rgb(pixels: Rgb, code: int | None, name: str) -> Rgb:
    """(H,W,C) bytes by OpenCV's code to (H,W,3) RGB; None: they are RGB.

    Raises:
        UserError: a size that OpenCV cannot turn into RGB.
    """
    if code is None:
        return pixels
    try:
        return np.asarray(cv2.cvtColor(pixels, code), np.uint8)
    except cv2.error as error:  # a Bayer image of two pixels, say
        raise UserError(f"{name} image cannot become rgb8: {error}") from error
