"""Do poses and images tell the same story? A sanity check before hours are spent on learning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial.transform import Rotation

from kdbts_ros.datasets.tracks import (
    Motion,
    Tracks,
    compare_motion,
    follow,
    relative,
    shrunk_view,
)
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL, Array, View, inverse
from kdbts_ros.errors import UserError

# Poses are taken to fit when this share of what could be explained is explained by them.
GOOD_SHARE, FAIR_SHARE = 0.85, 0.6
# Of slow motion the direction is hard to see; beyond this angle it is another motion, degrees.
FAIR_DIRECTION = 45.0


@dataclass(frozen=True)
class PoseVerdict:
    """Whether poses fit the images of pairs of views.

    fits: good enough to learn from. sentence: in plain words, with numbers. pairs: how many pairs
    had enough to follow. explained: tracks that obey the poses over tracks that obey the best
    motion. rotation, direction: median angles between both, degrees (NaN: nothing to compare).
    moving: share of tracks that even the best motion does not explain.
    """

    fits: bool
    sentence: str
    pairs: int
    explained: float
    rotation: float
    direction: float
    moving: float


def check_poses(pairs: Sequence[tuple[View, View]]) -> PoseVerdict:
    """Follow points from the first to the second view of every pair and compare with the poses."""
    followed, motions = [], []
    for a, b in pairs:
        first, second = shrunk_view(a), shrunk_view(b)
        tracks = follow(first, second)
        motion = compare_motion(tracks, relative(a, b))
        if motion is not None:
            followed.append((tracks, a, b))
            motions.append(motion)
    if not motions:
        return PoseVerdict(
            False,
            f"in none of {len(pairs)} pairs of images enough points could be followed: too dark, "
            "blurred, without texture, or too far apart",
            0,
            *[float("nan")] * 4,
        )
    return _verdict(followed, motions)


def refuse_nonsense(pairs: Sequence[tuple[View, View]], where: object) -> PoseVerdict:
    """The verdict of `check_poses`; raises UserError when the poses do not fit."""
    verdict = check_poses(pairs)
    if not verdict.fits:
        raise UserError(f"{where}: {verdict.sentence}")
    return verdict


def _verdict(followed: list[tuple[Tracks, View, View]], motions: list[Motion]) -> PoseVerdict:
    fitting = float(np.mean([m.fitting for m in motions]))
    possible = float(np.mean([m.possible for m in motions]))
    explained = min(fitting / max(possible, 1e-6), 1.0)
    rotation = float(np.median([m.rotation for m in motions]))
    known = [m.direction for m in motions if np.isfinite(m.direction)]
    direction = float(np.median(known)) if known else float("nan")
    figures = (
        f"{explained:.0%} of the points that could be followed go where the poses say "
        f"({len(motions)} pairs; rotation off by {rotation:.1f}, direction by {direction:.0f} "
        "degrees)"
    )
    # A reversed motion keeps the epipolar lines: only the direction tells.
    if explained >= FAIR_SHARE and not direction > FAIR_DIRECTION:
        quality = "fit" if explained >= GOOD_SHARE else "fit roughly"
        sentence = f"the poses {quality} the images: {figures}"
        return PoseVerdict(
            True, sentence, len(motions), explained, rotation, direction, 1 - possible
        )
    sentence = f"the poses do not fit the images: {figures}; {_likely_cause(followed)}"
    return PoseVerdict(False, sentence, len(motions), explained, rotation, direction, 1 - possible)


def _body_axes(T: Array) -> Array:
    """The pose read as that of a body frame (x forward) instead of an optical one."""
    optical = np.eye(4)
    optical[:3, :3] = R_BODY_OPTICAL
    return T @ optical


def _half_turn(T: Array) -> Array:
    return T @ np.diag([-1.0, -1, 1, 1])


READINGS: dict[str, Callable[[Array], Array]] = {
    "the camera's frame has x forward, but must be optical (x right, y down, z forward)": (
        _body_axes
    ),
    "the poses are inverted (world in camera instead of camera in world)": inverse,
    "the camera is mounted upside down, but its frame is not": _half_turn,
}


def _likely_cause(followed: list[tuple[Tracks, View, View]]) -> str:
    """Which usual mistake would explain the tracks, if one does."""
    for mistake, reading in READINGS.items():
        found = []
        for tracks, a, b in followed:
            T_b_a = inverse(reading(b.T_world_cam)) @ reading(a.T_world_cam)
            motion = compare_motion(tracks, T_b_a)
            if motion is not None:
                found.append(motion)
        fitting = np.mean([m.fitting for m in found]) / np.mean([m.possible for m in found])
        known = [m.direction for m in found if np.isfinite(m.direction)]
        if fitting >= GOOD_SHARE and known and np.median(known) < FAIR_DIRECTION:
            return f"{fitting:.0%} would if {mistake}"
    return (
        "check the clock that stamps images and transforms, the sign of the odometry, and the "
        "place of the camera on the robot"
    )


def pose_steps(T_world_cam: Sequence[Array]) -> tuple[Array, Array]:
    """(N-1,) metres and (N-1,) degrees from each pose to the next."""
    moved, turned = [], []
    for a, b in pairwise(T_world_cam):
        T = inverse(a) @ b
        moved.append(np.linalg.norm(T[:3, 3]))
        turned.append(np.degrees(Rotation.from_matrix(T[:3, :3]).magnitude()))
    return np.array(moved), np.array(turned)
