"""Offices."""

from __future__ import annotations

import math

import numpy as np

from kdbts_ros.datasets.synthetic.floors import (
    CARPET,
    CONCRETE,
    PARQUET,
    VINYL,
)
from kdbts_ros.datasets.synthetic.places import decor, machines, seats, storage
from kdbts_ros.datasets.synthetic.places.furnish import along_wall, choose_floor, in_lane
from kdbts_ros.datasets.synthetic.places.light import add_ceiling_lamps
from kdbts_ros.datasets.synthetic.places.place import BEHIND, Place
from kdbts_ros.datasets.synthetic.places.shell import (
    GLASS_DOOR,
    OPEN,
    PANE,
    SHUT,
    WINDOW,
    Opening,
    Wall,
    add_ceiling,
    add_pillars,
    add_room,
    build_wall,
    paint,
    plaster,
    row_of,
)
from kdbts_ros.datasets.synthetic.places.stand import any_colour


def office(rng: np.random.Generator, free_m: float) -> tuple[Place, float]:
    """Desks to both sides of an aisle, shelves, meeting rooms behind glass, plants, people."""
    place = Place(rng, free_m)
    gloss = choose_floor(place, (CARPET, CARPET, PARQUET, VINYL, CONCRETE))
    height = float(rng.uniform(2.4, 3.6))
    low, high = -float(rng.uniform(2.0, 7.0)), float(rng.uniform(2.0, 7.0))
    place.length_m = max(free_m, 2.5) + float(rng.choice([rng.uniform(1.5, 5), rng.uniform(5, 14)]))
    x, look = (-BEHIND - 1.0, place.length_m), plaster(rng, height)
    long = x[1] - x[0]
    size = float(rng.uniform(1.0, 2.4)), float(rng.uniform(0.3, 1.0)), min(height - 0.2, 2.4)
    windows = [
        row_of(rng, long, WINDOW, size, (0.2, 1.2)) if rng.random() < 0.6 else [] for _ in "ab"
    ]
    ahead = row_of(rng, high - low, int(rng.choice([WINDOW, PANE, SHUT, OPEN])), (1.0, 0.0, 2.1),
                   (0.3, 2.5))  # fmt: skip
    if any(hole.fill in (PANE, OPEN) for hole in ahead):
        _room_ahead(place, x[1], (low, high), height)
    add_room(place, x, (low, high), look, [windows[0], ahead, windows[1], []])
    add_ceiling(place, x, (low, high), height, (0.7, 0.7, 0.7))
    step = float(rng.uniform(1.8, 3.2))
    panel = (0.3, 0.3) if rng.random() < 0.5 else (0.75, 0.09)
    hang = float(rng.choice([0.0, 0.0, rng.uniform(0.2, 0.6)]))
    rows = np.arange(low + 1, high, step)
    add_ceiling_lamps(place, np.arange(x[0] + 1, x[1], step), rows, height, panel, hang)
    if rng.random() < 0.4:
        place_pillars = np.arange(1.0, x[1], float(rng.uniform(3.5, 6.0)))
        add_pillars(place, list(place_pillars), [low * 0.45, high * 0.45], 0.2, height, look.colour)
    for side, wall in ((-1, low), (1, high)):
        if rng.random() < 0.25 and abs(wall) > 3.5:
            _glass_rooms(place, x, side, wall, height)
        else:
            _desks(place, x, side, abs(wall))
        along_wall(place, x, side, wall)
    in_lane(place, (seats.add_office_chair, decor.add_figure, storage.add_carton, decor.add_bin,
                    machines.add_cart, decor.add_plant, machines.add_robot,
                    seats.add_stool))  # fmt: skip
    place.scatter(3, (0.5, x[1] - 0.5), (low + 0.5, high - 0.5), 1.2, decor.add_people)
    return place, gloss


def _room_ahead(place: Place, x: float, y: tuple[float, float], height: float) -> None:
    """What glass or a door in the wall ahead shows."""
    rng, deep = place.rng, float(place.rng.uniform(3.0, 6.0))
    look = plaster(rng, height)
    for ends in (((x, y[0]), (x + deep, y[0])), ((x + deep, y[0]), (x + deep, y[1])),
                 ((x + deep, y[1]), (x, y[1]))):  # fmt: skip
        build_wall(place, *ends, look)
    add_ceiling(place, (x, x + deep), y, height, (0.7, 0.7, 0.7))
    spot = place.stand(x + deep / 2, float(rng.uniform(y[0] + 1.5, y[1] - 1.5)), 0.0, place.turn())
    seats.add_dining(spot, rng)


def _desks(place: Place, x: tuple[float, float], side: int, reach: float) -> None:
    """Rows of desks, alone or face to face, with screens between them now and then."""
    rng = place.rng
    paired, screens = rng.random() < 0.6, rng.random() < 0.35
    pitch = float(rng.uniform(3.0, 3.8) if paired else rng.uniform(1.8, 2.6))
    panel = any_colour(rng, 0.05, 0.5)
    at = x[0] + 1.0
    while at < x[1] - 0.8:
        y = 0.75 + float(rng.uniform(0.75, 1.05))
        while y < reach - 0.7:
            if paired:
                for turn, shift in ((math.pi, -0.42), (0.0, 0.42)):
                    place.put(at + shift, side * y, 0.4, turn, seats.add_desk, True)
                if screens:
                    place.stand(at, side * y).box((0, 0, 0.7), (0.02, 0.75, 0.5), panel, 0)
            else:
                place.put(at, side * y, 0.6, math.pi, seats.add_desk, True)
            y += float(rng.uniform(1.65, 1.9))
        at += pitch


def _glass_rooms(
    place: Place, x: tuple[float, float], side: int, wall: float, height: float
) -> None:
    """Meeting rooms behind a glass front along the aisle."""
    rng, front = place.rng, float(place.rng.uniform(0.9, 1.6))
    look = Wall(height, 0.08, paint(rng))
    ends = ((x[0], -front), (x[1], -front)) if side < 0 else ((x[1], front), (x[0], front))
    holes, at, long = [], 0.2, x[1] - x[0]
    while at < long - 1.2:
        wide = float(rng.uniform(1.0, 2.6))
        fill = PANE if rng.random() < 0.7 else int(rng.choice([GLASS_DOOR, OPEN, SHUT]))
        wide = wide if fill == PANE else 0.95
        holes.append(Opening(at, wide, 0.03, min(height - 0.1, 2.5), fill))
        at += wide + float(rng.choice([0.05, 0.05, 1.0]))
    build_wall(place, *ends, look, holes)
    at = x[0] + 2.0
    while at < x[1]:
        build_wall(place, (at, min(side * front, wall)), (at, max(side * front, wall)), look)
        middle = at + 1.9, side * front + (wall - side * front) / 2
        place.put(*middle, 1.45, math.pi / 2, seats.add_dining)
        at += float(rng.uniform(3.6, 5.0))
