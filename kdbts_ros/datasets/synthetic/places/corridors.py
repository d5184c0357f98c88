"""Corridors."""

from __future__ import annotations

import math

import numpy as np

from kdbts_ros.datasets.synthetic.floors import (
    CARPET,
    CONCRETE,
    PARQUET,
    TERRAZZO,
    TILED,
    VINYL,
)
from kdbts_ros.datasets.synthetic.places import decor, machines, seats, storage
from kdbts_ros.datasets.synthetic.places.furnish import choose_floor, hang, in_lane
from kdbts_ros.datasets.synthetic.places.light import add_ceiling_lamps
from kdbts_ros.datasets.synthetic.places.place import BEHIND, Place
from kdbts_ros.datasets.synthetic.places.shell import (
    GAP,
    GLASS_DOOR,
    OPEN,
    PANE,
    SHUT,
    WINDOW,
    Opening,
    add_ceiling,
    add_room,
    build_wall,
    paint,
    plaster,
    row_of,
)


def corridor(rng: np.random.Generator, free_m: float) -> tuple[Place, float]:
    """A corridor of 1.5 to 3.5 m with doors, glass, niches, and things along its walls."""
    place = Place(rng, free_m)
    gloss = choose_floor(place, (VINYL, TILED, TERRAZZO, CARPET, PARQUET, CONCRETE))
    wide, height = float(rng.uniform(1.5, 3.5)), float(rng.uniform(2.3, 3.4))
    shift = float(rng.uniform(-0.5, 0.5)) * (wide - 1.4)
    sides = shift - wide / 2, shift + wide / 2
    place.length_m = max(free_m, 3.0) + float(rng.choice([rng.uniform(1, 6), rng.uniform(6, 30)]))
    back, end, look = -BEHIND - 1.0, place.length_m, plaster(rng, height)
    fills = [int(f) for f in rng.choice([SHUT, SHUT, OPEN, PANE, GAP, WINDOW], 2)]
    rows = [_side(rng, end - back, fill, height) for fill in fills]
    far = [Opening(wide / 2 - 0.5, 1.0, 0.0, 2.1, int(rng.choice([SHUT, GLASS_DOOR, WINDOW, GAP])))]
    if far[0].fill == WINDOW or rng.random() < 0.2:
        far = [Opening(0.25, wide - 0.5, 0.9, height - 0.4, WINDOW)]
    rear = [Opening(wide / 2 - 0.5, 1.0, 0.0, 2.1, SHUT)]
    add_room(place, (back, end), sides, look, [rows[0], far, rows[1], rear])
    for row, side in zip(rows, (-1, 1), strict=True):
        if any(hole.fill in (OPEN, GAP, PANE) for hole in row):
            _beyond_the_wall(place, (back, end), side, sides[0] if side < 0 else sides[1], height)
    add_ceiling(place, (back, end), sides, height, paint(rng) if rng.random() < 0.3 else (0.7,) * 3)
    gap = float(rng.uniform(1.8, 4.0))
    add_ceiling_lamps(
        place, np.arange(back + 0.8, end, gap), np.array([shift]), height,
        (float(rng.uniform(0.1, 0.6)), float(rng.uniform(0.06, 0.3))),
    )  # fmt: skip
    _along_walls(place, (back, end), sides)
    in_lane(place, (decor.add_figure, machines.add_cart, storage.add_carton, decor.add_wet_sign,
                     seats.add_chair, machines.add_robot, decor.add_bin))  # fmt: skip
    return place, gloss


def _side(rng: np.random.Generator, length: float, fill: int, height: float) -> list[Opening]:
    """The openings of one side of a corridor."""
    if fill == WINDOW:
        size = float(rng.uniform(0.8, 2.0)), float(rng.uniform(0.5, 1.0)), min(height - 0.2, 2.3)
        return row_of(rng, length, fill, size, (0.5, 2.0))
    if fill == PANE:
        return row_of(rng, length, fill, (float(rng.uniform(1.5, 3.5)), 0.05, 2.2), (0.3, 3.0))
    size = float(rng.uniform(0.85, 1.1)), 0.0, float(rng.uniform(2.0, 2.2))
    doors = row_of(rng, length, fill, size, (1.5, 5.0))
    # Of a row of doors some stand open.
    return [
        Opening(
            d.start, d.width, d.low, d.high, OPEN if fill == SHUT and rng.random() < 0.15 else fill
        )
        for d in doors
    ]


def _beyond_the_wall(
    place: Place, x: tuple[float, float], side: int, wall: float, height: float
) -> None:
    """The rooms that open doors show: a back wall, a ceiling, furniture."""
    rng, deep = place.rng, float(place.rng.uniform(3.0, 5.0))
    y = wall + side * deep
    look = plaster(rng, height)
    ends = ((x[0], y), (x[1], y)) if side < 0 else ((x[1], y), (x[0], y))
    holes = (
        row_of(rng, x[1] - x[0], WINDOW, (1.4, 0.9, 2.1), (0.8, 2.0)) if rng.random() < 0.5 else []
    )
    build_wall(place, *ends, look, holes)
    between = (wall, y) if side > 0 else (y, wall)
    add_ceiling(place, x, between, height, (0.7, 0.7, 0.7))
    at = x[0]
    while at < x[1]:
        build_wall(place, (at, between[0]), (at, between[1]), look)
        at += float(rng.uniform(3.0, 6.0))
    for k in np.arange(x[0] + 1.5, min(x[1], 14.0), 3.0):
        spot = place.stand(
            float(k), wall + side * float(rng.uniform(1.2, deep - 0.8)), 0.0, place.turn()
        )
        (seats.add_desk if rng.random() < 0.6 else seats.add_dining)(spot, rng)


def _along_walls(place: Place, x: tuple[float, float], sides: tuple[float, float]) -> None:
    """Benches, shelves, plants, extinguishers, bins, boxes and pictures along both walls."""
    rng = place.rng
    for side, wall in zip((-1, 1), sides, strict=True):
        at = x[0] + float(rng.uniform(0.5, 3.0))
        yaw = math.pi / 2 if side < 0 else -math.pi / 2
        while at < x[1] - 0.5:
            sort = rng.random()
            if sort < 0.25:
                hang(place, at, wall - side * 0.13, yaw)
            elif sort < 0.4:
                place.put(at, wall - side * 0.35, 0.3, yaw, decor.add_plant)
            elif sort < 0.5:
                place.put(at, wall - side * 0.25, 0.12, yaw, decor.add_extinguisher)
            elif sort < 0.6:
                place.put(at, wall - side * 0.4, 0.4, yaw, storage.add_cupboard, 0.45,
                          float(rng.uniform(0.8, 1.9)))  # fmt: skip
            elif sort < 0.7:
                place.put(at, wall - side * 0.3, 0.25, yaw, decor.add_bin)
            elif sort < 0.8:
                place.put(at, wall - side * 0.42, 0.35, yaw, seats.add_chair)
            elif sort < 0.87:
                place.put(at, wall - side * 0.4, 0.35, yaw, storage.add_carton)
            elif sort < 0.94:
                place.put(at, wall - side * 0.4, 0.3, yaw, decor.add_figure)
            else:
                place.put(at, wall - side * 0.18, 0.1, yaw, decor.add_radiator)
            at += float(rng.uniform(0.7, 4.0))
