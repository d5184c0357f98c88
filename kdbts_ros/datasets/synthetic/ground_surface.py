"""Albedo of the ground: carriageway with markings, kerbs, pavements, verges and patches."""

from __future__ import annotations

import math

from kdbts_ros.datasets.synthetic.compiled import kernel
from kdbts_ros.datasets.synthetic.floors import FIRST_FLOOR, floor_albedo
from kdbts_ros.datasets.synthetic.ground import (
    ASPHALT,
    BEYOND_LEFT,
    BEYOND_RIGHT,
    COBBLES,
    DASH,
    EDGE_LINE,
    GRASS,
    GRASS_HUE,
    GRASS_TONE,
    GRAVEL,
    KERB_FACE,
    LEFT,
    MARKING,
    P_D0,
    P_D1,
    P_MATERIAL,
    P_TONE,
    P_X0,
    P_X1,
    PAINT,
    PAVEMENT_LEFT,
    PAVEMENT_RIGHT,
    PAVING,
    PAVING_TONE,
    RIGHT,
    ROAD,
    ROAD_TONE,
    SEED,
    SLABS,
    SOIL,
    WHITE,
    lateral,
)
from kdbts_ros.datasets.synthetic.textures import fade, grain2, joint, lattice_value, noise2
from kdbts_ros.density.geometry.camera import Array

Colour = tuple[float, float, float]
KERB_WIDTH = 0.16  # m


@kernel
def ground_albedo(
    g: Array, patches: Array, x: float, y: float, kind: int, footprint: float
) -> Colour:
    """Linear albedo at world (x, y) on the ground; footprint: size of a pixel there, m."""
    d = lateral(g, x, y)
    material, tone, on_road = _zone(g, d)
    for i in range(len(patches)):
        q = patches[i]
        if q[P_X0] <= x <= q[P_X1] and q[P_D0] <= d <= q[P_D1]:
            material, tone, on_road = int(q[P_MATERIAL]), q[P_TONE], False
    seed = int(g[SEED])
    if kind == KERB_FACE:
        grain = grain2(x, y, 3.0, footprint, seed)
        value = 0.75 * g[PAVING_TONE] * (1.0 + 0.5 * grain)
        return value, value, value
    if on_road:
        white = _marking(g, x, d, seed, footprint)
        if white > 0:
            wear = 1.0 + 0.5 * grain2(x, y, 4.0, footprint, seed + 9)
            base = tone * (1 - white) + white * g[WHITE] * wear
            return base, base, base * 0.97
    return _material(g, material, tone, x, d, footprint, seed)


@kernel
def _zone(g: Array, d: float) -> tuple[int, float, bool]:
    """Material, tone, and whether it is the carriageway, at distance d from the centre line."""
    edge, pavement, beyond = g[LEFT], g[PAVEMENT_LEFT], g[BEYOND_LEFT]
    if d < 0:
        edge, pavement, beyond = g[RIGHT], g[PAVEMENT_RIGHT], g[BEYOND_RIGHT]
    a = abs(d)
    if a <= edge:
        return int(g[ROAD]), g[ROAD_TONE], True
    if a <= edge + KERB_WIDTH:
        return GRAVEL, 1.15 * g[PAVING_TONE], False
    if a <= edge + pavement:
        return int(g[PAVING]), g[PAVING_TONE], False
    return int(beyond), g[PAVING_TONE], False


@kernel
def _marking(g: Array, x: float, d: float, seed: int, footprint: float) -> float:
    """Coverage 0..1 by white paint: centre line (1 dashed, 2 solid), edge lines."""
    half = 0.06 + 0.02 * lattice_value(seed, 1, 0, 1)
    soft = 0.5 * min(footprint, 0.3) + 1e-6
    middle = 0.5 * (g[LEFT] - g[RIGHT])
    cover = 0.0
    if g[MARKING] > 0:
        dashed = g[MARKING] < 2
        if not dashed or joint(x, g[DASH], 0.45 * g[DASH]) > 0:
            cover = (half + soft - abs(d - middle)) / (2 * soft)
    if g[EDGE_LINE] > 0:
        offset = min(abs(d - g[LEFT] + g[EDGE_LINE]), abs(d + g[RIGHT] - g[EDGE_LINE]))
        cover = max(cover, (half + soft - offset) / (2 * soft))
    return min(1.0, max(0.0, cover)) * min(1.0, half / soft)


@kernel
def _material(
    g: Array, material: int, tone: float, x: float, d: float, footprint: float, seed: int
) -> Colour:
    """Colour of one ground material at street coordinates."""
    if material >= FIRST_FLOOR:
        return floor_albedo(material, tone, x, d, footprint, seed)
    broad = noise2(x * 0.23, d * 0.4, seed + 3) - 0.5
    if material == ASPHALT:
        fine = 1.4 * grain2(x, d, 5.0, footprint, seed) + 1.1 * fade(25.0, footprint) * (
            noise2(x * 25.0, d * 25.0, seed + 5) - 0.5
        )
        track = 0.06 * math.cos(d * 3.3)
        crack = abs(noise2(x * 0.7, d * 0.7, seed + 8) - 0.5)
        value = tone * (1.0 + 0.35 * fine + 0.25 * broad + track)
        if crack < 0.004 and footprint < 0.04 and seed % 3 == 0:
            value *= 0.7
        return value, value, value * 1.02
    if material == COBBLES or material == SLABS:
        size = 0.2 if material == COBBLES else 0.4
        row = math.floor(d / size)
        shifted = x + 0.5 * size * (row - 2 * math.floor(row / 2))
        tint = lattice_value(int(math.floor(shifted / size)), int(row), 0, seed) - 0.5
        clear = fade(1.0 / size, footprint)
        value = tone * (1.0 + 0.3 * tint * clear + 0.2 * broad)
        value *= 1.0 + 0.6 * grain2(x, d, 6.0, footprint, seed)
        if joint(d, size, 0.1 * size) > 0 or joint(shifted, size, 0.1 * size) > 0:
            value *= 1.0 - 0.35 * clear
        return value, value * 0.99, value * 0.95
    if material == PAINT:
        value = tone * (1.0 + 0.4 * grain2(x, d, 4.0, footprint, seed + 9))
        return value, value, value
    fine = grain2(x, d, 3.5, footprint, seed + 2)
    value = 1.0 + 1.5 * fine + 0.5 * broad
    if material == GRASS:
        value *= g[GRASS_TONE]
        dry = min(1.0, max(0.0, g[GRASS_HUE] + 0.8 * broad))
        return value * (0.55 + 0.5 * dry), value * (0.85 + 0.1 * dry), value * (0.3 + 0.15 * dry)
    if material == SOIL:
        return 0.16 * value, 0.12 * value, 0.085 * value
    grey = tone * (1.0 + 0.6 * fine + 0.2 * broad)
    return grey, grey * 0.98, grey * 0.93
