"""From image messages to (H,W,3) uint8 RGB, refusing what contradicts itself.

Only the fields of a message are read, so that those of a recording and of a running system are
read alike. ROS does not check that an image's buffer fits its size, so that every message
passes `check_layout` before anything reads it. Encodings go by their names in ROS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.ros.camera_plausibility import MAX_PIXELS
from kdbts_ros.datasets.ros.sample_depth import SampleDepth
from kdbts_ros.errors import UserError

Rgb = npt.NDArray[np.uint8]
# Encodings of depth and the like.
_NUMBERS = re.compile(r"(8|16|32|64)(u|s|f)c\d*")


@dataclass(frozen=True)
class Encoding:
    """Channels of a pixel, bytes of a channel, and OpenCV's code for RGB (None: it is RGB).

    `halved` is set where colours have half the rows and columns of the brightness, and follow it in
    rows of their own: such data is half as long again as step x height.
    """

    channels: int
    item_bytes: int
    to_rgb: int | None
    halved: bool = False


def _known_encodings() -> dict[str, Encoding]:
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
    table["nv12"] = Encoding(1, 1, cv2.COLOR_YUV2RGB_NV12, halved=True)
    table["nv21"] = Encoding(1, 1, cv2.COLOR_YUV2RGB_NV21, halved=True)
    return table


PLAIN = _known_encodings()
_BY_LOWER_NAME = {name.lower(): encoding for name, encoding in PLAIN.items()}


def find_encoding(name: str) -> Encoding | None:
    """The encoding of a name, in whatever case drivers write it; None for one not known here.

    Raises:
        UserError: numbers that are no picture, such as depth in metres.
    """
    encoding = _BY_LOWER_NAME.get(name.lower())
    if encoding is None and _NUMBERS.fullmatch(name.lower()):
        raise UserError(
            f"image encoding '{name}' holds numbers such as depth, not a picture: name the "
            "topic of the camera's pictures"
        )
    return encoding


def bayer_encoding(name: str) -> Encoding | None:
    """The encoding of a Bayer mosaic, None for any other name."""
    return _BY_LOWER_NAME.get(name.lower()) if name.lower().startswith("bayer_") else None


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
