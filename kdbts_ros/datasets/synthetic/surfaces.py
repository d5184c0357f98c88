"""Albedo of every material at a point of a solid."""

from __future__ import annotations

import math

from kdbts_ros.datasets.synthetic.compiled import kernel
from kdbts_ros.datasets.synthetic.indoor_surfaces import FIRST_INDOOR, indoor_albedo
from kdbts_ros.datasets.synthetic.primitives import (
    BARK,
    BLUE,
    BRICK,
    CAR_BODY,
    CAR_CABIN,
    CAR_SHOULDER,
    CONTRAST,
    COS,
    CX,
    CY,
    CZ,
    FACADE,
    FOLIAGE,
    FREQUENCY,
    FRONT,
    GREEN,
    HX,
    HY,
    HZ,
    MATERIAL,
    PERIOD,
    PLANKS,
    REAR,
    RED,
    SEED,
    SIGN,
    SIN,
    TILES,
    TOP,
    TYRE,
)
from kdbts_ros.datasets.synthetic.textures import grain3, joint, lattice_value, noise3
from kdbts_ros.density.geometry.camera import Array

Shade = tuple[float, float, float, float]


@kernel
def solid_albedo(p: Array, wx: float, wy: float, wz: float, face: int, footprint: float) -> Shade:
    """Linear albedo r, g, b and gloss (share of mirrored sky) of solid `p` at a world point.

    footprint: size of a pixel on the surface, m.
    """
    px, py, z = wx - p[CX], wy - p[CY], wz - p[CZ]
    x, y = p[COS] * px + p[SIN] * py, p[COS] * py - p[SIN] * px
    seed = int(p[SEED])
    grain = grain3(wx, wy, wz, p[FREQUENCY], footprint, seed)
    tone = max(0.05, 1.0 + 2.0 * p[CONTRAST] * grain)
    r, g, b = p[RED] * tone, p[GREEN] * tone, p[BLUE] * tone
    material = int(p[MATERIAL])
    if material >= FIRST_INDOOR:
        return indoor_albedo(p, x, y, z, wx, wy, wz, face, footprint, r, g, b)
    along = x if (face == 2 or face == 3) else y
    above = z + p[HZ]
    if material == FACADE and face < TOP:
        return _facade(p, along, above, seed, r, g, b)
    if material == FOLIAGE:
        leaf = grain3(wx, wy, wz, 6.0, footprint, 6)
        tone = max(0.2, 1.0 + 1.2 * leaf)
        r, g, b = r * tone, g * tone, b * tone
        # Leaves turn their sides: hue wanders with position as well as brightness.
        hue = noise3(wx * 1.3, wy * 1.3, wz * 1.3, 5) - 0.5
        return r * (1 + 0.35 * hue), g * (1 + 0.15 * hue), b, 0.0
    if material == CAR_BODY:
        return _car_body(p, x, y, above, face, r, g, b)
    if material == CAR_CABIN:
        return _car_cabin(p, x, along, above, face, r, g, b)
    if material == CAR_SHOULDER:
        if face == 1 and abs(y) > 0.68 * p[HY]:
            return 0.4, 0.02, 0.015, 0.1
        if face == 1 and above > 0.9 * p[HZ]:
            return 0.02, 0.02, 0.02, 0.2  # lower part of the rear window
        return r, g, b, 0.18
    if material == TYRE:
        radius = math.sqrt(x * x + z * z) / p[HX]
        if face < TOP and radius < 0.62:
            spoke = 0.5 + 0.5 * math.cos(5.0 * math.atan2(z, x))
            return p[RED] * spoke, p[GREEN] * spoke, p[BLUE] * spoke, 0.1
        return 0.02, 0.02, 0.022, 0.0
    if material == BRICK and face < TOP:
        return _bricks(p, along, above, footprint, r, g, b)
    if material == TILES and face != TOP:
        row = 0.8 if joint(above, 0.32, 0.09) > 0 and footprint < 0.12 else 1.0
        return r * row, g * row, b * row, 0.0
    if material == PLANKS and face < TOP:
        across = above if lattice_value(seed, 8, 0, 3) < 0.4 else along
        if joint(across, p[PERIOD], 0.12 * p[PERIOD]) > 0 and footprint < 0.5 * p[PERIOD]:
            return 0.35 * r, 0.35 * g, 0.35 * b, 0.0
        tint = 0.85 + 0.3 * lattice_value(int(math.floor(across / p[PERIOD])), 0, 0, seed)
        return r * tint, g * tint, b * tint, 0.0
    if material == SIGN and face < TOP:
        return _sign(p, along, z, seed, r, g, b)
    if material == BARK:
        ridge = 1.0 + 0.5 * grain3(wx * 3, wy * 3, wz * 0.5, 3.0, footprint, seed)
        return r * ridge, g * ridge, b * ridge, 0.0
    return r, g, b, 0.0


@kernel
def _facade(p: Array, along: float, above: float, seed: int, r: float, g: float, b: float) -> Shade:
    """Storeys of windows with frames, a plinth, and now and then a shop front or door."""
    period, storey = p[PERIOD], 2.7 + 0.6 * lattice_value(seed, 1, 0, 3)
    column, floor = math.floor(along / period), math.floor(above / storey)
    u, v = along - column * period, above - floor * storey
    style = lattice_value(int(column), int(floor), 0, seed)
    width = period * (0.3 + 0.35 * lattice_value(seed, 2, 0, 3))
    low = 0.9 - 0.5 * lattice_value(seed, 3, 0, 3)
    high = 2.25
    if floor == 0 and lattice_value(seed, 4, 0, 3) < 0.35:
        low, width = 0.15, period * 0.85  # shop front
    elif floor == 0 and style < 0.2:
        low, high, width = 0.05, 2.1, min(1.1, width)  # door
    left = 0.5 * (period - width)
    if lattice_value(seed, 5, 0, 3) < 0.25:  # a storage hall: bands of windows under the roof only
        inside = above > 2.0 * p[HZ] - 1.6 and above < 2.0 * p[HZ] - 0.7
    else:
        inside = left < u < left + width and low < v < high and above < 2.0 * p[HZ] - 0.3
    if inside:
        edge = min(min(u - left, left + width - u), min(v - low, high - v))
        if edge < 0.09:
            frame = 0.25 + 0.6 * lattice_value(seed, 6, 0, 3)
            return frame, frame, frame, 0.0
        glass = 0.02 + 0.12 * style * style
        if style > 0.85:
            return 0.5, 0.48, 0.44, 0.05  # curtain or shutter
        return glass, glass, glass * 1.1, 0.22
    if above < 0.6:
        return 0.6 * r, 0.6 * g, 0.6 * b, 0.0
    return r, g, b, 0.0


@kernel
def _car_body(
    p: Array, x: float, y: float, above: float, face: int, r: float, g: float, b: float
) -> Shade:
    """Paint with sill, door gaps, lights and number plates; +x is the front."""
    height = 2.0 * p[HZ]
    if above < 0.12 * height:
        return 0.015, 0.015, 0.017, 0.0
    side = abs(y) / p[HY]
    if face == 1:
        if side > 0.66 and above > 0.55 * height:
            return 0.45, 0.02, 0.015, 0.1
        if side < 0.3 and 0.35 * height < above < 0.52 * height:
            return 0.7, 0.7, 0.65, 0.0
    elif face == 0:
        if side > 0.62 and above > 0.6 * height:
            return 0.6, 0.6, 0.62, 0.3
        if side < 0.55 and 0.3 * height < above < 0.55 * height:
            return 0.02, 0.02, 0.02, 0.1
    elif face == 2 or face == 3:
        for gap in (-0.22, 0.22):
            if abs(x / p[HX] - gap) < 0.008:
                return 0.3 * r, 0.3 * g, 0.3 * b, 0.0
        if 0.66 * height < above < 0.7 * height:
            return 0.75 * r, 0.75 * g, 0.75 * b, 0.15
    return r, g, b, 0.18


@kernel
def _car_cabin(
    p: Array, x: float, along: float, above: float, face: int, r: float, g: float, b: float
) -> Shade:
    """Windows all round between pillars under a painted roof."""
    if face >= TOP:
        return r, g, b, 0.2
    height = 2.0 * p[HZ]
    pane = 0.08 * height < above < 0.84 * height
    if face == 2 or face == 3:
        top_share = above / height
        front = p[HX] - p[FRONT] * top_share - 0.12
        rear = -p[HX] + p[REAR] * top_share + 0.12
        pane = pane and rear < x < front and abs(x + 0.1 * p[HX]) > 0.045
    else:
        pane = pane and abs(along) < p[HY] - 0.16
    if pane:
        return 0.012, 0.014, 0.016, 0.22
    return r, g, b, 0.15


@kernel
def _bricks(
    p: Array, along: float, above: float, footprint: float, r: float, g: float, b: float
) -> Shade:
    """Courses of bricks or blocks; the period sets the block's length."""
    length = p[PERIOD]
    course = length * 0.4
    if footprint > course:
        return r, g, b, 0.0
    row = math.floor(above / course)
    shifted = along + 0.5 * length * (row - 2.0 * math.floor(row / 2.0))
    if joint(above, course, 0.1 * course) > 0 or joint(shifted, length, 0.05 * length) > 0:
        return 0.7 * r + 0.05, 0.7 * g + 0.05, 0.7 * b + 0.05, 0.0
    tint = 0.8 + 0.4 * lattice_value(int(math.floor(shifted / length)), int(row), 0, 11)
    return r * tint, g * tint, b * tint, 0.0


@kernel
def _sign(p: Array, along: float, z: float, seed: int, r: float, g: float, b: float) -> Shade:
    """A board with a border and rows of blocks that look like lettering from afar."""
    half = max(p[HX], p[HY])
    u, v = along / half, z / p[HZ]
    ink = 0.02 if lattice_value(seed, 7, 0, 3) < 0.6 else 0.8
    if max(abs(u), abs(v)) > 0.9:
        return ink, ink, ink, 0.0
    row = math.floor((v + 1.0) * 2.5)
    inside_row = abs((v + 1.0) * 2.5 - row - 0.5) < 0.28
    if inside_row and abs(u) < 0.75:
        letter = math.floor((u + 1.0) * 9.0)
        if lattice_value(int(letter), int(row), 1, seed) > 0.45:
            return ink, ink, ink, 0.0
    return r, g, b, 0.05
