"""From CameraInfo to the lens of an image, by the rules of image_pipeline.

Only the fields of the message are read, so that a recorded one and a live one are read alike. Raw
image: K and D hold. Rectified image: P[:3,:3] holds and D describes the image before. P's fourth
column (a stereo baseline) is not used: TF places each camera. R (a stereo rectification) is not
used either: `frame_id` of a rectified image is expected to name the rectified optical frame.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from kdbts_ros.density.camera import Camera
from kdbts_ros.density.lenses import BrownConrady, Distortion, Equidistant, Lens, Mei, Pinhole
from kdbts_ros.errors import UserError

BROWN_CONRADY = ("plumb_bob", "rational_polynomial")
# "fisheye" is what OpenCV, and drivers after it, call the same model.
EQUIDISTANT = ("equidistant", "fisheye")
# ROS has no name for this model; D holds xi, k1, k2, p1, p2, and K the gammas.
OMNIDIRECTIONAL = ("mei", "omnidirectional", "unified")


def read_lens(info: Any, rectified: bool) -> Lens:
    """The lens of a sensor_msgs/CameraInfo.

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
    distortion = Pinhole() if rectified else _distortion(info)
    return Lens(_binned(_cropped(full, info), info), distortion)


def _distortion(info: Any) -> Distortion:
    values = tuple(float(v) for v in info.d)
    if not np.isfinite(values).all():
        raise UserError("camera_info D contains NaN or infinity: calibrate the camera")
    model = info.distortion_model.lower()
    # A fisheye is no pinhole even with D all zero; an unnamed or Brown-Conrady model then is.
    if model in ("", *BROWN_CONRADY) and not any(values):
        return Pinhole()
    if model in BROWN_CONRADY:
        # OpenCV's last two tilt the sensor, which no ROS driver is known to use.
        if len(values) == 14 and not any(values[12:]):
            values = values[:12]
        _check_count(values, model, (4, 5, 8, 12), "5 or 8")
        return BrownConrady(values)
    if model in EQUIDISTANT:
        _check_count(values, model, (4,), "4")
        return Equidistant(values)  # type: ignore[arg-type]
    if model in OMNIDIRECTIONAL:
        _check_count(values, model, (5,), "5 (xi, k1, k2, p1, p2)")
        return Mei(values[0], values[1:])  # type: ignore[arg-type]
    raise UserError(
        f"camera_info distortion_model '{info.distortion_model}' is not known: "
        "rectify the image first and set rectified:=true"
    )


def _check_count(
    values: tuple[float, ...], model: str, allowed: tuple[int, ...], words: str
) -> None:
    if len(values) not in allowed:
        raise UserError(f"camera_info D has {len(values)} values; {model} needs {words}")


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
