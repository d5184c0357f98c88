"""Value noise that fades out below the pixel footprint, the base of every surface texture.

Everything is a pure function of position and seed, so two cameras see the same pattern on a
surface: the property photometric learning needs.
"""

from __future__ import annotations

import math

from kdbts_ros.datasets.synthetic.compiled import kernel

_X, _Y, _Z, _S, _MIX = 374761393, 668265263, 1103515245, 974634777, 1274126177
_MASK = 0xFFFFFFFF


@kernel
def lattice_value(x: int, y: int, z: int, seed: int) -> float:
    """A pseudo-random value in [0, 1] of an integer lattice point."""
    h = (x * _X + y * _Y + z * _Z + seed * _S) & _MASK
    h = ((h ^ (h >> 13)) * _MIX) & _MASK
    h = h ^ (h >> 16)
    return float(h & 0xFFFF) / 65535.0


@kernel
def noise3(x: float, y: float, z: float, seed: int) -> float:
    """Smooth value noise in [0, 1] with a period of about one unit."""
    x0, y0, z0 = math.floor(x), math.floor(y), math.floor(z)
    i, j, k = int(x0), int(y0), int(z0)
    u, v, w = x - x0, y - y0, z - z0
    u = u * u * (3.0 - 2.0 * u)
    v = v * v * (3.0 - 2.0 * v)
    w = w * w * (3.0 - 2.0 * w)
    a = lattice_value(i, j, k, seed) * (1 - u) + lattice_value(i + 1, j, k, seed) * u
    b = lattice_value(i, j + 1, k, seed) * (1 - u) + lattice_value(i + 1, j + 1, k, seed) * u
    c = lattice_value(i, j, k + 1, seed) * (1 - u) + lattice_value(i + 1, j, k + 1, seed) * u
    d = lattice_value(i, j + 1, k + 1, seed) * (1 - u)
    d += lattice_value(i + 1, j + 1, k + 1, seed) * u
    return (a * (1 - v) + b * v) * (1 - w) + (c * (1 - v) + d * v) * w


@kernel
def noise2(x: float, y: float, seed: int) -> float:
    """Smooth value noise in [0, 1] over a plane."""
    x0, y0 = math.floor(x), math.floor(y)
    i, j = int(x0), int(y0)
    u, v = x - x0, y - y0
    u = u * u * (3.0 - 2.0 * u)
    v = v * v * (3.0 - 2.0 * v)
    a = lattice_value(i, j, 0, seed) * (1 - u) + lattice_value(i + 1, j, 0, seed) * u
    b = lattice_value(i, j + 1, 0, seed) * (1 - u) + lattice_value(i + 1, j + 1, 0, seed) * u
    return a * (1 - v) + b * v


@kernel
def fade(frequency: float, footprint: float) -> float:
    """Weight in [0, 1] of a pattern of `frequency` (1/m) seen with a pixel of `footprint` m.

    Nothing above half the sampling rate survives, so distant texture blurs instead of flickering.
    """
    return min(1.0, max(0.0, 1.5 - 2.0 * frequency * footprint))


@kernel
def grain2(x: float, y: float, frequency: float, footprint: float, seed: int) -> float:
    """Three octaves of plane noise, zero mean, in about [-0.5, 0.5]."""
    total = 0.0
    weight = 0.5
    for octave in range(3):
        f = fade(frequency, footprint)
        if f > 0.0:
            total += weight * f * (noise2(x * frequency, y * frequency, seed + octave) - 0.5)
        frequency *= 3.1
        weight *= 0.75
    return total


@kernel
def grain3(x: float, y: float, z: float, frequency: float, footprint: float, seed: int) -> float:
    """Three octaves of solid noise, zero mean, in about [-0.5, 0.5]."""
    total = 0.0
    weight = 0.5
    for octave in range(3):
        f = fade(frequency, footprint)
        if f > 0.0:
            value = noise3(x * frequency, y * frequency, z * frequency, seed + octave)
            total += weight * f * (value - 0.5)
        frequency *= 2.9
        weight *= 0.75
    return total


@kernel
def joint(u: float, period: float, width: float) -> float:
    """1 on the joints of a row of tiles of `period`, 0 on the tiles."""
    r = u / period
    r = (r - math.floor(r)) * period
    return 1.0 if r < width else 0.0
