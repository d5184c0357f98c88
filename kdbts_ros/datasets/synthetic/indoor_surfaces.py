"""Albedo of what stands in buildings, halls and yards."""

from __future__ import annotations

import math

from kdbts_ros.datasets.synthetic.compiled import kernel
from kdbts_ros.datasets.synthetic.primitives import (
    CONTRAST,
    HX,
    HY,
    HZ,
    MATERIAL,
    PERIOD,
    SEED,
    TOP,
)
from kdbts_ros.datasets.synthetic.textures import fade, grain3, joint, lattice_value, noise3
from kdbts_ros.density.geometry.camera import Array

Shade = tuple[float, float, float, float]

# Materials; those of streets, in primitives.py, have smaller numbers. GLASS and LAMP are what
# light goes through and comes from: the period of the first is 1 where day is behind it, its
# contrast the share of light it scatters; that of a LAMP is how bright it is.
(
    GLASS, LAMP, TIMBER, CLOTH, SHINY, SPINES, GOODS, CARTON, SCREEN, PANEL, PICTURE, HAZARD,
    BLINDS, GRILLE,
) = range(40, 54)  # fmt: skip
FIRST_INDOOR = GLASS


@kernel
def indoor_albedo(
    p: Array, x: float, y: float, z: float, wx: float, wy: float, wz: float,
    face: int, footprint: float, r: float, g: float, b: float,
) -> Shade:  # fmt: skip
    """Linear albedo r, g, b and gloss of a solid with one of these materials.

    x, y, z: the point in the solid's own axes, m; r, g, b: its colour with its grain.
    """
    material, seed = int(p[MATERIAL]), int(p[SEED])
    along = x if (face == 2 or face == 3) else y
    above = z + p[HZ]
    if material == TIMBER:
        u, v = (x, y) if face >= TOP else (along, z)
        if p[HX] < p[HY] and face >= TOP:
            u, v = v, u
        streak = noise3(u * 2.5, v * 45.0, 0.3, seed) - 0.5
        tone = (
            1.0 + 0.5 * streak * fade(45.0, footprint) + 0.2 * (noise3(u, v * 6, 0.1, seed) - 0.5)
        )
        return r * tone, g * tone, b * tone, 0.06
    if material == CLOTH:
        weave = grain3(wx, wy, wz, 28.0, footprint, seed)
        tone = max(0.3, 1.0 + 0.5 * weave)
        if (
            lattice_value(seed, 1, 2, 3) < 0.25
            and joint(above + along, p[PERIOD], 0.5 * p[PERIOD]) > 0
        ):
            tone *= 1.0 - 0.4 * fade(2.0 / p[PERIOD], footprint)
        return r * tone, g * tone, b * tone, 0.0
    if material == SHINY:
        return r, g, b, 0.35
    if material == SPINES:
        return _spines(p, along, above, face, footprint, seed)
    if material == GOODS:
        return _goods(p, along, above, face, footprint, seed)
    if material == CARTON:
        return _carton(p, along, above, x, face, footprint, seed, r, g, b)
    if material == SCREEN:
        return _screen(p, along, z, face, footprint, seed)
    if material == PANEL:
        return _panel(p, along, z, face, seed, r, g, b)
    if material == PICTURE:
        return _picture(p, along, z, face, footprint, seed, r, g, b)
    if material == HAZARD:
        if joint(along + z + (x if face >= TOP else 0.0), 0.3, 0.15) > 0:
            return 0.02, 0.02, 0.02, 0.05
        return r, g, b, 0.05
    if material == BLINDS:
        dark = 1.0 - 0.55 * joint(above, p[PERIOD], 0.3 * p[PERIOD]) * fade(
            1 / p[PERIOD], footprint
        )
        return r * dark, g * dark, b * dark, 0.0
    if material == GRILLE:
        clear = fade(1.0 / p[PERIOD], footprint)
        gap = joint(along, p[PERIOD], 0.6 * p[PERIOD]) * joint(above, p[PERIOD], 0.6 * p[PERIOD])
        dark = 1.0 - clear * 0.75 * gap - (1 - clear) * 0.27
        return r * dark, g * dark, b * dark, 0.1
    return r, g, b, 0.08


@kernel
def _hue(h: float, strength: float, value: float) -> Shade:
    """A colour of a wheel at h in [0, 1]."""
    return (
        value * (1.0 + strength * math.cos(6.283 * h)),
        value * (1.0 + strength * math.cos(6.283 * (h - 0.333))),
        value * (1.0 + strength * math.cos(6.283 * (h - 0.667))),
        0.04,
    )


@kernel
def _spines(p: Array, along: float, above: float, face: int, footprint: float, seed: int) -> Shade:
    """Books side by side: the solid is as high as the highest."""
    if face >= TOP or footprint > 0.06:
        tone = 0.22
        return tone, 0.9 * tone, 0.75 * tone, 0.0
    width = 0.022 + 0.03 * lattice_value(seed, 1, 2, 3)
    book = int(math.floor(along / width))
    high = 2.0 * p[HZ] * (0.72 + 0.28 * lattice_value(book, 2, 0, seed))
    if above > high:
        return 0.03, 0.03, 0.03, 0.0
    if joint(along, width, 0.002) > 0:
        return 0.03, 0.03, 0.03, 0.0
    value = 0.05 + 0.5 * lattice_value(book, 3, 0, seed) ** 2
    r, g, b, gloss = _hue(lattice_value(book, 4, 0, seed), 0.6, value)
    label = above / high
    if 0.6 < label < 0.8 and lattice_value(book, 5, 0, seed) < 0.5:
        return 0.7, 0.68, 0.6, 0.0
    return r, g, b, gloss


@kernel
def _goods(p: Array, along: float, above: float, face: int, footprint: float, seed: int) -> Shade:
    """A row of packets on a shop's shelf: groups of one colour, each packet with a label."""
    if face >= TOP:
        return 0.3, 0.3, 0.3, 0.0
    width = p[PERIOD]
    packet = int(math.floor(along / width))
    group = packet // (2 + int(4 * lattice_value(seed, 1, 2, 3)))
    value = 0.08 + 0.55 * lattice_value(group, 3, 0, seed)
    r, g, b, gloss = _hue(lattice_value(group, 4, 0, seed), 0.45, value)
    if joint(along, width, 0.08 * width) > 0:
        dark = 1.0 - 0.7 * fade(1.0 / width, footprint)
        return r * dark, g * dark, b * dark, gloss
    u, v = along / width - packet, above / (2.0 * p[HZ])
    if abs(u - 0.54) < 0.3 and abs(v - 0.6) < 0.18 and footprint < 0.5 * width:
        ink, _, _, _ = _hue(lattice_value(group, 6, 0, seed), 0.8, 0.5)
        return ink, 0.8 - 0.6 * lattice_value(group, 7, 0, seed), 0.7 * ink, gloss
    return r, g, b, gloss


@kernel
def _carton(
    p: Array, along: float, above: float, x: float, face: int, footprint: float, seed: int,
    r: float, g: float, b: float,
) -> Shade:  # fmt: skip
    """Cardboard with tape along its middle and a label."""
    if face >= TOP:
        if abs(x) < 0.03:
            return 0.45, 0.36, 0.22, 0.1
        return r, g, b, 0.0
    half = p[HY] if face < 2 else p[HX]
    if abs(along) < 0.03 and above > 1.5 * p[HZ]:
        return 0.45, 0.36, 0.22, 0.1
    u, v = along / half, above / (2.0 * p[HZ])
    if 0.2 < u < 0.75 and 0.35 < v < 0.65 and lattice_value(seed, face, 2, 3) < 0.6:
        line = joint(v, 0.06, 0.03) > 0 and lattice_value(int(v * 16), int(u * 20), 1, seed) > 0.4
        return (0.1, 0.1, 0.1, 0.0) if line and footprint < 0.01 else (0.75, 0.75, 0.72, 0.0)
    return r, g, b, 0.0


@kernel
def _screen(p: Array, along: float, z: float, face: int, footprint: float, seed: int) -> Shade:
    """A monitor: black behind and at its rim, black glass or windows of a desktop in front (+x)."""
    if face != 0:
        return 0.025, 0.025, 0.028, 0.08
    u, v = along / p[HY], z / p[HZ]
    if abs(u) > 0.96 or abs(v) > 0.93:
        return 0.015, 0.015, 0.015, 0.05
    if lattice_value(seed, 1, 2, 3) < 0.45:
        return 0.01, 0.01, 0.012, 0.3
    cell = lattice_value(int((u + 1) * 2.2), int((v + 1) * 1.7), 1, seed)
    bright = 0.15 + 1.1 * cell
    row = int((v + 1) * 18)
    if row % 2 == 0 and lattice_value(int((u + 1) * 24), row, 2, seed) > 0.5 and footprint < 0.02:
        bright *= 0.5
    return 0.9 * bright, 0.95 * bright, bright, 0.15


@kernel
def _panel(
    p: Array, along: float, z: float, face: int, seed: int, r: float, g: float, b: float
) -> Shade:
    """A door leaf or cabinet front: one or two panels let in, and a handle."""
    half = p[HY] if face < 2 else p[HX]
    u, v = along / half, z / p[HZ]
    if face >= TOP:
        return r, g, b, 0.05
    if abs(u - 0.82) < 0.07 and abs(v + 0.02) < 0.06:
        return 0.45, 0.45, 0.45, 0.3
    count = 1.0 + math.floor(2.9 * lattice_value(seed, 1, 2, 3))
    if count > 1.0:
        part = (v + 1.0) * 0.5 * count
        w = abs(part - math.floor(part) - 0.5)
        edge = max(abs(u) - 0.72, 1.6 * (w - 0.38))
        if abs(edge) < 0.03:
            return 0.65 * r, 0.65 * g, 0.65 * b, 0.05
    return r, g, b, 0.06


@kernel
def _picture(
    p: Array, along: float, z: float, face: int, footprint: float, seed: int,
    r: float, g: float, b: float,
) -> Shade:  # fmt: skip
    """A framed picture, poster or notice board, of noise."""
    half = p[HY] if face < 2 else p[HX]
    u, v = along / half, z / p[HZ]
    if face >= TOP or max(abs(u), abs(v)) > 0.93:
        return r, g, b, 0.05
    scale = 1.5 + 5.0 * lattice_value(seed, 1, 2, 3)
    a = noise3(u * scale, v * scale, 0.0, seed)
    c = noise3(u * scale * 2.3, v * scale * 2.3, 5.0, seed)
    value = 0.05 + 0.8 * a * c + 0.15 * p[CONTRAST]
    return _hue(lattice_value(seed, 2, 2, 3) + 0.6 * c, 0.4 * a, value)
