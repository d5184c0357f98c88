"""Image messages of a running system to RGB; what cannot be read is dropped and counted."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np

from kdbts_ros.datasets.ros import compressed_images, image_messages
from kdbts_ros.datasets.ros.image_encodings import PLAIN, Encoding
from kdbts_ros.datasets.ros.image_messages import Rgb
from kdbts_ros.datasets.ros.sample_depth import SampleDepth
from kdbts_ros.errors import UserError
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped


def check_layout(message: Any) -> Encoding | None:
    """The encoding of a sensor_msgs/Image that fits its size; None for one left to cv_bridge.

    Raises:
        Dropped: bad_image, where it does not fit or cannot be decoded.
    """
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
    return encoding


def decode(message: Any, depth: SampleDepth | None = None) -> Rgb:
    """(H,W,3) RGB of a sensor_msgs/Image; alpha is ignored.

    Args:
        depth: what was seen of the stream's 16-bit values before; None: only this image counts.

    Raises:
        Dropped: bad_image, for a buffer that disagrees with its size or an unknown encoding.
    """
    encoding = check_layout(message)
    if encoding is None:
        return _decode_exotic(message)
    try:
        return image_messages.decode_plain(message, encoding, depth)
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


def decode_compressed(message: Any, depth: SampleDepth | None = None) -> Rgb:
    """(H,W,3) RGB of a sensor_msgs/CompressedImage holding a JPEG, PNG, TIFF or WebP.

    Args:
        depth: as for `decode`.

    Raises:
        Dropped: bad_image, for compressed depth, video, or bytes that OpenCV cannot read.
    """
    try:
        return compressed_images.decode_compressed(message, depth)
    except UserError as error:
        raise Dropped(drops.BAD_IMAGE, str(error)) from error
