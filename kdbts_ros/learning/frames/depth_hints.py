"""Depth hints: what plain matching of posed images is sure of, before anything is learnt.

Watson et al., "Self-supervised monocular depth hints" (ICCV 2019): photometric learning has many
false valleys, and a coarse classical depth sets it down in the right one. Matching costs over
planes of constant depth (Collins, "A space-sweep approach to true multi-image matching", CVPR
1996), smoothed along paths (Hirschmüller, "Stereo processing by semi-global matching and mutual
information", PAMI 2008).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Array, View, inverse, transform
from kdbts_ros.learning.frames.labels import FAR, NEAR
from kdbts_ros.loops import njit

Floats = npt.NDArray[np.float32]

WINDOW = (7, 5)
# Grey levels of noise: below this contrast a window says nothing, and its correlation goes to 0.
NOISE = 2.0
# What a pixel costs that lies outside the other image: no better and no worse than no texture.
OUTSIDE = 0.5


# What a step by one plane and by more costs between neighbours, in units of matching cost.
SLOPE, JUMP = 0.06, 0.5
PLANES = 64
# Two views agree when their inverse depths of a point differ by less than this many planes.
AGREEMENT = 1.0


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


def aggregate(costs: Floats, slope: float = SLOPE, jump: float = JUMP) -> Floats:
    """Costs (S,H,W) plus those of the best smooth paths from four sides, (S,H,W)."""
    volume = np.ascontiguousarray(costs.transpose(1, 2, 0))
    total = np.zeros_like(volume)
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        _sweep(volume, total, dy, dx, np.float32(slope), np.float32(jump))
    return total.transpose(2, 0, 1)


@njit(cache=True)
def _sweep(volume, total, dy, dx, slope, jump):  # type: ignore[no-untyped-def]
    """Add the path costs (H,W,S) along one direction to `total`."""
    height, width, planes = volume.shape
    lines = height if dx else width
    length = width if dx else height
    before = np.zeros(planes, np.float32)
    now = np.zeros(planes, np.float32)
    for line in range(lines):
        for step in range(length):
            at = step if dx + dy > 0 else length - 1 - step
            y, x = (line, at) if dx else (at, line)
            if step == 0:
                for s in range(planes):
                    now[s] = volume[y, x, s]
            else:
                least = before.min()
                for s in range(planes):
                    best = min(before[s], least + jump)
                    if s > 0:
                        best = min(best, before[s - 1] + slope)
                    if s < planes - 1:
                        best = min(best, before[s + 1] + slope)
                    now[s] = volume[y, x, s] + best - least
            for s in range(planes):
                total[y, x, s] += now[s]
                before[s] = now[s]


def swept_depth(view: View, others: Sequence[View], planes: int = PLANES) -> Floats:
    """(H,W) z-depth in m from matching a view with others, wherever it is sure or not."""
    w = inverse_depths(NEAR, FAR, planes)
    costs = aggregate(matching_costs(view, others, w))
    best = costs.argmin(0)
    inner = np.clip(best, 1, planes - 2)
    rows, columns = np.indices(best.shape)
    below, at, above = (costs[inner + k, rows, columns] for k in (-1, 0, 1))
    bend = below - 2 * at + above
    # The vertex of the parabola through three costs lies between the planes.
    shift = np.where(bend > 1e-6, (below - above) / (2 * np.maximum(bend, 1e-6)), 0)
    index = np.where(inner == best, best + np.clip(shift, -0.5, 0.5), best)
    return (1 / np.interp(index, np.arange(planes), w)).astype(np.float32)


def depth_hints(views: Sequence[View], planes: int = PLANES) -> list[Floats]:
    """(H,W) z-depth in m of every view, 0 where no other view's depth confirms it."""
    depths = [
        swept_depth(view, [*views[:k], *views[k + 1 :]], planes) for k, view in enumerate(views)
    ]
    hints = []
    for k, view in enumerate(views):
        others = [j for j in range(len(views)) if j != k]
        agreed: npt.NDArray[np.bool_] = np.zeros(depths[k].shape, np.bool_)
        for j in others:
            agreed = agreed | _confirmed(view, depths[k], views[j], depths[j], planes)
        hints.append(np.where(agreed, depths[k], 0).astype(np.float32))
    return hints


def _confirmed(
    view: View, depth: Floats, other: View, other_depth: Floats, planes: int
) -> npt.NDArray[np.bool_]:
    """(H,W) bool: the other view has the same point at the same place."""
    points = (view.camera.rays() * depth[..., None]).reshape(-1, 3)
    T_other_view = inverse(other.T_world_cam) @ view.T_world_cam
    uv, z = other.camera.project(transform(T_other_view, points))
    inside = np.asarray(((uv >= 0) & (uv < [other.camera.width, other.camera.height])).all(-1))
    pixel = np.where(inside[:, None], np.nan_to_num(uv), 0).astype(int)
    step = (1 / NEAR - 1 / FAR) / (planes - 1)
    seen = other_depth[pixel[:, 1], pixel[:, 0]]
    gap = np.abs(1 / np.maximum(z, 1e-3) - 1 / seen)
    return np.asarray((inside & (gap < AGREEMENT * step)).reshape(depth.shape))
