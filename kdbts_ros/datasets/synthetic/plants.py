"""Trees, bushes and hedges."""

from __future__ import annotations

import math

import numpy as np

from kdbts_ros.datasets.synthetic.primitives import (
    BARK,
    BOX,
    CYLINDER,
    FOLIAGE,
    LEAVES,
    Colour,
    PrimitiveTable,
)

Point = tuple[float, float, float]


def leaf_colour(rng: np.random.Generator, autumn: float = 0.06) -> Colour:
    """Dark green, sometimes yellow or brown."""
    tone = rng.uniform(0.3, 1.0)
    if rng.random() < autumn:
        r, g, b = np.array([0.22, 0.14, 0.03]) * tone
    else:
        r, g, b = np.array([rng.uniform(0.05, 0.13), rng.uniform(0.1, 0.17), 0.035]) * tone
    return float(r), float(g), float(b)


def _crown(
    table: PrimitiveTable, rng: np.random.Generator, centre: Point, half: Point, colour: Colour,
    clumps: int,
) -> None:  # fmt: skip
    """A ragged core and clumps of leaves on its skin."""
    table.add(
        LEAVES, centre, (0.9 * half[0], 0.9 * half[1], 0.9 * half[2]), 0.0, FOLIAGE, colour,
        frequency=float(rng.uniform(1.0, 2.2)), contrast=0.5, period=float(rng.uniform(0.4, 0.75)),
    )  # fmt: skip
    for _ in range(clumps):
        direction = rng.standard_normal(3)
        direction /= np.linalg.norm(direction) + 1e-9
        reach = rng.uniform(0.5, 0.95)
        size = rng.uniform(0.25, 0.5) * min(half[0], half[2])
        position = np.array(centre) + direction * reach * np.array(half)
        table.add(
            LEAVES, (float(position[0]), float(position[1]), float(position[2])),
            (float(size * rng.uniform(0.8, 1.5)), float(size * rng.uniform(0.8, 1.5)), float(size)),
            float(rng.uniform(0, math.pi)), FOLIAGE,
            (colour[0] * float(rng.uniform(0.75, 1.25)), colour[1] * float(rng.uniform(0.8, 1.2)),
             colour[2]),
            frequency=float(rng.uniform(1.5, 4.0)), contrast=0.5,
            period=float(rng.uniform(0.4, 0.7)),
        )  # fmt: skip


def add_tree(
    table: PrimitiveTable, rng: np.random.Generator, at: Point, height: float, clumps: int = 9
) -> None:
    """A tree with trunk, a few branches and a crown; `height` in m, `at` its foot."""
    trunk = height * float(rng.uniform(0.2, 0.42))
    radius = float(np.clip(0.02 * height * rng.uniform(0.6, 1.6), 0.05, 0.45))
    bark = float(rng.uniform(0.03, 0.14))
    table.add(
        CYLINDER, (at[0], at[1], at[2] + 0.6 * trunk), (radius, radius, 0.6 * trunk), 0.0, BARK,
        (bark, bark * 0.85, bark * 0.7), frequency=2.0, contrast=0.5,
    )  # fmt: skip
    crown = height - trunk
    slim = rng.random() < 0.15
    width = crown * float(rng.uniform(0.18, 0.28) if slim else rng.uniform(0.35, 0.62))
    middle = (at[0], at[1], at[2] + trunk + 0.5 * crown)
    _crown(table, rng, middle, (width, width, 0.55 * crown), leaf_colour(rng), clumps)


def add_bush(
    table: PrimitiveTable, rng: np.random.Generator, at: Point, size: float, clumps: int = 6
) -> None:
    """A rounded bush of half width `size` m standing on `at`."""
    tall = size * float(rng.uniform(0.5, 1.3))
    _crown(
        table, rng, (at[0], at[1], at[2] + 0.6 * tall), (size, size, tall),
        leaf_colour(rng, 0.2), clumps,
    )  # fmt: skip


def add_hedge(
    table: PrimitiveTable, rng: np.random.Generator, at: Point, length: float, yaw: float,
    height: float, width: float,
) -> None:  # fmt: skip
    """A hedge centred on `at`: a clipped block with leaves sticking out of it."""
    colour = leaf_colour(rng, 0.05)
    table.add(
        BOX, (at[0], at[1], at[2] + height / 2), (length / 2, width / 2, height / 2), yaw, FOLIAGE,
        colour, frequency=2.0, contrast=0.9,
    )  # fmt: skip
    for _ in range(int(min(length, 12.0) * rng.uniform(0.4, 1.2))):
        along = float(rng.uniform(-0.48, 0.48)) * length
        size = float(rng.uniform(0.2, 0.5)) * min(1.0, height)
        table.add(
            LEAVES,
            (at[0] + math.cos(yaw) * along, at[1] + math.sin(yaw) * along,
             at[2] + height * float(rng.uniform(0.5, 1.0))),
            (size * 1.3, width * 0.5 + 0.5 * size, size), yaw, FOLIAGE, colour,
            frequency=4.0, contrast=0.5, period=0.5,
        )  # fmt: skip
