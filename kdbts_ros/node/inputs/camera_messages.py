"""What a camera's messages say: a picture, and the lens it was taken through.

Read by the rules of `datasets.ros`; what cannot be read is dropped and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np

from kdbts_ros.datasets.ros import compressed_images, image_messages, topic_names
from kdbts_ros.datasets.ros.camera_infos import read_lens
from kdbts_ros.datasets.ros.image_messages import PLAIN, Encoding, Rgb
from kdbts_ros.datasets.ros.sample_depth import SampleDepth
from kdbts_ros.density.cameras.lenses import Lens
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


@dataclass(frozen=True)
class Calibration:
    """Lens of the image as it arrives."""

    lens: Lens

    def check_size(self, width: int, height: int) -> None:
        """Raise Dropped (camera_info_mismatch) unless an image of this size belongs to it."""
        camera = self.lens.camera
        if (width, height) != (camera.width, camera.height):
            raise Dropped(
                drops.CAMERA_INFO_MISMATCH,
                f"image is {width}x{height}, camera_info describes "
                f"{camera.width}x{camera.height}; publish the camera_info of this image",
                # A resolution change announces itself on two topics; the other may be under way.
                final=False,
            )


def is_rectified(setting: str, image_topic: str) -> bool:
    """The parameter `rectified` applied to a resolved topic such as /camera/image_rect_color."""
    return topic_names.is_rectified(image_topic) if setting == "auto" else setting == "true"


def read_calibration(info: Any, rectified: bool) -> Calibration:
    """The lens of a sensor_msgs/CameraInfo; UserError names the field that cannot be."""
    return Calibration(read_lens(info, rectified))


class CalibrationReader:
    """Reads CameraInfo of one camera; the same values again cost a look, not another reading."""

    def __init__(self, rectified: bool) -> None:
        self._rectified = rectified
        self._values: tuple[Any, ...] = ()
        self._newest: tuple[Calibration | None, str] = (None, "")

    def read(self, info: Any) -> tuple[Calibration | None, str]:
        """The calibration, or None and the sentence that names the field at fault."""
        values = _values(info)
        if values != self._values:
            try:
                self._newest = read_calibration(info, self._rectified), ""
            except UserError as error:
                self._newest = None, str(error)
            self._values = values
        return self._newest


def _values(info: Any) -> tuple[Any, ...]:
    """Everything of a CameraInfo that its calibration is made of."""
    roi = info.roi
    return (
        (info.width, info.height, info.distortion_model, info.binning_x, info.binning_y),
        (roi.x_offset, roi.y_offset, roi.width, roi.height),
        *(np.asarray(values, np.float64).tobytes() for values in (info.d, info.k, info.p)),
    )
