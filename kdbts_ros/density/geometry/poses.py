"""Poses between poses: rigid matrices of quaternions, and their interpolation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

Matrix = npt.NDArray[np.float64]


def matrix(translation: npt.ArrayLike, quaternion_xyzw: npt.ArrayLike) -> Matrix:
    """(4,4) from a translation in metres and a quaternion in the order x, y, z, w, not zero."""
    return _rigid(translation, Rotation.from_quat(quaternion_xyzw))


def between(
    translation: npt.ArrayLike, a_xyzw: npt.ArrayLike, b_xyzw: npt.ArrayLike, share: float
) -> Matrix:
    """(4,4) from a translation in metres and the rotation at `share` of the shorter arc a to b."""
    a, b = Rotation.from_quat(a_xyzw), Rotation.from_quat(b_xyzw)
    # scipy's Slerp does the same for many stamps, at three times the cost for one.
    return _rigid(translation, a * (a.inv() * b) ** share)


def _rigid(translation: npt.ArrayLike, rotation: Rotation) -> Matrix:
    T = np.eye(4)
    T[:3, :3] = rotation.as_matrix()
    T[:3, 3] = translation
    return T
