"""How far the ground that a view sees lies, against the plane that transforms say.

A ray meets the plane z = 0 of the base at depth g, and a ground that is seen in another scale s and
to rise ahead by δ at depth d: for a camera h above the plane, g/d = (1 + δ g/h) / s, a line in g/h.
The ratios of the rays in a strip ahead have a mode where the strip is ground; things that stand on
it are nearer, and spread.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.engines.answers import Floats, stretched
from kdbts_ros.density.geometry.camera import Array, Camera

# The strip, in metres as the network is shown them: depths of the plane, and how far aside.
STRIP_AHEAD, STRIP_ASIDE = (4.0, 14.0), 2.2
# What is searched: log ratios, by bins, and pitches.
_MOST_LOG, _BIN = 0.6, 0.02
_PITCHES: Array = np.radians(np.arange(-3.0, 3.01, 0.5))
# Rays this near to the line are ground; a search for a pitch must win this many more of them.
_WITHIN, _WORTH = 0.1, 1.05
# A pitch below this is what networks bend a flat ground by themselves: it counts for nothing, and
# of a greater one only the rest does.
_DEAD_PITCH = np.radians(1.0)
# Fewer rays in the strip, or a smaller share of them on the line, are no clear ground.
LEAST_RAYS, LEAST_SHARE = 60, 0.5


class GroundFit(NamedTuple):
    """scale: seen over planned distance of the ground; pitch: the ground rises ahead, rad; share:
    of the strip's rays that agree."""

    scale: float
    pitch: float
    share: float


def fit_ground(
    shown: Floats,
    camera: Camera,
    T_base_cam: Array,
    scale: float = 1.0,
    valid: npt.NDArray[np.bool_] | None = None,
) -> GroundFit | None:
    """Of depths (h,w) over a view's image, in m as the network is shown; None: no clear ground.

    camera: of that image. T_base_cam (4,4): the view over the base, whose z = 0 is the ground.
    scale, valid: see `View`.
    """
    height = float(T_base_cam[2, 3]) * scale
    if height <= 0:
        return None
    depth, plane = _strip(shown, camera, T_base_cam, height, valid)
    if len(depth) < LEAST_RAYS:
        return None
    ratio, ahead = np.log(depth / plane), plane / height
    pitch = _pitch(ratio, ahead)
    level = ratio + np.log1p(pitch * ahead)
    near = np.abs(level - _mode(level).at) < _WITHIN
    share = float(near.mean())
    if share < LEAST_SHARE:
        return None
    return GroundFit(float(np.exp(level[near].mean())), pitch, share)


def _strip(
    shown: Floats,
    camera: Camera,
    T_base_cam: Array,
    height: float,
    valid: npt.NDArray[np.bool_] | None,
) -> tuple[Array, Array]:
    """Depths (N,) of the strip's rays and of the plane along them, m as the network is shown."""
    h, w = shown.shape
    small = camera.resized(w, h)
    u = (np.arange(w) + 0.5 - small.cx) / small.fx
    v = ((np.arange(h) + 0.5 - small.cy) / small.fy)[:, None]
    R = T_base_cam[:3, :3]
    down = -(R[2, 0] * u + R[2, 1] * v + R[2, 2])
    plane = height / np.maximum(down, 1e-6)
    inside = (plane > STRIP_AHEAD[0]) & (plane < STRIP_AHEAD[1]) & (np.abs(u * plane) < STRIP_ASIDE)
    if valid is not None:
        inside &= stretched(valid, (h, w))
    return np.asarray(shown, np.float64)[inside], plane[inside]


class _Mode(NamedTuple):
    """Where most log ratios are, and how many."""

    at: float
    rays: int


def _mode(ratio: Array) -> _Mode:
    """Of log ratios (N,): the middle of the three neighbouring bins with the most."""
    bins = 2 * round(_MOST_LOG / _BIN)
    index = np.floor((ratio + _MOST_LOG) / _BIN).astype(np.int64)
    counts = np.bincount(index[(index >= 0) & (index < bins)], minlength=bins)
    three = np.convolve(counts, np.ones(3, np.int64), "same")
    best = int(three.argmax())
    return _Mode((best + 0.5) * _BIN - _MOST_LOG, int(three[best]))


def _pitch(ratio: Array, ahead: Array) -> float:
    """The ground's pitch, rad, without what a flat ground may have; 0 where a line wins nothing.

    ratio: log of d/g; ahead: g/h, of rays (N,).
    """
    tried = [(_mode(ratio + np.log1p(p * ahead)), float(p)) for p in _PITCHES]
    (level, pitch), (mode, steep) = tried[len(tried) // 2], max(tried, key=lambda t: t[0].rays)
    if mode.rays > _WORTH * level.rays:
        level, pitch = mode, steep
    log_scale = level.at
    for _ in range(3):
        near = np.abs(ratio + np.log1p(pitch * ahead) - log_scale) < _WITHIN
        x, y = ahead[near], np.exp(-ratio[near])
        off = x - x.mean() if len(x) else x
        if len(x) < LEAST_RAYS // 2 or not (spread := float(off @ off)) > 0:
            return 0.0
        slope = float(off @ y) / spread
        inverse_scale = float(y.mean()) - slope * float(x.mean())
        if not inverse_scale > 0:
            return 0.0
        pitch = float(np.clip(slope / inverse_scale, _PITCHES[0], _PITCHES[-1]))
        log_scale = -float(np.log(inverse_scale))
    return float(np.sign(pitch) * max(0.0, abs(pitch) - _DEAD_PITCH))
