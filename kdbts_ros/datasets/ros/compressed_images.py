"""From sensor_msgs/CompressedImage to (H,W,3) uint8 RGB, as image_transport writes its `format`.

`rgb8; jpeg compressed bgr8`: what the driver had, the codec, and the order of the channels that the
codec was given. A codec calls its three channels blue, green, red whatever it was given, so that
only the last word tells which is which.
"""

from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.ros.image_messages import Rgb, bayer_encoding, to_rgb
from kdbts_ros.datasets.ros.sample_depth import SampleDepth
from kdbts_ros.encoded_images import TooLarge, decode_image
from kdbts_ros.errors import UserError

_FORMAT = re.compile(r"\s*(\w*)\s*;\s*(\w+) compressed\s*(\w*)\s*")
# The orientation tag of a JPEG must not turn the picture away from its calibration.
_FLAGS = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION
_VIDEO = ("h264", "h265", "hevc", "vp8", "vp9", "av1", "x264")


def decode_compressed(message: Any, depth: SampleDepth | None = None) -> Rgb:
    """(H,W,3) RGB of a sensor_msgs/CompressedImage holding a JPEG, PNG, TIFF or WebP.

    A Bayer mosaic that was compressed as it is becomes colours; a JPEG's artefacts stay.

    Args:
        depth: what was seen of the stream's 16-bit values before; None: only this image counts.

    Raises:
        UserError: compressed depth, video, or bytes that OpenCV cannot read.
    """
    pixels = _decoded(message)
    if pixels.dtype == np.uint16:
        pixels = (depth or SampleDepth()).to_bytes(pixels)
    if pixels.dtype != np.uint8:
        raise UserError(f"compressed image '{message.format}' holds {pixels.dtype}, not a picture")
    found = _FORMAT.fullmatch(message.format)
    original, codec, order = found.groups() if found else ("", "", "")
    if pixels.ndim == 2:
        # Newer publishers make a grey picture of a mosaic, and say so.
        bayer = None if order.startswith("mono") else bayer_encoding(original)
        code = cv2.COLOR_GRAY2RGB if bayer is None else bayer.to_rgb
        return to_rgb(pixels, code, message.format)
    if codec == "tiff" and not order:
        order = original  # is not reordered before compression
    return (
        pixels
        if order.lower().startswith("rgb")
        else to_rgb(pixels, cv2.COLOR_BGR2RGB, message.format)
    )


def _decoded(message: Any) -> npt.NDArray[Any]:
    """(H,W) or (H,W,3) of 8 or 16 bits, as OpenCV reads it."""
    name = message.format
    if "compressedDepth" in name:
        raise UserError(f"'{name}' is compressed depth, not a picture")
    if any(video in name.lower() for video in _VIDEO):
        raise UserError(
            f"'{name}' is a video stream, not a picture: republish it as images, for example with "
            "ros2 run image_transport republish"
        )
    data = np.frombuffer(message.data, np.uint8)
    try:
        return decode_image(data, _FLAGS)
    except TooLarge as error:
        raise UserError(f"compressed image '{name}' {error}") from None
    except UserError:
        raise UserError(
            f"compressed image '{name}' of {data.size} bytes is not readable: it is cut off or "
            "neither JPEG, PNG, TIFF nor WebP"
        ) from None
