"""How well views agree about a pixel's depth: matching costs over planes of constant depth.

Collins, "A space-sweep approach to true multi-image matching" (CVPR 1996).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Array, View, inverse

Floats = npt.NDArray[np.float32]

WINDOW = (7, 5)
# Grey levels of noise: below this contrast a window says nothing, and its correlation goes to 0.
NOISE = 2.0
# What a pixel costs that lies outside the other image: no better and no worse than no texture.
OUTSIDE = 0.5


def inverse_depths(near: float, far: float, planes: int) -> Floats:
    """(S,) 1/m, evenly spaced from far to near: evenly spaced in the image as well."""
    return np.linspace(1 / far, 1 / near, planes, dtype=np.float32)


def matching_costs(reference: View, sources: Sequence[View], inverse_depth: Floats) -> Floats:
    """(S,H,W) in [0,1]: 0 where some view looks the same at that depth, 0.5 where nothing is known.

    One minus the normalised cross-correlation of small windows, halved: blind to exposure. Of
    several sources the better half counts, because what one of them cannot see another may.
    """
    grey = _grey(reference)
    mean, variance = _moments(grey)
    costs = np.empty((len(inverse_depth), *grey.shape), np.float32)
    greys = [_grey(source) for source in sources]
    homographies = [_homography_parts(reference, source) for source in sources]
    counted = (len(sources) + 1) // 2
    for plane, w in enumerate(inverse_depth):
        found = [
            _cost(grey, mean, variance, other, infinite + w * parallax)
            for other, (infinite, parallax) in zip(greys, homographies, strict=True)
        ]
        stacked = np.sort(np.stack(found), axis=0)
        costs[plane] = stacked[:counted].mean(0)
    return costs


def _grey(view: View) -> Floats:
    return np.asarray(cv2.cvtColor(view.image, cv2.COLOR_RGB2GRAY), np.float32)


def _homography_parts(reference: View, source: View) -> tuple[Array, Array]:
    """A, B such that A + w B takes reference pixels at inverse depth w to source pixels.

    OpenCV counts pixel centres at integers, hence the halves.
    """
    T = inverse(source.T_world_cam) @ reference.T_world_cam
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    to_ray = np.linalg.inv(reference.camera.matrix) @ half
    to_pixel = np.linalg.inv(half) @ source.camera.matrix
    plane = np.zeros((3, 3))
    plane[:, 2] = T[:3, 3]
    return to_pixel @ T[:3, :3] @ to_ray, to_pixel @ plane @ to_ray


def _cost(grey: Floats, mean: Floats, variance: Floats, other: Floats, H: Array) -> Floats:
    height, width = grey.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # A border of -1 survives interpolation as something below 0 and so marks what is outside.
    warped = cv2.warpPerspective(other + 1, H, (width, height), flags=flags, borderValue=-1000.0)
    inside = (warped > 0.5).astype(np.uint8)
    warped = np.where(inside, warped - 1, mean)
    other_mean, other_variance = _moments(np.asarray(warped, np.float32))
    covariance = _blurred(grey * warped) - mean * other_mean
    noise = NOISE**2
    correlation = covariance / np.sqrt((variance + noise) * (other_variance + noise))
    cost = np.clip((1 - correlation) / 2, 0, 1)
    whole = cv2.erode(inside, np.ones(WINDOW[::-1], np.uint8), borderValue=1)
    return np.where(whole, cost, OUTSIDE).astype(np.float32)


def _moments(grey: Floats) -> tuple[Floats, Floats]:
    """Mean and variance over windows."""
    mean = _blurred(grey)
    return mean, np.maximum(_blurred(grey * grey) - mean * mean, 0)


def _blurred(grey: Floats) -> Floats:
    return np.asarray(cv2.blur(grey, WINDOW), np.float32)
