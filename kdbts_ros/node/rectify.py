"""Straightening an image of a lens that bends lines, by one table per calibration."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.density.camera import Camera
from kdbts_ros.node.camera_info import Calibration

Rgb = npt.NDArray[np.uint8]
Maps = tuple[Camera, npt.NDArray[np.int16], npt.NDArray[np.uint16]]


def rectify(image: Rgb, calibration: Calibration) -> tuple[Rgb, Camera]:
    """The image as a pinhole camera sees it, and that camera.

    The new camera is the largest whose every pixel the old one saw (OpenCV's alpha = 0): an
    invented black border would look like an object to a network.
    """
    if not calibration.distortion:
        return image, calibration.camera
    camera, map_xy, map_fraction = _maps(calibration)
    straight = cv2.remap(image, map_xy, map_fraction, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
    return np.asarray(straight, np.uint8), camera


@lru_cache(maxsize=4)
def _maps(calibration: Calibration) -> Maps:
    camera = calibration.camera
    size = (camera.width, camera.height)
    # OpenCV counts pixel centres at integers.
    K = camera.matrix - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
    D = np.array(calibration.distortion)
    K_new, _ = cv2.getOptimalNewCameraMatrix(K, D, size, 0.0)
    map_xy, map_fraction = cv2.initUndistortRectifyMap(K, D, np.eye(3), K_new, size, cv2.CV_16SC2)
    straight = Camera.from_integer_centres(K_new, *size)
    return straight, np.asarray(map_xy, np.int16), np.asarray(map_fraction, np.uint16)
