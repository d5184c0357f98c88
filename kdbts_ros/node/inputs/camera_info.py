"""Calibration of a live camera, and what contradicts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kdbts_ros.datasets.ros import topic_names
from kdbts_ros.datasets.ros.camera_infos import read_lens
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.errors import UserError
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped


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
