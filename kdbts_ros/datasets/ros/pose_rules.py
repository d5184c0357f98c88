"""What makes a transform usable, and a pose between two: one set of rules, live and in recordings.

docs/conventions.md says them in words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from kdbts_ros.errors import UserError

NO_TF = "no_tf"
TOO_OLD = "too_old"
EXTRAPOLATION = "extrapolation"
DISCONNECTED = "disconnected"
LOOP = "loop"
TWO_PARENTS = "two_parents"
TF_GAP = "tf_gap"
POSE_JUMP = "pose_jump"
BAD_TRANSFORM = "bad_transform"
NON_UNIT_QUATERNION = "non_unit_quaternion"

REASONS = frozenset(
    {
        NO_TF,
        TOO_OLD,
        EXTRAPOLATION,
        DISCONNECTED,
        LOOP,
        TWO_PARENTS,
        TF_GAP,
        POSE_JUMP,
        BAD_TRANSFORM,
        NON_UNIT_QUATERNION,
    }
)

# tf2 accepts |q|^2 within 0.01 of one and refuses the rest.
QUATERNION_TOLERANCE = 1e-2
# Beyond the largest coordinates in use (UTM northings, distances from the centre of the earth).
FARTHEST_M = 1e7
# A live edge whose stamps step back by more than this has begun a new epoch (a bag loop).
REGRESSION_NS = 1_000_000_000
# What poses may jitter by, beside what the speed allows.
MARGIN_M, MARGIN_RAD = 0.5, 0.35
# No camera that sees anything turns faster, rad/s.
FASTEST_TURN = 20.0


@dataclass(frozen=True)
class Rules:
    """Bounds on what is interpolated.

    max_gap: s between two transforms; a robot can do anything meanwhile. max_speed: m/s.
    """

    max_gap: float = 1.0
    max_speed: float = 40.0


class NoPose(Exception):
    """No pose at a stamp: `reason` is one of `REASONS`, `detail` one sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Refused(UserError):
    """A transform that cannot be used, in one sentence; `reason` is one of `REASONS`."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class Sample(NamedTuple):
    """Pose of a child in `parent` at a stamp: metres, and a unit quaternion x, y, z, w.

    rival: another pose that was given for the same instant.
    """

    stamp_ns: int
    parent: str
    translation: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]
    rival: Sample | None = None


def frame_name(name: str) -> str:
    """A frame's name without the leading slash of tf's first version."""
    return name.lstrip("/")


def image_frame(image_frame_id: str, info_frame_id: str) -> str:
    """The optical frame of an image: the one it names; only where it names none, its camera_info's.

    The message leaves it undefined which of two holds; drivers copy, forget and remap the one of
    camera_info more often.
    """
    return image_frame_id or info_frame_id


def read_sample(
    parent: str,
    child: str,
    stamp_ns: int,
    translation: tuple[float, float, float],
    quaternion: tuple[float, float, float, float],
) -> Sample:
    """The sample of a transform, its quaternion normalised; frames have no leading slash.

    Raises:
        Refused: empty or equal frame names, values not finite, a position beyond `FARTHEST_M`, a
            quaternion that is not of unit length.
    """
    edge = f"transform {parent} -> {child}"
    if not parent or not child or parent == child:
        raise Refused(BAD_TRANSFORM, f"{edge} needs two different frame names")
    if not all(map(math.isfinite, (*translation, *quaternion))):
        raise Refused(BAD_TRANSFORM, f"{edge} contains NaN or infinity")
    farthest = max(map(abs, translation))
    if farthest > FARTHEST_M:
        raise Refused(BAD_TRANSFORM, f"{edge} is {farthest:.3g} m long, more than {FARTHEST_M:g}")
    length = math.hypot(*quaternion)
    if not abs(length * length - 1) <= QUATERNION_TOLERANCE:
        raise Refused(NON_UNIT_QUATERNION, f"{edge} has a quaternion of length {length:.3f}, not 1")
    x, y, z, w = quaternion
    unit = (x / length, y / length, z / length, w / length)
    return Sample(stamp_ns, parent, translation, unit)


def jump_between(a: Sample, b: Sample, max_speed: float) -> str:
    """How far b is from a, in words, where nothing moves or turns so fast; empty where it may."""
    seconds = abs(b.stamp_ns - a.stamp_ns) / 1e9
    distance = math.dist(a.translation, b.translation)
    if distance > MARGIN_M + max_speed * seconds:
        return f"{distance:.1f} m"
    cosine = abs(sum(p * q for p, q in zip(a.quaternion, b.quaternion, strict=True)))
    turn = 2 * math.acos(min(cosine, 1.0))
    if turn > MARGIN_RAD + FASTEST_TURN * seconds:
        return f"{math.degrees(turn):.0f} degrees"
    return ""


def beyond_all_maps(x: float, y: float, z: float) -> bool:
    """Whether no robot can be at a position: not finite, or absurdly far away."""
    return not all(math.isfinite(value) and abs(value) <= FARTHEST_M for value in (x, y, z))
