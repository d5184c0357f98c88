"""Albedo of floors inside buildings, and of the concrete of halls and car parks."""

from __future__ import annotations

import math

from kdbts_ros.datasets.synthetic.compiled import kernel
from kdbts_ros.datasets.synthetic.textures import fade, grain2, joint, lattice_value, noise2

Colour = tuple[float, float, float]

# Ground materials inside; those of streets, in ground.py, have smaller numbers.
PARQUET, CARPET, TILED, CONCRETE, VINYL, TERRAZZO, COLOURED = range(20, 27)
FIRST_FLOOR = PARQUET


@kernel
def floor_albedo(
    material: int, tone: float, x: float, d: float, footprint: float, seed: int
) -> Colour:
    """Linear albedo at (x, d) m of a floor of mean albedo `tone`; footprint: size of a pixel, m."""
    broad = noise2(x * 0.4, d * 0.4, seed + 3) - 0.5
    if material == PARQUET:
        return _parquet(tone, x, d, footprint, seed, broad)
    if material == CARPET:
        return _carpet(tone, x, d, footprint, seed, broad)
    if material == TILED:
        return _tiled(tone, x, d, footprint, seed, broad)
    if material == CONCRETE:
        stain = noise2(x * 0.9, d * 0.9, seed + 5) - 0.5
        value = tone * (1.0 + 0.3 * broad + 0.25 * stain * abs(stain) * 4.0)
        value *= 1.0 + 0.35 * grain2(x, d, 2.5, footprint, seed)
        if (joint(x, 6.0, 0.02) > 0 or joint(d, 6.0, 0.02) > 0) and footprint < 0.05:
            value *= 0.6
        return value, value * 0.99, value * 0.96
    hue = lattice_value(seed, 3, 1, 9)
    if material == TERRAZZO:
        chips = (noise2(x * 40.0, d * 40.0, seed) - 0.5) * fade(40.0, footprint)
        value = tone * (1.0 + 1.2 * chips + 0.12 * broad)
        return value, value * (0.93 + 0.06 * hue), value * (0.86 + 0.12 * hue)
    value = tone * (1.0 + 0.1 * broad + 0.2 * grain2(x, d, 9.0, footprint, seed))
    if material == COLOURED:
        r, g, b = _tint(hue)
        return value * r, value * g, value * b
    return value, value * (0.95 + 0.05 * hue), value * (0.85 + 0.15 * hue)


@kernel
def _tint(hue: float) -> Colour:
    """A colour of mean 1 or so: the six of a wheel and what lies between them."""
    return (
        1.0 + 0.35 * math.cos(6.283 * hue),
        1.0 + 0.35 * math.cos(6.283 * (hue - 0.333)),
        1.0 + 0.35 * math.cos(6.283 * (hue - 0.667)),
    )


@kernel
def _parquet(tone: float, x: float, d: float, footprint: float, seed: int, broad: float) -> Colour:
    """Boards of 8 to 20 cm along x, each of its own tint, with grain along them."""
    width = 0.08 + 0.12 * lattice_value(seed, 1, 1, 9)
    length = 0.6 + 1.2 * lattice_value(seed, 2, 1, 9)
    row = math.floor(d / width)
    shifted = x + length * lattice_value(int(row), 5, 0, seed)
    board = int(math.floor(shifted / length))
    clear = fade(1.0 / width, footprint)
    tint = 0.45 * (lattice_value(board, int(row), 0, seed) - 0.5) * clear
    streak = (noise2(x * 3.0, d * 60.0, seed + 7) - 0.5) * fade(60.0, footprint)
    value = tone * (1.0 + tint + 0.5 * streak + 0.12 * broad)
    if joint(d, width, 0.004) > 0 or joint(shifted, length, 0.004) > 0:
        value *= 1.0 - 0.5 * fade(60.0, footprint)
    red = 0.7 + 0.25 * lattice_value(seed, 4, 1, 9)
    return value * 1.15, value * red, value * (red - 0.25)


@kernel
def _carpet(tone: float, x: float, d: float, footprint: float, seed: int, broad: float) -> Colour:
    """Fleck on one colour, now and then squares of two."""
    fleck = (noise2(x * 70.0, d * 70.0, seed) - 0.5) * fade(70.0, footprint)
    value = tone * (1.0 + 0.9 * fleck + 0.15 * broad + 0.3 * grain2(x, d, 4.0, footprint, seed))
    if lattice_value(seed, 5, 1, 9) < 0.3:
        square = lattice_value(int(math.floor(x / 0.5)), int(math.floor(d / 0.5)), 0, seed) - 0.5
        value *= 1.0 + 0.35 * square * fade(2.0, footprint)
    r, g, b = _tint(lattice_value(seed, 3, 1, 9))
    strength = lattice_value(seed, 6, 1, 9) ** 2
    return (
        value * (1 + strength * (r - 1)),
        value * (1 + strength * (g - 1)),
        value * (1 + strength * (b - 1)),
    )


@kernel
def _tiled(tone: float, x: float, d: float, footprint: float, seed: int, broad: float) -> Colour:
    """Tiles of 20 to 60 cm with joints; some floors alternate two tones."""
    size = 0.2 + 0.4 * lattice_value(seed, 1, 1, 9)
    i, j = int(math.floor(x / size)), int(math.floor(d / size))
    clear = fade(1.0 / size, footprint)
    value = tone * (1.0 + 0.12 * (lattice_value(i, j, 0, seed) - 0.5) * clear + 0.06 * broad)
    value *= 1.0 + 0.3 * grain2(x, d, 3.0, footprint, seed)
    if lattice_value(seed, 2, 1, 9) < 0.2 and (i + j) % 2 == 0:
        value *= 1.0 - 0.6 * clear
    gap = 0.006
    if joint(x, size, gap) > 0 or joint(d, size, gap) > 0:
        value *= 1.0 - 0.5 * fade(1.0 / (4.0 * gap), footprint)
    warm = lattice_value(seed, 4, 1, 9)
    return value, value * (0.96 + 0.03 * warm), value * (0.85 + 0.15 * warm)
