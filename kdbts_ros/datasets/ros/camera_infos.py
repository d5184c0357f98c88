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

from kdbts_ros.datasets.ros.camera_plausibility import check_camera, check_matrix, check_size
from kdbts_ros.density.cameras.lenses import (
    BrownConrady,
    Distortion,
    Equidistant,
    Lens,
    Mei,
    Pinhole,
)
from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.errors import UserError

BROWN_CONRADY = ("plumb_bob", "rational_polynomial")
# "fisheye" is what OpenCV, and drivers after it, call the same model.
EQUIDISTANT = ("equidistant", "fisheye")
# ROS has no name for this model; D holds xi, k1, k2, p1, p2, and K the gammas.
OMNIDIRECTIONAL = ("mei", "omnidirectional", "unified")
# What simulators and drivers of rectified images write; D is empty or zero then.
STRAIGHT = ("", "none", "no_distortion", "pinhole", "perspective", "rectified", "undistorted")


def read_lens(info: Any, rectified: bool) -> Lens:
    """The lens of a sensor_msgs/CameraInfo.

    Raises:
        UserError: one sentence naming the field that is missing, contradicts another, or that no
            camera has.
    """
    check_size(info.width, info.height)
    name = "P" if rectified else "K"
    projection = np.asarray(info.p, np.float64).reshape(3, 4)[:, :3]
    matrix = projection if rectified else np.asarray(info.k, np.float64).reshape(3, 3)
    # By the comments of the message, zeros are how a driver says that nothing was calibrated.
    if not matrix.any():
        raise UserError(f"camera_info {name} is all zeros: {_cure(info, rectified)}")
    if not np.isfinite(matrix).all():
        raise UserError(f"camera_info {name} contains NaN or infinity: calibrate the camera")
    check_matrix(matrix, name)
    full = Camera.from_integer_centres(matrix, info.width, info.height)
    distortion = Pinhole() if rectified else _distortion(info)
    check_camera(full, distortion, name)
    return Lens(_binned(_cropped(full, info), info), distortion)


def _cure(info: Any, rectified: bool) -> str:
    """What helps where the matrix that is needed is missing: maybe the other one is there."""
    if rectified:
        return "set rectified to false"
    if np.asarray(info.p, np.float64).any():
        return "calibrate the camera, or set rectified to true where its images are rectified"
    return "calibrate the camera"


def _distortion(info: Any) -> Distortion:
    values = tuple(float(v) for v in info.d)
    if not np.isfinite(values).all():
        raise UserError("camera_info D contains NaN or infinity: calibrate the camera")
    model = info.distortion_model.lower()
    # A fisheye is no pinhole even with D all zero; an unnamed or Brown-Conrady model then is.
    if model in (*STRAIGHT, *BROWN_CONRADY) and not any(values):
        return Pinhole()
    if model in BROWN_CONRADY:
        # OpenCV's last two tilt the sensor, which no ROS driver is known to use.
        if len(values) == 14 and not any(values[12:]):
            values = values[:12]
        _check_count(values, model, (4, 5, 8, 12), "5 or 8")
        return BrownConrady(values)
    if model in EQUIDISTANT:
        return Equidistant(_first(values, 4, model, "4"))  # type: ignore[arg-type]
    if model in OMNIDIRECTIONAL:
        xi, *others = _first(values, 5, model, "5 (xi, k1, k2, p1, p2)")
        return Mei(xi, tuple(others))  # type: ignore[arg-type]
    if model in STRAIGHT:
        called = f"calls itself '{info.distortion_model}'" if model else "is empty"
        raise UserError(
            f"camera_info distortion_model {called} but D is not zero: the driver must name the "
            "model of D, for example plumb_bob"
        )
    raise UserError(
        f"camera_info distortion_model '{info.distortion_model}' is not known: "
        "rectify the image first and set rectified to true"
    )


def _first(values: tuple[float, ...], count: int, model: str, words: str) -> tuple[float, ...]:
    """The values of a model that needs `count`; drivers fill D up with zeros to 5, 8 or 14."""
    if len(values) > count and any(values[count:]):
        raise UserError(
            f"camera_info D has {len(values)} values, and not only zeros after those of {model}, "
            f"which needs {words}: name the model that D belongs to"
        )
    _check_count(values[:count], model, (count,), words)
    return values[:count]


def _check_count(
    values: tuple[float, ...], model: str, allowed: tuple[int, ...], words: str
) -> None:
    if len(values) not in allowed:
        raise UserError(f"camera_info D has {len(values)} values; {model} needs {words}")


def _cropped(camera: Camera, info: Any) -> Camera:
    """The camera of the region of interest, given in pixels before binning.

    `do_rectify` asks a driver for a region of the rectified image; what image_proc then publishes
    still starts at the offsets of the raw one, for P as for K.
    """
    roi = info.roi
    place = f"{roi.width}x{roi.height} at ({roi.x_offset}, {roi.y_offset})"
    if not (roi.width or roi.height or roi.x_offset or roi.y_offset):
        return camera
    if roi.width < 1 or roi.height < 1:
        raise UserError(f"camera_info roi is {place}: all zeros mean the whole image")
    if roi.x_offset + roi.width > camera.width or roi.y_offset + roi.height > camera.height:
        raise UserError(
            f"camera_info roi {place} reaches beyond {camera.width}x{camera.height}: width and "
            "height must be those of the whole sensor"
        )
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
    # What does not fill a last pixel is lost, and changes no focal length.
    return Camera(
        camera.width // bx,
        camera.height // by,
        camera.fx / bx,
        camera.fy / by,
        camera.cx / bx,
        camera.cy / by,
    )
