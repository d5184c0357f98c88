"""From image messages to (H,W,3) uint8 RGB, refusing what contradicts itself.

Only the fields of a message are read, so that those of a recording and of a running system are
read alike. ROS does not check that an image's buffer fits its size, so that every message
passes `check_layout` before anything reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.errors import UserError

Rgb = npt.NDArray[np.uint8]

# Larger than any camera; a header that claims more is broken, or an attempt to exhaust memory.
MAX_PIXELS = 100_000_000


@dataclass(frozen=True)
class Encoding:
    """Channels of a pixel, bytes of a channel, and OpenCV's code for RGB (None: it is RGB)."""

    channels: int
    item_bytes: int
    to_rgb: int | None


def _plain_encodings() -> dict[str, Encoding]:
    table = {}
    for bits, size in (("8", 1), ("16", 2)):
        table[f"mono{bits}"] = Encoding(1, size, cv2.COLOR_GRAY2RGB)
        table[f"rgb{bits}"] = Encoding(3, size, None)
        table[f"bgr{bits}"] = Encoding(3, size, cv2.COLOR_BGR2RGB)
        table[f"rgba{bits}"] = Encoding(4, size, cv2.COLOR_RGBA2RGB)
        table[f"bgra{bits}"] = Encoding(4, size, cv2.COLOR_BGRA2RGB)
        # OpenCV names a Bayer pattern by the second row's second and third pixel, ROS by the first.
        for ros, opencv in (("rggb", "BG"), ("bggr", "RG"), ("gbrg", "GR"), ("grbg", "GB")):
            code = getattr(cv2, f"COLOR_Bayer{opencv}2RGB")
            table[f"bayer_{ros}{bits}"] = Encoding(1, size, code)
        # Numbered encodings carry no colour order; OpenCV's is BGR.
        table[f"{bits}UC1"] = table[f"mono{bits}"]
        table[f"{bits}UC3"] = table[f"bgr{bits}"]
        table[f"{bits}UC4"] = table[f"bgra{bits}"]
    for name, code in (
        ("uyvy", cv2.COLOR_YUV2RGB_UYVY),
        ("yuv422", cv2.COLOR_YUV2RGB_UYVY),
        ("yuyv", cv2.COLOR_YUV2RGB_YUY2),
        ("yuv422_yuy2", cv2.COLOR_YUV2RGB_YUY2),
    ):
        table[name] = Encoding(2, 1, code)
    return table


PLAIN = _plain_encodings()


def check_layout(message: Any) -> Encoding | None:
    """The encoding of a sensor_msgs/Image whose buffer fits its size; None for one not known here.

    Raises:
        UserError: one sentence, where they do not fit.
    """
    width, height, step = message.width, message.height, message.step
    if width < 1 or height < 1:
        raise UserError(f"image is {width}x{height} pixels")
    if width * height > MAX_PIXELS:
        raise UserError(f"image claims {width}x{height} pixels")
    if len(message.data) != step * height:
        raise UserError(f"image holds {len(message.data)} bytes, but step {step} x height {height}")
    encoding = PLAIN.get(message.encoding)
    if encoding is None:
        return None
    row = width * encoding.channels * encoding.item_bytes
    if step < row:
        raise UserError(
            f"image step {step} is shorter than a {message.encoding} row of {row} bytes"
        )
    if encoding.channels == 2 and width % 2:
        raise UserError(f"a {message.encoding} image needs an even width, got {width}")
    return encoding


def decode_plain(message: Any, encoding: Encoding) -> Rgb:
    """(H,W,3) RGB of a checked Image; 16-bit values keep their upper byte, alpha is ignored.

    Raises:
        UserError: a size that OpenCV cannot turn into RGB.
    """
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    rows = rows[:, : message.width * encoding.channels * encoding.item_bytes]
    if encoding.item_bytes == 2:
        # The more significant byte of each value, wherever the sender put it.
        rows = rows[:, 0 if message.is_bigendian else 1 :: 2]
    pixels = np.ascontiguousarray(rows).reshape(message.height, message.width, encoding.channels)
    if encoding.to_rgb is None:
        return pixels
    try:
        return np.asarray(cv2.cvtColor(pixels, encoding.to_rgb), np.uint8)
    except cv2.error as error:  # a Bayer image of two pixels, say
        raise UserError(f"{message.encoding} image cannot become rgb8: {error}") from error


def decode_compressed(message: Any) -> Rgb:
    """(H,W,3) RGB of a sensor_msgs/CompressedImage holding a JPEG or PNG.

    Raises:
        UserError: compressed depth, or bytes that OpenCV cannot read.
    """
    if "compressedDepth" in message.format:
        raise UserError(f"'{message.format}' is compressed depth, not a picture")
    data = np.frombuffer(message.data, np.uint8)
    # The orientation tag of a JPEG must not turn the picture away from its calibration.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        bgr = cv2.imdecode(data, flags) if data.size else None
    except cv2.error as error:
        raise UserError(f"compressed image '{message.format}': {error}") from error
    if bgr is None:
        raise UserError(f"compressed image '{message.format}' of {data.size} bytes is not readable")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
