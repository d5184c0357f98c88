"""What every folder of an RGB-D camera is read with: depth images, intrinsics, poses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.kitti.files import naming, read_table
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.geometry.camera import Array, Camera
from kdbts_ros.encoded_images import LARGEST_FILE, cut_short, decode_image
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown
from kdbts_ros.reading import read_bounded

INTRINSICS = "camera-intrinsics.txt"
# What sensors write where they measure nothing, beside 0.
_SATURATED = 65535
# Focal lengths in image widths: views of 170 degrees, and of 5.
LEAST_FOCAL, MOST_FOCAL = 0.04, 12.0


@dataclass(frozen=True, eq=False)
class RgbdRig:
    """The two cameras of a sensor.

    T_colour_depth (4,4): optical frame of the depth camera to that of the colour camera.
    per_metre: values of a depth image in a metre.
    """

    colour: Lens
    depth: Lens
    per_metre: float
    T_colour_depth: Array = field(default_factory=lambda: np.eye(4))


@dataclass(frozen=True, eq=False)
class RgbdFiles:
    """Where the frames of a sequence lie; all mappings are by frame index.

    Attributes:
        name: for messages.
        colour, depth: image files.
        stamps_ns: time of the colour image, ns.
        T_any_cam: (4,4) optical frame of the colour camera to the world of the files.
        up: (3,) unit vector in that world; None where the files do not say.
        without_depth, without_pose: colour images that are no frames for the lack of these.
    """

    name: str
    colour: Mapping[int, Path]
    depth: Mapping[int, Path]
    stamps_ns: Mapping[int, int]
    T_any_cam: Mapping[int, Array]
    up: Array | None = None
    without_depth: int = 0
    without_pose: int = 0


def read_depth(path: Path, per_metre: float) -> npt.NDArray[np.float32]:
    """(H,W) z-depth in m of a 16-bit grey image; 0 where the sensor measured nothing.

    Raises:
        UserError: missing, empty, cut short, or no 16-bit image of one channel.
    """
    data = read_bounded(path, LARGEST_FILE, "replace it")
    if not data or cut_short(data):
        raise UserError(f"{shown(path)} is {'cut short' if data else 'empty'}; copy it again")
    try:
        values = decode_image(data, cv2.IMREAD_UNCHANGED)
    except UserError as error:
        raise UserError(f"{shown(path)} {error}; replace it") from None
    if values.dtype != np.uint16 or values.ndim != 2:
        raise UserError(
            f"{shown(path)} is no depth image: it has {values.dtype} values of shape "
            f"{values.shape}, and one channel of uint16 is needed"
        )
    depth = values.astype(np.float32) / np.float32(per_metre)
    depth[values == _SATURATED] = 0
    return depth


def intrinsics_beside(folder: Path, size: tuple[int, int]) -> Camera | None:
    """The camera of `camera-intrinsics.txt` in a folder or the one above; None without the file.

    The file is a 3x3 matrix with pixel centres at integers, as OpenCV has it.

    Raises:
        UserError: it is no matrix of a camera.
    """
    for place in (folder, folder.parent):
        path = place / INTRINSICS
        if path.is_file():
            K = read_table(path, 3, "replace it")
            with naming(path):
                if K.shape != (3, 3):
                    raise UserError(f"a camera's matrix has 3 rows, not {len(K)}; replace it")
                return camera_of((K[0, 0], K[1, 1], K[0, 2], K[1, 2]), size)
    return None


def camera_of(intrinsics: Sequence[float], size: tuple[int, int]) -> Camera:
    """The pinhole of fx, fy, cx, cy with pixel centres at integers.

    Raises:
        UserError: no camera has them.
    """
    fx, fy, cx, cy = intrinsics
    width, height = size
    plausible = (
        all(LEAST_FOCAL * width <= f <= MOST_FOCAL * width for f in (fx, fy))
        and -width <= cx <= 2 * width
        and -height <= cy <= 2 * height
    )
    if not plausible:
        raise UserError(
            f"fx, fy, cx, cy = {fx:g}, {fy:g}, {cx:g}, {cy:g} are those of no camera of "
            f"{width}x{height} pixels"
        )
    return Camera.from_integer_centres([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], *size)
