"""From CameraInfo to the pinhole camera of an image, by the rules of image_pipeline.

Raw image: K and D hold. Rectified image: P[:3,:3] holds and D describes the image before. P's
fourth column (a stereo baseline) is not used: TF places each camera.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kdbts_ros.density.camera import Camera
from kdbts_ros.errors import UserError
from kdbts_ros.node import drops
from kdbts_ros.node.drops import Dropped

BROWN_CONRADY = ("plumb_bob", "rational_polynomial")


@dataclass(frozen=True)
class Calibration:
    """Camera of the image as it arrives; `distortion` is empty where it is a pinhole already."""

    camera: Camera
    distortion: tuple[float, ...] = ()

    def check_size(self, width: int, height: int) -> None:
        """Raise Dropped (camera_info_mismatch) unless an image of this size belongs to it."""
        if (width, height) != (self.camera.width, self.camera.height):
            raise Dropped(
                drops.CAMERA_INFO_MISMATCH,
                f"image is {width}x{height}, camera_info describes "
                f"{self.camera.width}x{self.camera.height}; publish the camera_info of this image",
                # A resolution change announces itself on two topics; the other may be under way.
                final=False,
            )


def is_rectified(setting: str, image_topic: str) -> bool:
    """The parameter `rectified` applied to a resolved topic such as /camera/image_rect_color."""
    return "rect" in image_topic if setting == "auto" else setting == "true"


def read_calibration(info: Any, rectified: bool) -> Calibration:
    """The camera of a sensor_msgs/CameraInfo.

    Raises:
        UserError: one sentence naming the field that is missing or contradicts another.
    """
    if info.width < 1 or info.height < 1:
        raise UserError(f"camera_info width x height is {info.width}x{info.height}")
    name = "P" if rectified else "K"
    matrix = np.asarray(info.p, np.float64).reshape(3, 4)[:, :3] if rectified else info.k
    matrix = np.asarray(matrix, np.float64).reshape(3, 3)
    if not matrix.any():
        cure = "set rectified:=false" if rectified else "calibrate the camera"
        raise UserError(f"camera_info {name} is all zeros: {cure}")
    if not np.isfinite(matrix).all():
        raise UserError(f"camera_info {name} contains NaN or infinity: calibrate the camera")
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise UserError(
            f"camera_info {name} has focal lengths {matrix[0, 0]:g} and {matrix[1, 1]:g}: "
            "they must be positive; calibrate the camera"
        )
    if abs(matrix[0, 1]) > 1e-6 * matrix[0, 0]:
        raise UserError(f"camera_info {name} has a skew of {matrix[0, 1]:g}: rectify the image")
    full = Camera.from_integer_centres(matrix, info.width, info.height)
    return Calibration(_binned(_cropped(full, info), info), () if rectified else _distortion(info))


def _distortion(info: Any) -> tuple[float, ...]:
    values = tuple(float(v) for v in info.d)
    if not np.isfinite(values).all():
        raise UserError("camera_info D contains NaN or infinity: calibrate the camera")
    model = info.distortion_model
    # A fisheye is no pinhole even with D all zero; an unnamed or Brown-Conrady model then is.
    if model in ("", *BROWN_CONRADY) and not any(values):
        return ()
    if model not in BROWN_CONRADY:
        raise UserError(
            f"camera_info distortion_model '{model}' is not supported: "
            "rectify the image first and set rectified:=true"
        )
    if len(values) not in (4, 5, 8, 12, 14):
        raise UserError(f"camera_info D has {len(values)} values; {model} needs 5 or 8")
    return values


def _cropped(camera: Camera, info: Any) -> Camera:
    """The camera of the region of interest, given in pixels before binning."""
    roi = info.roi
    if not (roi.width or roi.height):
        return camera
    if roi.x_offset + roi.width > camera.width or roi.y_offset + roi.height > camera.height:
        raise UserError(f"camera_info roi reaches beyond {camera.width}x{camera.height}")
    if roi.width < 1 or roi.height < 1:
        raise UserError(f"camera_info roi is {roi.width}x{roi.height}")
    return replace(
        camera,
        width=roi.width,
        height=roi.height,
        cx=camera.cx - roi.x_offset,
        cy=camera.cy - roi.y_offset,
    )


def _binned(camera: Camera, info: Any) -> Camera:
    """The camera after binning; 0 and 1 both mean none."""
    bx, by = max(info.binning_x, 1), max(info.binning_y, 1)
    if bx > camera.width or by > camera.height:
        raise UserError(f"camera_info binning {bx}x{by} leaves no pixel")
    return camera.resized(camera.width // bx, camera.height // by)
