"""Light, sky and camera response of one world, shared by all its images."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.compiled import kernel
from kdbts_ros.datasets.synthetic.textures import noise2
from kdbts_ros.density.geometry.camera import Array

Floats = npt.NDArray[np.float32]

# Entries of the appearance vector.
(
    SUN_X, SUN_Y, SUN_Z, SUN, SUN_WARMTH,
    AMBIENT, AMBIENT_BLUE,
    ZENITH_R, ZENITH_G, ZENITH_B, HORIZON_R, HORIZON_G, HORIZON_B, CLOUDS, CLOUD_SEED,
    HAZE, LEAF_GAPS, LEAF_SCALE, GLOW,
    EXPOSURE, BALANCE_R, BALANCE_B, GAMMA, TOE, NOISE, VIGNETTE,
    SATURATION, SHARPNESS,
) = range(28)  # fmt: skip
PARAMETERS = 28


def random_appearance(rng: np.random.Generator) -> Array:
    """(PARAMETERS,) light and camera response: three quarters sunny days, the rest overcast."""
    a = np.zeros(PARAMETERS)
    azimuth, elevation = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(18, 62))
    a[SUN_X] = math.cos(elevation) * math.cos(azimuth)
    a[SUN_Y] = math.cos(elevation) * math.sin(azimuth)
    a[SUN_Z] = math.sin(elevation)
    sunny = rng.random() < 0.75
    a[SUN] = rng.uniform(2.0, 4.5) if sunny else rng.uniform(0.0, 0.5) * (rng.random() < 0.5)
    a[SUN_WARMTH] = rng.uniform(0.0, 0.15)
    a[AMBIENT] = rng.uniform(0.2, 0.8) if sunny else rng.uniform(1.2, 2.0)
    a[AMBIENT_BLUE] = rng.uniform(0.0, 0.4) if sunny else rng.uniform(-0.03, 0.08)
    bright = rng.uniform(0.8, 4.0)
    blue = rng.uniform(0.25, 0.75) if sunny else rng.uniform(0.9, 1.0)
    a[ZENITH_R : ZENITH_B + 1] = bright * np.array([blue * rng.uniform(0.6, 1), blue, 1.0])
    if not sunny:
        a[ZENITH_R : ZENITH_B + 1] = bright * rng.uniform(0.9, 1.0, 3)
    a[HORIZON_R : HORIZON_B + 1] = bright * rng.uniform(1.0, 1.8) * rng.uniform(0.93, 1.0, 3)
    a[CLOUDS], a[CLOUD_SEED] = rng.uniform(0.0, 1.0), rng.integers(1, 10000)
    a[HAZE] = 1.0 / rng.uniform(150, 1500)
    a[LEAF_GAPS], a[LEAF_SCALE] = rng.uniform(0.35, 0.6), rng.uniform(1.5, 4.0)
    a[GLOW] = rng.uniform(0.0, 2.0) * sunny
    # Exposure by the brightness the sunlit road is to have, as an automatic exposure would.
    road = rng.uniform(0.10, 0.38)
    a[EXPOSURE] = road / (0.17 * (a[SUN] * a[SUN_Z] + a[AMBIENT]))
    a[BALANCE_R], a[BALANCE_B] = 1 + 0.07 * rng.standard_normal(2)
    a[GAMMA], a[TOE] = rng.uniform(1.4, 2.4), rng.uniform(0.0, 0.035)
    a[NOISE], a[VIGNETTE] = rng.uniform(0.0, 0.02), rng.uniform(0.0, 0.25)
    a[SATURATION], a[SHARPNESS] = rng.uniform(0.8, 1.8), rng.uniform(0.0, 1.2)
    return a


@kernel
def sky(a: Array, dx: float, dy: float, dz: float) -> tuple[float, float, float]:
    """Linear radiance of the sky along a unit direction."""
    up = min(1.0, max(0.0, dz))
    blend = 1.0 - math.exp(-4.0 * up)
    r = a[HORIZON_R] + (a[ZENITH_R] - a[HORIZON_R]) * blend
    g = a[HORIZON_G] + (a[ZENITH_G] - a[HORIZON_G]) * blend
    b = a[HORIZON_B] + (a[ZENITH_B] - a[HORIZON_B]) * blend
    if dz > 0.01:
        u, v = 2.0 * dx / (dz + 0.15), 2.0 * dy / (dz + 0.15)
        seed = int(a[CLOUD_SEED])
        n = 0.6 * noise2(u, v, seed) + 0.4 * noise2(u * 2.7, v * 2.7, seed + 1)
        cover = min(1.0, max(0.0, (n - 1.0 + a[CLOUDS]) * 3.0))
        white = 1.1 * a[HORIZON_G]
        r, g, b = r + (white - r) * cover, g + (white - g) * cover, b + (white - b) * cover
    facing = max(0.0, dx * a[SUN_X] + dy * a[SUN_Y] + dz * a[SUN_Z])
    glow = 1.0 + a[GLOW] * facing**8
    return r * glow, g * glow, b * glow


def develop(a: Array, linear: Floats, seed: list[int]) -> npt.NDArray[np.uint8]:
    """(H,W,3) linear radiance to uint8: colour, exposure, tone, sharpness, noise."""
    height, width = linear.shape[:2]
    u = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    v = (np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1
    fall = 1 - np.float32(a[VIGNETTE]) * 0.5 * (u[None, :] ** 2 + 0.3 * v[:, None] ** 2)
    gain = np.array([a[BALANCE_R], 1.0, a[BALANCE_B]], np.float32) * np.float32(a[EXPOSURE])
    x = linear * fall[..., None] * gain
    x = np.clip((x - np.float32(a[TOE])) / np.float32(1 - a[TOE]), 0, 1)
    x **= np.float32(1 / a[GAMMA])
    grey = x.mean(-1, keepdims=True)
    x = grey + (x - grey) * np.float32(a[SATURATION])
    # Cameras sharpen; the difference to the four neighbours is what such filters add.
    around = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="edge")
    mean = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
    x += np.float32(a[SHARPNESS]) * np.float32(0.5) * (x - np.float32(0.25) * mean)
    if a[NOISE] > 0:
        rng = np.random.default_rng(seed)
        x += rng.standard_normal(x.shape, np.float32) * np.float32(a[NOISE])
    image: npt.NDArray[np.uint8] = (np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)
    return image
