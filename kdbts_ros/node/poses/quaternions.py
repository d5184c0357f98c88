"""Quaternions of messages as matrices, by the library that ROS uses for them.

ROS installs tf_transformations; elsewhere transforms3d, which it is made of, is used directly.
"""

from __future__ import annotations

import numpy as np

from kdbts_ros.density.geometry.poses import Matrix

Quaternion = tuple[float, float, float, float]

try:
    from tf_transformations import quaternion_from_matrix, quaternion_matrix
except ImportError:
    from transforms3d.quaternions import mat2quat, quat2mat

    def quaternion_from_matrix(T: Matrix) -> Matrix:
        """The quaternion x, y, z, w of the rotation of a (4,4) transform."""
        return np.asarray(mat2quat(T[:3, :3]))[[1, 2, 3, 0]]

    def quaternion_matrix(quaternion_xyzw: Quaternion) -> Matrix:
        """(4,4) rotation of a quaternion in the order x, y, z, w, of any length but zero."""
        x, y, z, w = quaternion_xyzw
        T = np.eye(4)
        T[:3, :3] = quat2mat((w, x, y, z))
        return T


def matrix(translation: tuple[float, float, float], quaternion_xyzw: Quaternion) -> Matrix:
    """(4,4) from a translation in metres and a quaternion in the order x, y, z, w."""
    T = np.array(quaternion_matrix(quaternion_xyzw), np.float64)
    T[:3, 3] = translation
    return T


def to_quaternion(T: Matrix) -> Quaternion:
    """The unit quaternion of the rotation of a (4,4) rigid transform, in the order x, y, z, w."""
    x, y, z, w = np.asarray(quaternion_from_matrix(T), np.float64).tolist()
    return x, y, z, w
