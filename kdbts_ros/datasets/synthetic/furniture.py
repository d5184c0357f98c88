"""Buildings, walls, fences, poles, signs and boxes along a street."""

from __future__ import annotations

import math

import numpy as np

from kdbts_ros.datasets.synthetic.primitives import (
    BOX,
    BRICK,
    CYLINDER,
    ELLIPSOID,
    FACADE,
    PLAIN,
    PLANKS,
    SIGN,
    TILES,
    Colour,
    PrimitiveTable,
)

Point = tuple[float, float, float]


def wall_colour(rng: np.random.Generator) -> Colour:
    """Plaster, brick and concrete."""
    kind = rng.random()
    if kind < 0.45:
        value = rng.uniform(0.35, 0.85)
        tint = [1.0, rng.uniform(0.9, 1.0), rng.uniform(0.75, 1.0)]
    elif kind < 0.65:
        value, tint = rng.uniform(0.12, 0.35), [1.0, 0.5, 0.35]
    elif kind < 0.9:
        value, tint = rng.uniform(0.06, 0.4), [1.0, 1.0, rng.uniform(0.95, 1.05)]
    else:
        value, tint = rng.uniform(0.2, 0.5), list(rng.uniform(0.3, 1.0, 3))
    return float(value * tint[0]), float(value * tint[1]), float(value * tint[2])


def add_building(
    table: PrimitiveTable, rng: np.random.Generator, at: Point, yaw: float,
    length: float, depth: float, height: float,
) -> None:  # fmt: skip
    """A house centred on `at`: `length` along the street, `depth` across, `height` to the eaves."""
    colour, sort = wall_colour(rng), rng.random()
    material = FACADE if sort < 0.75 else (BRICK if sort < 0.82 else PLANKS)
    table.add(
        BOX, (at[0], at[1], at[2] + height / 2), (length / 2, depth / 2, height / 2), yaw,
        material, colour, frequency=float(rng.uniform(0.3, 2.0)),
        contrast=float(rng.uniform(0.05, 0.35)), period=float(rng.uniform(1.6, 4.5)),
    )  # fmt: skip
    if rng.random() < 0.55 and height < 14:
        rise = float(rng.uniform(1.5, 4.5))
        tone = float(rng.uniform(0.5, 1.2))
        red = rng.random() < 0.6
        roof = (0.25 * tone, 0.08 * tone, 0.05 * tone) if red else (0.07 * tone,) * 3
        across = rng.random() < 0.25
        lean = (length / 2 * 0.98, length / 2 * 0.98, 0.0) if across else (0.0, 0.0, depth / 2)
        table.add(
            BOX, (at[0], at[1], at[2] + height + rise / 2),
            (length / 2 + 0.2, depth / 2 + 0.35, rise / 2), yaw, TILES, roof, taper=lean,
            frequency=1.0, contrast=0.25,
        )  # fmt: skip
    elif rng.random() < 0.5:
        table.add(
            BOX, (at[0], at[1], at[2] + height + 0.2), (length / 2 + 0.15, depth / 2 + 0.15, 0.2),
            yaw, PLAIN, wall_colour(rng),
        )  # fmt: skip


def add_house_parts(
    table: PrimitiveTable, rng: np.random.Generator, face: Point, yaw: float,
    length: float, height: float,
) -> None:  # fmt: skip
    """Balconies, a porch, a garage or stairs before the middle `face` of a house front."""
    sort = rng.random()
    if sort < 0.15:
        colour, storey = wall_colour(rng), float(rng.uniform(2.7, 3.1))
        columns = int(rng.integers(1, 4))
        for k in range(columns):
            along = (k - (columns - 1) / 2) * length / columns
            x, y = face[0] + math.cos(yaw) * along, face[1] + math.sin(yaw) * along
            for level in range(1, min(5, int(height / storey))):
                table.add(
                    BOX, (x, y, face[2] + level * storey + 0.4), (1.4, 0.9, 0.5), yaw, PLAIN, colour
                )
    elif sort < 0.4:
        half = (float(rng.uniform(0.8, 3.0)), float(rng.uniform(0.6, 2.5)))
        tall = min(height, float(rng.uniform(2.2, 3.0)))
        along = float(rng.uniform(-0.4, 0.4)) * length
        x, y = face[0] + math.cos(yaw) * along, face[1] + math.sin(yaw) * along
        material = (PLAIN, PLANKS, FACADE)[int(rng.integers(3))]
        table.add(
            BOX, (x, y, face[2] + tall / 2), (half[0], half[1], tall / 2), yaw, material,
            wall_colour(rng), period=float(rng.uniform(0.3, 2.5)),
        )  # fmt: skip


def add_wall(
    table: PrimitiveTable, rng: np.random.Generator, at: Point, yaw: float,
    length: float, height: float,
) -> None:  # fmt: skip
    """A garden wall, panel fence, or board fence of `length` along yaw."""
    sort = rng.random()
    material = PLAIN if sort < 0.35 else (BRICK if sort < 0.6 else PLANKS)
    wood = float(rng.uniform(0.05, 0.3))
    colour = wall_colour(rng) if material != PLANKS else (wood, 0.75 * wood, 0.55 * wood)
    table.add(
        BOX, (at[0], at[1], at[2] + height / 2), (length / 2, float(rng.uniform(0.04, 0.2)),
        height / 2), yaw, material, colour, frequency=float(rng.uniform(0.5, 3.0)),
        contrast=float(rng.uniform(0.1, 0.4)), period=float(rng.uniform(0.12, 0.8)),
    )  # fmt: skip


def add_rail_fence(
    table: PrimitiveTable, rng: np.random.Generator, at: Point, yaw: float,
    length: float, height: float,
) -> None:  # fmt: skip
    """Posts and two to four rails one can look through."""
    tone = float(rng.choice([rng.uniform(0.02, 0.08), rng.uniform(0.2, 0.6)]))
    colour = (tone, tone, tone)
    gap = float(rng.uniform(1.5, 3.0))
    for k in range(max(2, int(length / gap) + 1)):
        along = -length / 2 + k * gap
        x, y = at[0] + math.cos(yaw) * along, at[1] + math.sin(yaw) * along
        table.add(BOX, (x, y, at[2] + height / 2), (0.04, 0.04, height / 2), yaw, PLAIN, colour)
    for level in np.linspace(0.3, 0.97, int(rng.integers(2, 5))):
        table.add(
            BOX, (at[0], at[1], at[2] + height * float(level)), (length / 2, 0.025, 0.045), yaw,
            PLAIN, colour,
        )  # fmt: skip


def add_pole(table: PrimitiveTable, rng: np.random.Generator, at: Point, yaw: float) -> None:
    """A lamp post, traffic sign, mast or bollard."""
    tone = float(rng.uniform(0.08, 0.45))
    grey = (tone, tone, tone)
    sort = rng.random()
    if sort < 0.4:  # lamp post
        height, radius = float(rng.uniform(4.0, 9.0)), float(rng.uniform(0.05, 0.11))
        arm = float(rng.uniform(0.0, 1.2))
        table.add(
            BOX, (at[0] - math.sin(yaw) * arm / 2, at[1] + math.cos(yaw) * arm / 2, at[2] + height),
            (0.09, 0.25 + arm / 2, 0.05), yaw, PLAIN, grey,
        )  # fmt: skip
    elif sort < 0.8:  # traffic sign
        height, radius = float(rng.uniform(2.0, 3.0)), 0.035
        size = float(rng.uniform(0.22, 0.4))
        colours = [(0.6, 0.6, 0.6), (0.5, 0.02, 0.02), (0.02, 0.1, 0.5), (0.7, 0.5, 0.02)]
        board = colours[int(rng.integers(len(colours)))]
        table.add(
            BOX,
            (at[0] - math.cos(yaw) * 0.06, at[1] - math.sin(yaw) * 0.06, at[2] + height - size),
            (0.012, size, size * float(rng.uniform(0.8, 1.2))), yaw, SIGN, board,
        )  # fmt: skip
    elif sort < 0.9:  # mast
        height, radius = float(rng.uniform(6.0, 11.0)), float(rng.uniform(0.1, 0.18))
    else:  # bollard
        height, radius = float(rng.uniform(0.7, 1.1)), float(rng.uniform(0.05, 0.12))
    table.add(
        CYLINDER, (at[0], at[1], at[2] + height / 2), (radius, radius, height / 2), 0.0, PLAIN, grey
    )


def add_billboard(table: PrimitiveTable, rng: np.random.Generator, at: Point, yaw: float) -> None:
    """A large board on one or two posts."""
    width, tall = float(rng.uniform(0.6, 2.0)), float(rng.uniform(0.4, 1.3))
    low = float(rng.uniform(0.8, 4.0))
    board = tuple(float(c) for c in rng.choice([0.03, 0.3, 0.75], 3))
    table.add(
        BOX, (at[0], at[1], at[2] + low + tall), (0.08, width, tall), yaw, SIGN,
        (board[0], board[1], board[2]),
    )  # fmt: skip
    for across in (-0.6 * width, 0.6 * width):
        x, y = at[0] - math.sin(yaw) * across, at[1] + math.cos(yaw) * across
        table.add(
            CYLINDER, (x, y, at[2] + low / 2), (0.06, 0.06, low / 2), 0.0, PLAIN, (0.15, 0.15, 0.15)
        )


def add_small_box(table: PrimitiveTable, rng: np.random.Generator, at: Point, yaw: float) -> None:
    """A bin, switch cabinet, boulder or stack."""
    colour = wall_colour(rng)
    size = [float(s) for s in rng.uniform(0.2, 0.6, 3)]
    kind = ELLIPSOID if rng.random() < 0.25 else BOX
    table.add(
        kind, (at[0], at[1], at[2] + size[2]), (size[0], size[1], size[2]), yaw, PLAIN, colour,
        contrast=0.35,
    )  # fmt: skip
