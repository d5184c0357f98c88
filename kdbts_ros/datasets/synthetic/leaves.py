"""Foliage: an ellipsoid whose skin is eaten away by noise, found by marching along the ray.

A crown of smooth balls teaches a network that trees are balls. The ragged solid below is as exact
as the others: a point belongs to it where its normalised radius is less than 1 minus the noise
there, and the same function decides occupancy and what a ray meets first.
"""

from __future__ import annotations

import math

from kdbts_ros.datasets.synthetic.compiled import kernel
from kdbts_ros.datasets.synthetic.primitives import (
    COS,
    CX,
    CY,
    CZ,
    FREQUENCY,
    HX,
    HY,
    HZ,
    PERIOD,
    SEED,
    SIN,
)
from kdbts_ros.datasets.synthetic.textures import noise3
from kdbts_ros.density.geometry.camera import Array

STEP = 0.14  # m between samples along a ray
STEPS = 16  # at most; large crowns take longer steps


@kernel
def leaf_density(p: Array, wx: float, wy: float, wz: float) -> float:
    """Positive inside the leaves of solid `p`, negative outside, in units of its half extents."""
    px, py, z = wx - p[CX], wy - p[CY], (wz - p[CZ]) / p[HZ]
    x = (p[COS] * px + p[SIN] * py) / p[HX]
    y = (p[COS] * py - p[SIN] * px) / p[HY]
    radius = math.sqrt(x * x + y * y + z * z)
    if radius >= 1.0:
        return 1.0 - radius - 1e-9
    if radius < 1.0 - p[PERIOD]:
        return float(1.0 - p[PERIOD] - radius + 1e-9)
    f, seed = p[FREQUENCY], int(p[SEED])
    coarse = noise3(wx * f, wy * f, wz * f, seed)
    f *= 2.8
    fine = noise3(wx * f, wy * f, wz * f, seed + 1)
    eaten = min(1.0, max(0.0, 1.5 * (0.6 * coarse + 0.4 * fine) - 0.25))
    return float(1.0 - p[PERIOD] * eaten - radius)


@kernel
def hit_leaves(
    p: Array, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float, limit: float
) -> float:
    """Parameter in (0, limit) where the ray first meets the leaves of `p`, -1 for a miss."""
    px, py, z = ox - p[CX], oy - p[CY], (oz - p[CZ]) / p[HZ]
    x, y = (p[COS] * px + p[SIN] * py) / p[HX], (p[COS] * py - p[SIN] * px) / p[HY]
    a, b = (p[COS] * dx + p[SIN] * dy) / p[HX], (p[COS] * dy - p[SIN] * dx) / p[HY]
    c = dz / p[HZ]
    q, half = a * a + b * b + c * c, x * a + y * b + z * c
    disc = half * half - q * (x * x + y * y + z * z - 1.0)
    if disc <= 0:
        return -1.0
    root = math.sqrt(disc)
    first, last = max(0.0, (-half - root) / q), min(limit, (-half + root) / q)
    if last <= first:
        return -1.0
    speed = math.sqrt(dx * dx + dy * dy + dz * dz)
    count = int(min(float(STEPS), (last - first) * speed / STEP)) + 2
    before = first
    for k in range(1, count):
        t = first + (last - first) * k / count
        if leaf_density(p, ox + t * dx, oy + t * dy, oz + t * dz) > 0:
            for _ in range(6):
                middle = 0.5 * (before + t)
                if leaf_density(p, ox + middle * dx, oy + middle * dy, oz + middle * dz) > 0:
                    t = middle
                else:
                    before = middle
            return t if t > 0 else -1.0
        before = t
    return -1.0
