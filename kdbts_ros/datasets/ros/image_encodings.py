"""The encodings of sensor_msgs/Image that hold pictures, by their names in ROS."""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2

from kdbts_ros.errors import UserError

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
