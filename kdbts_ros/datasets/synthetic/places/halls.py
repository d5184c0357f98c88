"""Halls: warehouse aisles, shop floors and underground car parks."""

from __future__ import annotations

import math

import numpy as np

from kdbts_ros.datasets.synthetic.floors import COLOURED, CONCRETE, PARQUET, TILED, VINYL
from kdbts_ros.datasets.synthetic.ground import PAINT
from kdbts_ros.datasets.synthetic.indoor_surfaces import HAZARD, PICTURE
from kdbts_ros.datasets.synthetic.places import decor, machines, storage
from kdbts_ros.datasets.synthetic.places.furnish import choose_floor, in_lane
from kdbts_ros.datasets.synthetic.places.light import add_ceiling_lamps
from kdbts_ros.datasets.synthetic.places.place import BEHIND, Place
from kdbts_ros.datasets.synthetic.places.shell import (
    GLASS_DOOR,
    PANE,
    ROLLER,
    SHUT,
    WINDOW,
    Wall,
    add_ceiling,
    add_pillars,
    add_room,
    row_of,
)
from kdbts_ros.datasets.synthetic.places.stand import Stand, any_colour, grey, pick
from kdbts_ros.datasets.synthetic.primitives import PLAIN, PLANKS
from kdbts_ros.datasets.synthetic.vehicles import add_car, add_van


def warehouse(rng: np.random.Generator, free_m: float) -> tuple[Place, float]:
    """An aisle of 2.2 to 5 m between pallet racks, goods on the floor, forklifts, dock doors."""
    place = Place(rng, free_m)
    gloss = choose_floor(place, (CONCRETE, CONCRETE, COLOURED, VINYL))
    height, aisle = float(rng.uniform(5.0, 10.0)), float(rng.uniform(2.2, 5.0))
    shift = float(rng.uniform(-0.4, 0.4)) * (aisle - 1.6)
    low, high = shift - aisle / 2, shift + aisle / 2
    place.length_m = max(free_m, 4.0) + float(rng.uniform(4.0, 28.0))
    x = (-BEHIND - 2.0, place.length_m)
    wide = (low - float(rng.uniform(2.0, 9.0)), high + float(rng.uniform(2.0, 9.0)))
    cladding = PLANKS if rng.random() < 0.5 else PLAIN
    look = Wall(height, 0.25, grey(rng, 0.25, 0.7), cladding, 0.06, 1.0)
    ahead = row_of(rng, wide[1] - wide[0], int(rng.choice([ROLLER, SHUT, WINDOW])), (2.6, 0.0, 3.0),
                   (0.8, 3.0))  # fmt: skip
    light = row_of(rng, x[1] - x[0], WINDOW, (2.5, height - 1.6, height - 0.5), (0.5, 3.0))
    light = light if rng.random() < 0.4 else []
    add_room(place, x, wide, look, [light, ahead, light, []])
    add_ceiling(place, x, wide, height, grey(rng, 0.2, 0.6))
    for k in np.arange(x[0] + 2, x[1], 5.0):
        beam = place.stand(float(k), (wide[0] + wide[1]) / 2, height)
        beam.box((0, 0, -0.2), (0.1, (wide[1] - wide[0]) / 2, 0.2), grey(rng, 0.2, 0.5))
    add_ceiling_lamps(place, np.arange(x[0] + 1, x[1], float(rng.uniform(3.0, 5.0))),
                      np.array([shift, low - 1.8, high + 1.8]), height, (0.5, 0.12),
                      float(rng.choice([0.5, 1.2])))  # fmt: skip
    for side, edge in ((-1, low), (1, high)):
        _goods_beside(place, x, side, edge, height)
    if rng.random() < 0.6:
        tone = 0.5
        for edge in (low + 0.15, high - 0.15):
            place.spot((x[0], x[1]), (edge - 0.05, edge + 0.05), PAINT, tone)
    in_lane(place, (storage.add_carton, storage.add_crates, decor.add_figure, storage.add_barrel,
                    machines.add_hand_truck, machines.add_trolley, decor.add_wet_sign))  # fmt: skip
    if rng.random() < 0.35:
        place.in_the_way(0.75, storage.add_load, 1.3)
    if rng.random() < 0.35 and aisle > 2.8:
        ahead_x = free_m + float(rng.uniform(2.1, 8.0))
        yaw = float(rng.choice([0.0, math.pi, rng.uniform(0, 6)]))
        place.put(ahead_x, shift, 2.0, yaw, machines.add_forklift)
    return place, gloss


def _goods_beside(
    place: Place, x: tuple[float, float], side: int, edge: float, height: float
) -> None:
    """Racks along an aisle, or pallets and machines on the floor."""
    rng = place.rng
    if rng.random() < 0.75:
        bays = max(1, int((x[1] - x[0] - 1.0) / 2.7))
        first = float(rng.uniform(1.2, 2.0))
        levels = [float(z) for z in np.arange(first, min(height - 1.6, 5.5), rng.uniform(1.4, 2.0))]
        middle = x[0] + 0.5 + bays * 1.35
        storage.add_rack(place.stand(middle, edge + side * 0.62), rng, bays, levels)
        place.taken += [(float(k), edge + side * 0.62, 0.6) for k in np.arange(x[0], x[1], 0.9)]
        return
    at = x[0] + 0.8
    while at < x[1] - 0.8:
        y, turn = edge + side * float(rng.uniform(0.7, 1.6)), float(rng.normal(0, 0.1))
        sort = rng.random()
        if sort < 0.55:
            place.put(at, y, 0.72, turn, storage.add_load, float(rng.uniform(0.6, 1.9)))
        elif sort < 0.65:
            place.put(at, y, 0.3, turn, storage.add_barrel)
        elif sort < 0.75:
            place.put(at, y, 0.35, turn, storage.add_crates)
        elif sort < 0.85:
            place.put(at, y, 0.6, turn, machines.add_trolley)
        elif sort < 0.92:
            place.put(at, y, 0.8, turn, machines.add_pallet_jack)
        else:
            place.put(at, y + side * 0.8, 2.0, place.turn(), machines.add_forklift)
        at += float(rng.uniform(1.2, 2.6))


def shop(rng: np.random.Generator, free_m: float) -> tuple[Place, float]:
    """Aisles between shelves of goods, displays, counters, people with trolleys, a glass front."""
    place = Place(rng, free_m)
    gloss = choose_floor(place, (TILED, VINYL, VINYL, PARQUET, CONCRETE))
    height, aisle = float(rng.uniform(2.7, 4.5)), float(rng.uniform(1.7, 3.2))
    shift = float(rng.uniform(-0.4, 0.4)) * (aisle - 1.5)
    place.length_m = max(free_m, 3.0) + float(rng.uniform(3.0, 16.0))
    x, wide = (-BEHIND - 1.0, place.length_m), float(rng.uniform(4.5, 9.0))
    look = Wall(height, 0.2, grey(rng, 0.4, 0.75), PLAIN, 0.04)
    fill = int(rng.choice([SHUT, PANE, GLASS_DOOR, WINDOW]))
    ahead = row_of(rng, 2 * wide, fill, (2.0, 0.02, 2.6), (0.1, 2.0))
    add_room(place, x, (-wide, wide), look, [[], ahead, [], []])
    if any(hole.fill in (PANE, GLASS_DOOR) for hole in ahead):
        add_ceiling(place, (x[1], x[1] + 5), (-wide, wide), height, (0.6, 0.6, 0.6))
        add_room(place, (x[1], x[1] + 5), (-wide, wide), look, [[], [], [], ahead])
    add_ceiling(place, x, (-wide, wide), height, grey(rng, 0.1, 0.8))
    step = float(rng.uniform(2.0, 3.5))
    rows = shift + np.array([-3.0, 0.0, 3.0])
    panel = (0.7, 0.08) if rng.random() < 0.6 else (0.3, 0.3)
    hang = float(rng.choice([0.0, 0.6]))
    add_ceiling_lamps(place, np.arange(x[0] + 1, x[1], step), rows, height, panel, hang)
    tall = float(rng.uniform(1.2, 2.2))
    for side in (-1, 1):
        y = shift + side * (aisle / 2 + 0.5)
        while abs(y) < wide - 0.6:
            at = x[0] + 0.5
            while at < x[1] - 1.5:
                half = float(rng.uniform(0.9, 2.4))
                if at + 2 * half > x[1] - 0.8:
                    break
                if rng.random() < 0.9:
                    storage.add_gondola(place.stand(at + half, y), rng, half, tall)
                    marks = np.arange(at, at + 2 * half, 0.6)
                    place.taken += [(float(k), y, 0.5) for k in marks]
                at += 2 * half + float(rng.choice([0.0, 0.0, rng.uniform(1.0, 2.0)]))
            y += side * float(rng.uniform(2.2, 3.4))
    for _ in range(int(rng.integers(1, 5))):
        at, across = (
            float(rng.uniform(1.0, x[1] - 1.0)),
            shift + float(rng.uniform(-0.5, 0.5)) * aisle,
        )
        place.put(at, across, 0.4, place.turn(), _display)
    for k in np.arange(2.0, x[1], 3.0):
        if rng.random() < 0.3:
            sign = place.stand(float(k), shift, 0.0, 0.0)
            sign.box((0, 0, height - 0.5), (0.02, 0.6, 0.18), any_colour(rng, 0.1, 0.6), PICTURE)
    place.scatter(5, (0.8, x[1] - 0.5), (-3.0, 3.0), 1.2, decor.add_people)
    place.scatter(2, (0.8, x[1] - 0.5), (-2.0, 2.0), 0.5, machines.add_trolley)
    in_lane(place, (machines.add_trolley, decor.add_figure, storage.add_crates, decor.add_wet_sign,
                    storage.add_carton, machines.add_robot))  # fmt: skip
    return place, gloss


def _display(here: Stand, rng: np.random.Generator) -> None:
    """A stack of crates, a basket or a cardboard stand in an aisle."""
    if rng.random() < 0.5:
        storage.add_crates(here, rng)
        storage.add_crates(here.on(0.45, 0.0), rng)
    else:
        tall = float(rng.uniform(0.5, 0.8))
        here.box((0, 0, tall), (0.2, 0.3, tall), any_colour(rng, 0.1, 0.6), PICTURE)


def underground(rng: np.random.Generator, free_m: float) -> tuple[Place, float]:
    """A car park under a low ceiling: bays, pillars, pipes, ramps' walls, few lamps."""
    place = Place(rng, free_m)
    gloss = choose_floor(place, (CONCRETE, COLOURED, COLOURED, VINYL))
    height, lane = float(rng.uniform(2.2, 3.0)), float(rng.uniform(2.6, 3.6))
    place.length_m = max(free_m, 6.0) + float(rng.uniform(4.0, 30.0))
    x, deep = (-BEHIND - 4.0, place.length_m), 5.2
    wide = lane + deep + float(rng.choice([0.2, rng.uniform(0.2, 8.0)]))
    look = Wall(height, 0.3, grey(rng, 0.2, 0.65), PLAIN, 0.18)
    ahead = row_of(rng, 2 * wide, int(rng.choice([SHUT, ROLLER])), (1.2, 0.0, 2.0), (2.0, 6.0))
    add_room(place, x, (-wide, wide), look, [[], ahead, [], []])
    add_ceiling(place, x, (-wide, wide), height, grey(rng, 0.2, 0.6))
    add_ceiling_lamps(place, np.arange(x[0] + 1, x[1], float(rng.uniform(3.0, 6.0))),
                      (lane + 1.5) * np.array([-1.0, 0.0, 1.0]), height, (0.7, 0.06),
                      0.1)  # fmt: skip
    bay = float(rng.uniform(2.3, 2.7))
    for side in (-1, 1):
        add_bays(place, x, side, lane, bay, float(rng.uniform(0.1, 0.95)))
    stripe = grey(rng, 0.2, 0.5) if rng.random() < 0.7 else (0.5, 0.4, 0.05)
    half = float(rng.uniform(0.15, 0.3))
    rows = list(np.arange(x[0] + 2 * bay, x[1], 3 * bay))
    add_pillars(place, rows, [-lane - 0.4, lane + 0.4], half, height, stripe)
    for away in rng.uniform(1.0, wide - 0.5, int(rng.integers(1, 5))):
        y = float(rng.choice([-1, 1])) * float(away)
        radius = float(rng.uniform(0.05, 0.2))
        pipe = place.stand((x[0] + x[1]) / 2, y, 0.0, math.pi / 2)
        pipe.roll((0, 0, height - radius - 0.05), radius, (x[1] - x[0]) / 2, grey(rng, 0.2, 0.6))
    in_lane(place, (decor.add_figure, machines.add_trolley, decor.add_wet_sign, storage.add_carton))
    return place, gloss


def add_bays(
    place: Place, x: tuple[float, float], side: int, lane: float, bay: float, full: float
) -> None:
    """Marked bays square to the lane, some with cars; wheel stops and pillars' guards."""
    rng, white = place.rng, float(place.rng.uniform(0.35, 0.7))
    at = x[0] + 0.5
    while at < x[1]:
        inner, outer = sorted((side * lane, side * (lane + 5.0)))
        place.spot((at - 0.05, at + 0.05), (inner, outer), PAINT, white)
        middle, y = at + bay / 2, side * (lane + 2.6 + float(rng.normal(0, 0.15)))
        if rng.random() < full and middle < x[1] - 1.0:
            yaw = float(rng.choice([-1, 1])) * math.pi / 2 + float(rng.normal(0, 0.03))
            add = add_van if rng.random() < 0.04 else add_car
            add(place.table, rng, (middle, y, 0.0), yaw)
            place.taken.append((middle, y, 2.0))
        elif rng.random() < 0.15:
            place.put(middle, y, 0.5, place.turn(), machines.add_bicycle)
        if rng.random() < 0.2:
            stop = place.stand(middle, side * (lane + 4.7))
            stop.box((0, 0, 0.06), (0.8, 0.07, 0.06), pick(rng, (0.4, 0.4, 0.4)), HAZARD)
        at += bay
