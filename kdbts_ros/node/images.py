"""Image messages of a running system to RGB; what cannot be read is dropped and counted."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np

from kdbts_ros.datasets import image_messages
from kdbts_ros.datasets.image_messages import MAX_PIXELS, PLAIN, Rgb
from kdbts_ros.errors import UserError
from kdbts_ros.node import drops
from kdbts_ros.node.drops import Dropped

__all__ = ["MAX_PIXELS", "PLAIN", "Rgb", "check_layout", "decode", "decode_compressed"]


def check_layout(message: Any) -> None:
    """Raise Dropped (bad_image) unless a sensor_msgs/Image fits its size and can be decoded."""
    try:
        encoding = image_messages.check_layout(message)
    except UserError as error:
        raise Dropped(drops.BAD_IMAGE, str(error)) from error
    if encoding is None and find_spec("cv_bridge") is None:
        raise Dropped(
            drops.BAD_IMAGE,
            f"image encoding '{message.encoding}' needs cv_bridge, which is not installed; "
            f"without it: {', '.join(PLAIN)}",
        )


def decode(message: Any) -> Rgb:
    """(H,W,3) RGB of a sensor_msgs/Image; 16-bit values keep their upper byte, alpha is ignored.

    Raises:
        Dropped: bad_image, for a buffer that disagrees with its size or an unknown encoding.
    """
    check_layout(message)
    encoding = PLAIN.get(message.encoding)
    if encoding is None:
        return _decode_exotic(message)
    try:
        return image_messages.decode_plain(message, encoding)
    except UserError as error:
        raise Dropped(drops.BAD_IMAGE, str(error)) from error


def _decode_exotic(message: Any) -> Rgb:
    import cv_bridge

    try:
        rgb = cv_bridge.CvBridge().imgmsg_to_cv2(message, "rgb8")
    except (cv_bridge.CvBridgeError, cv2.error, KeyError, TypeError, ValueError) as error:
        raise Dropped(
            drops.BAD_IMAGE, f"image encoding '{message.encoding}' cannot become rgb8: {error}"
        ) from error
    return np.ascontiguousarray(rgb, np.uint8)


def decode_compressed(message: Any) -> Rgb:
    """(H,W,3) RGB of a sensor_msgs/CompressedImage holding a JPEG or PNG.

    Raises:
        Dropped: bad_image, for compressed depth or bytes that OpenCV cannot read.
    """
    try:
        return image_messages.decode_compressed(message)
    except UserError as error:
        raise Dropped(drops.BAD_IMAGE, str(error)) from error
