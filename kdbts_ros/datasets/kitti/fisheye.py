"""Calibration of the side cameras of KITTI-360 (Mei and Rives, ICRA 2007)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from kdbts_ros.datasets.kitti.files import FARTHEST, read_text
from kdbts_ros.density.cameras.lenses import Lens, Mei
from kdbts_ros.density.geometry.camera import Array, Camera
from kdbts_ros.errors import UserError

_NUMBER = re.compile(r"^\s*(\w+):\s*([-+\d.eE]+)\s*$")


def virtual_rotation(down: float, right: float) -> Array:
    """(3,3) of a camera turned by degrees to its right, then down, to the frame before."""
    # Intrinsic order keeps the horizon level: aside about the vertical, then down.
    return np.asarray(Rotation.from_euler("YX", [right, -down], degrees=True).as_matrix())


def read_fisheye(path: Path) -> Lens:
    """The lens of `image_02.yaml`: xi, k1, k2, p1, p2, gamma1, gamma2, u0, v0.

    Raises:
        UserError: the file is missing or lacks a number.
    """
    text = read_text(path, "unpack the calibration archive there")
    try:
        values = {m[1]: float(m[2]) for m in map(_NUMBER.match, text.splitlines()) if m}
    except ValueError as error:
        raise UserError(
            f"{path} has an entry that is no number ({error}); unpack it again"
        ) from None
    if not all(abs(value) < FARTHEST for value in values.values()):
        raise UserError(f"{path} has an entry that no camera has; unpack it again")
    try:
        fx, fy, u0, v0 = (values[key] for key in ("gamma1", "gamma2", "u0", "v0"))
        K = np.array([[fx, 0, u0], [0, fy, v0], [0, 0, 1]])
        bend = (values["k1"], values["k2"], values["p1"], values["p2"])
        width, height = int(values["image_width"]), int(values["image_height"])
        return Lens(Camera.from_integer_centres(K, width, height), Mei(values["xi"], bend))
    except KeyError as error:
        raise UserError(f"{path} lacks {error.args[0]}; unpack the calibration again") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
