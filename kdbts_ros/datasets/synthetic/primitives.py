"""The solids of the world: one row of a table each, with exact intersection and inside tests.

A few convex kinds are enough for a street. `BOX` may taper towards its top (gable roofs, car
cabins); `CYLINDER` stands, `WHEEL` lies along its local y axis; `ELLIPSOID` makes heads and
boulders, `LEAVES` is the ellipsoid around ragged foliage (leaves.py). Every solid turns about the
vertical axis only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from kdbts_ros.datasets.synthetic.compiled import kernel
from kdbts_ros.density.geometry.camera import Array

BOX, CYLINDER, ELLIPSOID, WHEEL, LEAVES = 0, 1, 2, 3, 4

# Columns of the primitive table.
KIND, CX, CY, CZ, HX, HY, HZ, COS, SIN = range(9)
FRONT, REAR, SIDE = 9, 10, 11  # how far the +x, -x and both y faces lean in at the top, m
MATERIAL, RED, GREEN, BLUE, FREQUENCY, CONTRAST, SEED, PERIOD = range(12, 20)
COLUMNS = 20

# Surface materials.
PLAIN, FACADE, FOLIAGE, CAR_BODY, CAR_CABIN, BRICK, BARK, TYRE, SIGN, TILES, PLANKS = range(11)
CAR_SHOULDER = 11

# Faces reported by `intersect`: 0..3 are +x, -x, +y, -y, 4 the top, 5 the bottom, 6 a curved one.
TOP, BOTTOM, CURVED = 4, 5, 6

Colour = tuple[float, float, float]


@dataclass
class PrimitiveTable:
    """Collects solids; `array()` is the (N, COLUMNS) table the kernels read."""

    rows: list[list[float]] = field(default_factory=list)

    def add(
        self,
        kind: int,
        centre: tuple[float, float, float],
        half: tuple[float, float, float],
        yaw: float,
        material: int,
        colour: Colour,
        *,
        taper: tuple[float, float, float] = (0.0, 0.0, 0.0),
        frequency: float = 2.0,
        contrast: float = 0.15,
        period: float = 3.0,
    ) -> None:
        """Add a solid.

        Args:
            kind: BOX, CYLINDER, ELLIPSOID, WHEEL or LEAVES.
            centre: world position of its centre, m.
            half: half extents along its own x, y, z, m (a CYLINDER's radius is half[0], a WHEEL's
                radius half[0] and half width half[1]).
            yaw: turn about the vertical axis, rad.
            material: what its surface looks like.
            colour: linear albedo, 0..1.
            taper: how far the front, rear and side faces of a BOX lean in at its top, m.
            frequency: of the coarsest texture octave, 1/m.
            contrast: of that texture, 0..1.
            period: of the material's pattern (window distance, plank width), m; for LEAVES the
                depth to which noise eats into them, as a share of the half extents.
        """
        self.rows.append(
            [
                *(kind, *centre, *half, math.cos(yaw), math.sin(yaw), *taper, material, *colour),
                *(frequency, contrast, 17.0 * len(self.rows) + 3.0, period),
            ]
        )

    def array(self) -> Array:
        """(N, COLUMNS) float64."""
        return np.array(self.rows, np.float64).reshape(-1, COLUMNS)


@kernel
def _plane(value: float, rate: float, near: float, far: float) -> tuple[float, float, int]:
    """Clip [near, far] to the half space value + rate * t <= 0; side 1: new near, 2: empty."""
    if abs(rate) < 1e-12:
        return near, far, (2 if value > 0 else 0)
    t = -value / rate
    if rate < 0:
        return (t, far, 1) if t > near else (near, far, 0)
    return (near, t, 0) if t < far else (near, far, 0)


@kernel
def _hit_box(
    p: Array, x: float, y: float, z: float, a: float, b: float, c: float
) -> tuple[float, int]:
    """Entry parameter and face of a ray in box coordinates, (-1, 0) for a miss."""
    height = 2.0 * p[HZ]
    front, rear, side = p[FRONT] / height, p[REAR] / height, p[SIDE] / height
    s = z + p[HZ]
    near, far, face = -1e30, 1e30, 0
    for k in range(6):
        if k == 4:
            value, rate = z - p[HZ], c
        elif k == 5:
            value, rate = -z - p[HZ], -c
        elif k == 0:
            value, rate = x - p[HX] + front * s, a + front * c
        elif k == 1:
            value, rate = -x - p[HX] + rear * s, -a + rear * c
        elif k == 2:
            value, rate = y - p[HY] + side * s, b + side * c
        else:
            value, rate = -y - p[HY] + side * s, -b + side * c
        near, far, changed = _plane(value, rate, near, far)
        if changed == 2 or near >= far:
            return -1.0, 0
        if changed == 1:
            face = k
    return near, face


@kernel
def _hit_round(
    x: float, y: float, a: float, b: float, r: float, z: float, c: float, h: float
) -> tuple[float, int]:
    """Entry into a capped cylinder of radius r about the third axis, half height h."""
    near, far = -1e30, 1e30
    q = a * a + b * b
    m = x * x + y * y - r * r
    if q < 1e-14:
        if m > 0:
            return -1.0, 0
    else:
        half = x * a + y * b
        disc = half * half - q * m
        if disc <= 0:
            return -1.0, 0
        root = math.sqrt(disc)
        near, far = (-half - root) / q, (-half + root) / q
    face = CURVED
    if abs(c) < 1e-12:
        if abs(z) > h:
            return -1.0, 0
    else:
        t0, t1 = (-h - z) / c, (h - z) / c
        cap = BOTTOM if c > 0 else TOP
        if t0 > t1:
            t0, t1 = t1, t0
        if t0 > near:
            near, face = t0, cap
        far = min(far, t1)
    if near >= far:
        return -1.0, 0
    return near, face


@kernel
def intersect(
    p: Array, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> tuple[float, int]:
    """Parameter t > 0 where the ray o + t d enters solid `p`, and its face; (-1, 0) for a miss.

    A ray that starts inside misses: cameras and surface points lie outside solids. Of LEAVES this
    is the hull.
    """
    px, py, z = ox - p[CX], oy - p[CY], oz - p[CZ]
    x, y = p[COS] * px + p[SIN] * py, p[COS] * py - p[SIN] * px
    a, b = p[COS] * dx + p[SIN] * dy, p[COS] * dy - p[SIN] * dx
    if p[KIND] == BOX:
        t, face = _hit_box(p, x, y, z, a, b, dz)
    elif p[KIND] == CYLINDER:
        t, face = _hit_round(x, y, a, b, p[HX], z, dz, p[HZ])
    elif p[KIND] == WHEEL:
        t, face = _hit_round(x, z, a, dz, p[HX], y, b, p[HY])
        if face != CURVED:
            face = 3 if face == BOTTOM else 2
    else:
        x, y, z = x / p[HX], y / p[HY], z / p[HZ]
        a, b, c = a / p[HX], b / p[HY], dz / p[HZ]
        q, half = a * a + b * b + c * c, x * a + y * b + z * c
        disc = half * half - q * (x * x + y * y + z * z - 1.0)
        if disc <= 0:
            return -1.0, 0
        t, face = (-half - math.sqrt(disc)) / q, CURVED
    if t <= 0:
        return -1.0, 0
    return t, face


@kernel
def normal(p: Array, wx: float, wy: float, wz: float, face: int) -> tuple[float, float, float]:
    """Outward unit normal in the world at a surface point of solid `p`."""
    px, py, z = wx - p[CX], wy - p[CY], wz - p[CZ]
    x, y = p[COS] * px + p[SIN] * py, p[COS] * py - p[SIN] * px
    n0, n1, n2 = 0.0, 0.0, 0.0
    lean = 0.5 / p[HZ]
    if face == TOP:
        n2 = 1.0
    elif face == BOTTOM:
        n2 = -1.0
    elif face == 0:
        n0, n2 = 1.0, p[FRONT] * lean
    elif face == 1:
        n0, n2 = -1.0, p[REAR] * lean
    elif face == 2:
        n1, n2 = 1.0, p[SIDE] * lean
    elif face == 3:
        n1, n2 = -1.0, p[SIDE] * lean
    elif p[KIND] == CYLINDER:
        n0, n1 = x, y
    elif p[KIND] == WHEEL:
        n0, n2 = x, z
    else:
        n0, n1, n2 = x / (p[HX] * p[HX]), y / (p[HY] * p[HY]), z / (p[HZ] * p[HZ])
    length = math.sqrt(n0 * n0 + n1 * n1 + n2 * n2) + 1e-12
    n0, n1, n2 = n0 / length, n1 / length, n2 / length
    return p[COS] * n0 - p[SIN] * n1, p[SIN] * n0 + p[COS] * n1, n2


@kernel
def contains(p: Array, wx: float, wy: float, wz: float) -> bool:
    """Whether a world point lies strictly inside solid `p` (of LEAVES: inside their hull)."""
    px, py, z = wx - p[CX], wy - p[CY], wz - p[CZ]
    if abs(z) >= p[HZ]:
        return False
    x, y = p[COS] * px + p[SIN] * py, p[COS] * py - p[SIN] * px
    if p[KIND] == BOX:
        s = (z + p[HZ]) / (2.0 * p[HZ])
        inside_x = -p[HX] + p[REAR] * s < x < p[HX] - p[FRONT] * s
        return bool(inside_x and abs(y) < p[HY] - p[SIDE] * s)
    if p[KIND] == CYLINDER:
        return bool(x * x + y * y < p[HX] * p[HX])
    if p[KIND] == WHEEL:
        return bool(x * x + z * z < p[HX] * p[HX] and abs(y) < p[HY])
    return bool((x / p[HX]) ** 2 + (y / p[HY]) ** 2 + (z / p[HZ]) ** 2 < 1.0)


@kernel
def corners(p: Array) -> Array:
    """(8,3) world corners of the solid's bounding box; corner i uses bits x=1, y=2, z=4 of i."""
    out = np.empty((8, 3))
    for i in range(8):
        x = p[HX] if i & 1 else -p[HX]
        y = p[HY] if i & 2 else -p[HY]
        out[i, 0] = p[CX] + p[COS] * x - p[SIN] * y
        out[i, 1] = p[CY] + p[SIN] * x + p[COS] * y
        out[i, 2] = p[CZ] + (p[HZ] if i & 4 else -p[HZ])
    return out
