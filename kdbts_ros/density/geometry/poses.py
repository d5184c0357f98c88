"""Poses between poses: rigid matrices of quaternions, and their interpolation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]


def matrix(translation: npt.ArrayLike, quaternion_xyzw: npt.ArrayLike) -> Matrix:
    """(4,4) from a translation in metres and a unit quaternion in the order x, y, z, w."""
    x, y, z, w = np.asarray(quaternion_xyzw, np.float64)
    T = np.eye(4)
    T[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    T[:3, 3] = translation
    return T


def slerp(a: npt.ArrayLike, b: npt.ArrayLike, share: float) -> npt.NDArray[np.float64]:
    """Unit quaternion at `share` of the shorter arc from a to b."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    cosine = float(a @ b)
    if cosine < 0:
        b, cosine = -b, -cosine
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:
        mixed = a + share * (b - a)
    else:
        mixed = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    return np.asarray(mixed / np.linalg.norm(mixed), np.float64)
