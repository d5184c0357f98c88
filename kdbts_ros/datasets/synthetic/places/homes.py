"""Living, dining and bedrooms."""

from __future__ import annotations

import math

import numpy as np

from kdbts_ros.datasets.synthetic.floors import (
    CARPET,
    PARQUET,
    TILED,
)
from kdbts_ros.datasets.synthetic.indoor_surfaces import CLOTH, LAMP
from kdbts_ros.datasets.synthetic.places import decor, machines, seats, storage
from kdbts_ros.datasets.synthetic.places.furnish import along_wall, choose_floor, hang, in_lane
from kdbts_ros.datasets.synthetic.places.light import add_bulb
from kdbts_ros.datasets.synthetic.places.place import BEHIND, Place
from kdbts_ros.datasets.synthetic.places.shell import (
    GAP,
    OPEN,
    SHUT,
    WINDOW,
    add_ceiling,
    add_room,
    build_wall,
    plaster,
    row_of,
)
from kdbts_ros.datasets.synthetic.places.stand import Stand, any_colour


def living(rng: np.random.Generator, free_m: float) -> tuple[Place, float]:
    """A living, dining or bedroom of 3.5 to 8 m, full of furniture, with a rug and lamps."""
    place = Place(rng, free_m)
    gloss = choose_floor(place, (PARQUET, PARQUET, PARQUET, CARPET, TILED))
    height = float(rng.uniform(2.3, 3.0))
    low, high = -float(rng.uniform(1.5, 3.8)), float(rng.uniform(1.5, 3.8))
    place.length_m = max(free_m + 0.8, float(rng.uniform(2.2, 6.5)))
    x, look = (-float(rng.uniform(1.2, BEHIND)), place.length_m), plaster(rng, height)
    sides = []
    for long in (x[1] - x[0], high - low, x[1] - x[0], high - low):
        fill = int(rng.choice([WINDOW, WINDOW, SHUT, OPEN, GAP]))
        deep = rng.random() < 0.3
        size = (float(rng.uniform(0.9, 2.2)), 0.05 if deep else 0.9, 2.15)
        size = size if fill == WINDOW else (0.9, 0.0, 2.05)
        sides.append(row_of(rng, long, fill, size, (0.8, 3.0)) if rng.random() < 0.75 else [])
    add_room(place, x, (low, high), look, sides)
    for k, hole in enumerate(sides):
        if any(h.fill in (OPEN, GAP) for h in hole):
            _next_room(place, x, (low, high), k, height)
    add_ceiling(place, x, (low, high), height, (0.7, 0.7, 0.7))
    centre = place.length_m / 2, (low + high) / 2
    add_bulb(place, *centre, height - 0.22, 1.0)
    place.stand(*centre, height - 0.22).ball((0, 0, 0.0), (0.16, 0.16, 0.1), (1.0, 0.9, 0.7), LAMP)
    place.stand(*centre, height - 0.1).box((0, 0, 0.05), (0.008, 0.008, 0.05), (0.1, 0.1, 0.1))
    if rng.random() < 0.6:
        half = rng.uniform(0.7, 1.4, 2)
        mid = float(rng.uniform(1.0, place.length_m)), float(rng.uniform(low, high)) * 0.5
        rug = (mid[0] - half[0], mid[0] + half[0]), (mid[1] - half[1], mid[1] + half[1])
        place.spot(*rug, CARPET, float(rng.uniform(0.05, 0.5)))
    _groups(place, x, (low, high))
    for side, wall in ((-1, low), (1, high)):
        along_wall(place, x, side, wall)
    _wall_ahead(place, x[1], (low, high))
    for _ in range(int(rng.integers(0, 3))):
        spot = float(rng.uniform(0.5, x[1] - 0.4)), float(rng.uniform(low + 0.4, high - 0.4))
        if place.is_free(*spot, 0.2):
            place.taken.append((*spot, 0.2))
            tall = decor.add_floor_lamp(place.stand(*spot), rng, float(rng.uniform(5, 15)))
            add_bulb(place, *spot, tall, 0.3)
    place.scatter(6, (0.4, x[1] - 0.3), (low + 0.3, high - 0.3), 0.2, decor.add_clutter)
    place.scatter(2, (0.8, x[1] - 0.3), (low + 0.4, high - 0.4), 0.35, decor.add_figure)
    in_lane(place, (seats.add_chair, seats.add_stool, decor.add_clutter, decor.add_figure,
                     machines.add_robot, decor.add_plant))  # fmt: skip
    return place, gloss


def _next_room(
    place: Place, x: tuple[float, float], y: tuple[float, float], wall: int, height: float
) -> None:
    """A dim room behind the openings of a wall: those at y0, x1, y1 and x0, in turn."""
    look = plaster(place.rng, height)
    deep = 2.5
    areas = [
        (x, (y[0] - deep, y[0])), ((x[1], x[1] + deep), y), (x, (y[1], y[1] + deep)),
        ((x[0] - deep, x[0]), y),
    ]  # fmt: skip
    (x0, x1), (y0, y1) = areas[wall]
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    # The side towards the room is its own wall, with the openings.
    shared = [2, 3, 0, 1][wall]
    for k in range(4):
        if k != shared:
            build_wall(place, corners[k], corners[(k + 1) % 4], look)
    add_ceiling(place, (x0, x1), (y0, y1), height, (0.7, 0.7, 0.7))


def _groups(place: Place, x: tuple[float, float], y: tuple[float, float]) -> None:
    """A seating group, a dining table, a bed or desk, where there is room for them."""
    rng = place.rng

    def somewhere(margin: float) -> tuple[float, float]:
        side = float(rng.choice([-1, 1]))
        wall = y[0] if side < 0 else y[1]
        across = side * float(rng.uniform(0.6, max(0.7, abs(wall) - margin)))
        ahead = float(rng.uniform(0.6, max(0.8, x[1] - margin)))
        return ahead, across

    turns = (0.0, math.pi / 2, math.pi, -math.pi / 2)
    for _ in range(24):
        sort, turn = rng.random(), float(rng.choice(turns)) + float(rng.normal(0, 0.05))
        if sort < 0.3:
            count = int(rng.integers(2, 4))
            place.put(*somewhere(0.6), 0.12 + 0.4 * count, turn, seats.add_sofa, count)
        elif sort < 0.45:
            place.put(*somewhere(0.6), 0.6, turn, seats.add_sofa, 1)
        elif sort < 0.65:
            place.put(*somewhere(0.6), 0.5, turn, _coffee_table)
        elif sort < 0.8:
            place.put(*somewhere(0.9), 1.4, turn, seats.add_dining)
        elif sort < 0.87:
            place.put(*somewhere(0.9), 1.15, turn, seats.add_desk)
        elif sort < 0.93:
            place.put(*somewhere(1.1), 1.15, turn, seats.add_bed)
        else:
            place.put(*somewhere(0.4), 0.3, turn, seats.add_stool)


def _coffee_table(here: Stand, rng: np.random.Generator) -> None:
    half, height = (float(rng.uniform(0.25, 0.35)), float(rng.uniform(0.35, 0.6))), 0.42
    seats.add_table(here, rng, half, height)
    seats.add_on_table(here, rng, half, height, int(rng.integers(0, 4)))


def _wall_ahead(place: Place, x: float, y: tuple[float, float]) -> None:
    """A television, sofa, shelf, bed, curtain or picture at the wall that closes the view."""
    rng = place.rng
    for across in np.arange(y[0] + 0.8, y[1] - 0.6, 1.6):
        sort, half = rng.random(), float(rng.uniform(0.4, 0.75))
        at = (x - 0.42, float(across))
        if sort < 0.2:
            place.put(*at, 0.6, math.pi, decor.add_television)
        elif sort < 0.4:
            place.put(x - 0.6, at[1], 0.9, math.pi, seats.add_sofa, 2)
        elif sort < 0.6:
            place.put(*at, half, math.pi, storage.add_bookshelf, half, float(rng.uniform(0.8, 2.1)))
        elif sort < 0.75:
            place.put(*at, half, math.pi, storage.add_cupboard, half, float(rng.uniform(0.7, 1.9)))
        elif sort < 0.85:
            hang(place, x - 0.15, at[1], math.pi)
        elif sort < 0.93:
            cloth = any_colour(rng, 0.1, 0.7)
            place.stand(x - 0.2, at[1], 0.0, math.pi).box(
                (0, 0, 1.2), (0.04, half, 1.15), cloth, CLOTH
            )
        else:
            place.put(*at, 0.3, 0.0, decor.add_coat_stand)
