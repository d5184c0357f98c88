"""The ground: a street along a gently curved centre line, kerbs, pavements and patches.

Street coordinates are (x, d): d is the distance to the left of the centre line. The road lies at
z = 0; everything beyond its edges is raised by the kerb, except on flat patches (side streets).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from kdbts_ros.datasets.synthetic.compiled import entry_point, kernel
from kdbts_ros.density.geometry.camera import Array

# Entries of the ground parameter vector.
(
    AMPLITUDE1, WAVE1, PHASE1, AMPLITUDE2, WAVE2, PHASE2, BASE,
    LEFT, RIGHT,  # half widths of the road to either side of the centre line, m
    KERB, PAVEMENT_LEFT, PAVEMENT_RIGHT,
    ROAD, PAVING, BEYOND_LEFT, BEYOND_RIGHT,  # materials
    MARKING, EDGE_LINE, DASH, WHITE,
    ROAD_TONE, PAVING_TONE, GRASS_TONE, GRASS_HUE, SEED, FLAT_PATCHES,
) = range(26)  # fmt: skip
PARAMETERS = 26

# Ground materials.
ASPHALT, COBBLES, SLABS, GRASS, SOIL, GRAVEL, PAINT = range(7)

# Columns of the patch table; flat patches come first.
P_X0, P_X1, P_D0, P_D1, P_MATERIAL, P_TONE = range(6)

FLOOR, KERB_FACE = 0, 1


@kernel
def centre_line(g: Array, x: float) -> float:
    """y of the street's centre line at x; 0 at x = 0."""
    y = g[AMPLITUDE1] * math.sin(x * g[WAVE1] + g[PHASE1])
    return float(y + g[AMPLITUDE2] * math.sin(x * g[WAVE2] + g[PHASE2]) - g[BASE])


@kernel
def heading(g: Array, x: float) -> float:
    """Slope dy/dx of the centre line."""
    y = g[AMPLITUDE1] * g[WAVE1] * math.cos(x * g[WAVE1] + g[PHASE1])
    return float(y + g[AMPLITUDE2] * g[WAVE2] * math.cos(x * g[WAVE2] + g[PHASE2]))


@kernel
def lateral(g: Array, x: float, y: float) -> float:
    """Signed distance d to the left of the centre line (first order in its curvature)."""
    slope = heading(g, x)
    return (y - centre_line(g, x)) / math.sqrt(1.0 + slope * slope)


@kernel
def raised(g: Array, patches: Array, x: float, y: float) -> bool:
    """Whether the ground at (x, y) lies at kerb height."""
    d = lateral(g, x, y)
    if -g[RIGHT] <= d <= g[LEFT]:
        return False
    for i in range(int(g[FLAT_PATCHES])):
        q = patches[i]
        if q[P_X0] <= x <= q[P_X1] and q[P_D0] <= d <= q[P_D1]:
            return False
    return True


@kernel
def hit_ground(
    g: Array, patches: Array, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> tuple[float, int]:
    """Parameter t > 0 where the ray meets the ground from above and FLOOR or KERB_FACE, else -1."""
    if dz >= -1e-9:
        return -1.0, FLOOR
    high, low = (g[KERB] - oz) / dz, -oz / dz
    if g[KERB] > 0.0 and high > 0.0 and raised(g, patches, ox + high * dx, oy + high * dy):
        return high, FLOOR
    if g[KERB] <= 0.0 or not raised(g, patches, ox + low * dx, oy + low * dy):
        return low, FLOOR
    before, after = max(high, 0.0), low
    for _ in range(24):
        middle = 0.5 * (before + after)
        if raised(g, patches, ox + middle * dx, oy + middle * dy):
            after = middle
        else:
            before = middle
    return after, KERB_FACE


def street_to_world(g: Array, x: float, d: float) -> tuple[float, float, float]:
    """World (x, y) of street coordinates, and the heading angle of the street there, rad."""
    angle = math.atan(heading(g, x))
    return x - math.sin(angle) * d, centre_line(g, x) + math.cos(angle) * d, angle


def ground_height(g: Array, patches: Array, x: float, y: float) -> float:
    """Height of the ground at a world position, m."""
    return float(g[KERB]) if _raised(g, patches, x, y) else 0.0


@entry_point
def _raised(stamp: str) -> Callable[..., bool]:
    def is_raised(g: Array, patches: Array, x: float, y: float) -> bool:
        return len(stamp) > 0 and raised(g, patches, x, y)

    return is_raised
