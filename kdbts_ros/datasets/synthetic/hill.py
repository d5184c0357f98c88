"""A slope of the street: from one place along the world's x axis to another, level elsewhere.

Everything that stands on it is shifted upwards with it: (x, y, z) of the level street becomes
(x, y, z + rise(x)). Vertical things stay vertical. A ray of the world with the hill is, before that
shift, straight between the places where the slope changes, so that what it meets is exact. The sun
lights and shades the street as if it were level.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.compiled import kernel
from kdbts_ros.datasets.synthetic.primitives import corners
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.errors import UserError

# Entries of a hill as kernels take it.
BEGIN, END, SLOPE = range(3)
# No street is steeper: beyond this a shifted car is no longer like a tilted one.
STEEPEST = 0.2
# A slope that is there all along the street.
EVERYWHERE = (-1e4, 1e4)


class Hill(NamedTuple):
    """From x = begin to x = end, m, the ground rises by `slope` metres a metre; level: slope 0."""

    begin: float
    end: float
    slope: float

    def checked(self) -> Hill:
        """Itself.

        Raises:
            UserError: an end before its beginning, or a slope steeper than any street.
        """
        if not (self.begin <= self.end and abs(self.slope) <= STEEPEST):
            raise UserError(
                f"a hill needs begin <= end and a slope of {STEEPEST:g} at most, got {tuple(self)}"
            )
        return self

    def rise(self, x: npt.ArrayLike) -> Array:
        """(...) height of the street at x (...), m; 0 before its beginning.

        A slope everywhere has height 0 at x = 0.
        """
        start = 0.0 if self.everywhere else self.begin
        along = np.clip(np.asarray(x, np.float64), self.begin, self.end)
        return np.asarray(self.slope * (along - start))

    @property
    def everywhere(self) -> bool:
        """Whether the street has this one slope from end to end."""
        return (self.begin, self.end) == EVERYWHERE

    @property
    def array(self) -> Array:
        """(4,) as kernels take it: begin, end, slope, and where the height is 0."""
        start = 0.0 if self.everywhere else self.begin
        return np.array([self.begin, self.end, self.slope, start], np.float64)

    def on_it(self, T_world_base: Array) -> Array:
        """(4,4): a base that would stand upright on the level street, standing on the hill."""
        if self.slope == 0:
            return T_world_base
        x = float(T_world_base[0, 3])
        slope = self.slope if self.begin < x < self.end else 0.0
        ahead = np.array([*T_world_base[:2, 0], slope * T_world_base[0, 0]])
        up = np.array([-slope, 0.0, 1.0])
        ahead, up = ahead / np.linalg.norm(ahead), up / np.linalg.norm(up)
        T = np.array(T_world_base)
        T[:3, :3] = np.stack([ahead, np.cross(up, ahead), up], 1)
        T[2, 3] += float(self.rise(x))
        return T


LEVEL = Hill(0.0, 0.0, 0.0)


def hill_of(seed: int, share: float) -> Hill:
    """A hill for so many of the seeds, else `LEVEL`: up by 2 to 14 %, or, twice as often, down.

    A third of them are there all along the street; the others begin 4 to 25 m ahead of x = 0.
    Steeper ones than streets have are among them, since networks draw the steepest they have seen
    towards the middle; and a descent shows less of itself than a rise.
    """
    rng = np.random.default_rng([26, seed])
    if rng.random() >= share:
        return LEVEL
    slope = float(rng.uniform(0.02, 0.14) * rng.choice([-1.0, -1.0, 1.0]))
    if rng.random() < 1 / 3:
        return Hill(*EVERYWHERE, slope)
    begin = float(rng.uniform(4.0, 25.0))
    return Hill(begin, begin + float(rng.uniform(10.0, 60.0)), slope)


@kernel
def rise(h: Array, x: float) -> float:
    """Height of the street at x, m."""
    return float(h[SLOPE] * (min(max(x, h[BEGIN]), h[END]) - h[3]))


@kernel
def piece(h: Array, x: float, dx: float) -> tuple[float, float]:
    """Slope of the street where a ray at x goes on by dx, and the x where that changes."""
    slope, change = 0.0, math.inf
    if dx > 0.0:
        if x < h[BEGIN]:
            change = h[BEGIN]
        elif x < h[END]:
            slope, change = h[SLOPE], h[END]
    elif x > h[END]:
        change = h[END]
    elif x > h[BEGIN]:
        slope, change = h[SLOPE], h[BEGIN]
    return slope, change


@kernel
def lifted_corners(p: Array, h: Array) -> Array:
    """(8,3) corners of a box around solid `p` where it stands on the hill."""
    q = corners(p)
    if h[SLOPE] != 0.0:
        a, b = rise(h, q[:, 0].min()), rise(h, q[:, 0].max())
        for i in range(8):
            q[i, 2] += max(a, b) if i & 4 else min(a, b)
    return q
