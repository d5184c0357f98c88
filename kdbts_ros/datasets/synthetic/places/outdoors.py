"""Under open sky: car parks, courtyards, paths of parks and campuses, loading yards."""

from __future__ import annotations

import math

import numpy as np

from kdbts_ros.datasets.synthetic import ground as gr
from kdbts_ros.datasets.synthetic.floors import CONCRETE
from kdbts_ros.datasets.synthetic.furniture import (
    add_building,
    add_pole,
    add_rail_fence,
    add_small_box,
    add_wall,
)
from kdbts_ros.datasets.synthetic.indoor_surfaces import BLINDS, HAZARD
from kdbts_ros.datasets.synthetic.places import decor, machines, seats, storage
from kdbts_ros.datasets.synthetic.places.furnish import in_lane
from kdbts_ros.datasets.synthetic.places.halls import add_bays
from kdbts_ros.datasets.synthetic.places.place import BEHIND, Place
from kdbts_ros.datasets.synthetic.places.stand import Stand, any_colour, grey
from kdbts_ros.datasets.synthetic.plants import add_bush, add_hedge, add_tree
from kdbts_ros.datasets.synthetic.vehicles import add_van


def car_park(rng: np.random.Generator, free_m: float) -> Place:
    """An open car park: rows of bays, lamps, hedges and trees between, a shop or houses around."""
    place = Place(rng, free_m, length_m=max(free_m, 20.0) + 40.0)
    place.floor(gr.ASPHALT if rng.random() < 0.8 else gr.SLABS, float(rng.uniform(0.08, 0.28)))
    lane, bay = float(rng.uniform(2.6, 3.6)), float(rng.uniform(2.4, 2.8))
    x = (-BEHIND - 8.0, place.length_m)
    for side in (-1, 1):
        full = float(rng.uniform(0.1, 0.95))
        add_bays(place, x, side, lane, bay, full)
        if rng.random() < 0.6:
            _island(place, x, side * (lane + 5.6))
        if rng.random() < 0.6:
            add_bays(place, x, side, lane + 6.2, bay, full)
    _around(place, x, (lane + 13.0, 40.0))
    in_lane(place, (decor.add_figure, machines.add_trolley, decor.add_wet_sign, storage.add_carton,
                    machines.add_bicycle))  # fmt: skip
    return place


def _island(place: Place, x: tuple[float, float], y: float) -> None:
    """A strip of grass or gravel with trees, bushes, lamps and posts."""
    rng = place.rng
    place.spot(x, (y - 0.5, y + 0.5), int(rng.choice([gr.GRASS, gr.GRAVEL, gr.SOIL])), 0.3)
    at, gap = x[0] + 2.0, float(rng.uniform(4.0, 10.0))
    while at < x[1]:
        spot, sort = place.stand(at, y).at((0.0, 0.0, 0.0)), rng.random()
        if sort < 0.4:
            add_tree(place.table, rng, spot, float(rng.uniform(3.0, 8.0)), 6)
        elif sort < 0.7:
            add_bush(place.table, rng, spot, float(rng.uniform(0.3, 0.6)), 5)
        else:
            add_pole(place.table, rng, spot, 0.0)
        at += gap * float(rng.uniform(0.6, 1.5))


def _around(place: Place, x: tuple[float, float], reach: tuple[float, float]) -> None:
    """Houses, walls, hedges and trees that close the view, `reach` m to both sides, and ahead."""
    rng = place.rng
    for side in (-1, 1):
        at = x[0]
        while at < x[1]:
            long, sort = float(rng.uniform(8.0, 30.0)), rng.random()
            y = side * float(rng.uniform(*reach))
            if sort < 0.5:
                house = (at + long / 2, y + side * 5.0, 0.0)
                tall = float(rng.uniform(3.0, 12.0))
                add_building(place.table, rng, house, 0.0, long, 10.0, tall)
            elif sort < 0.65:
                add_hedge(place.table, rng, (at + long / 2, y, 0.0), long, 0.0, 1.8, 1.0)
            elif sort < 0.75:
                add_wall(place.table, rng, (at + long / 2, y, 0.0), 0.0, long, 2.0)
            for _ in range(int(rng.integers(0, 3))):
                foot = (at + float(rng.uniform(0, long)), y - side * float(rng.uniform(1, 4)), 0.0)
                add_tree(place.table, rng, foot, float(rng.uniform(4, 14)), 5)
            at += long + float(rng.uniform(0.0, 6.0))
    y = -reach[1]
    while y < reach[1]:
        long = float(rng.uniform(10.0, 25.0))
        if rng.random() < 0.6:
            add_building(place.table, rng, (x[1] + 6.0, y + long / 2, 0.0), math.pi / 2, long, 10.0,
                         float(rng.uniform(3.0, 12.0)))  # fmt: skip
        else:
            add_tree(place.table, rng, (x[1], y, 0.0), float(rng.uniform(5, 14)), 5)
        y += long + float(rng.uniform(0.0, 5.0))


def courtyard(rng: np.random.Generator, free_m: float) -> Place:
    """A yard of 8 to 25 m between houses: planters, bicycles, bins, benches, tables, trees."""
    place = Place(rng, free_m)
    material = int(rng.choice([gr.SLABS, gr.COBBLES, gr.GRAVEL, gr.ASPHALT]))
    place.floor(material, float(rng.uniform(0.12, 0.45)))
    place.length_m = max(free_m + 2.0, float(rng.uniform(7.0, 22.0)))
    x, low, high = (-BEHIND - 2.0, place.length_m), *rng.uniform([-12.0, 3.0], [-3.0, 12.0])
    tall = float(rng.uniform(3.0, 14.0))
    for (a, b), yaw, long in (
        (((x[0] + x[1]) / 2, low - 4.0), 0.0, x[1] - x[0]),
        (((x[0] + x[1]) / 2, high + 4.0), 0.0, x[1] - x[0]),
        ((x[1] + 4.0, (low + high) / 2), math.pi / 2, high - low + 16.0),
    ):
        if rng.random() < 0.85:
            height = tall * float(rng.uniform(0.6, 1.3))
            add_building(place.table, rng, (float(a), float(b), 0.0), yaw, float(long), 8.0, height)
        else:
            back = (float(a), float(b), 0.0)
            add_wall(place.table, rng, back, yaw, float(long), float(rng.uniform(1.5, 2.5)))
    for _ in range(int(rng.integers(0, 3))):
        half = rng.uniform(1.0, 3.0, 2)
        mid = float(rng.uniform(1.0, x[1])), float(rng.uniform(low, high))
        place.spot((mid[0] - half[0], mid[0] + half[0]), (mid[1] - half[1], mid[1] + half[1]),
                   int(rng.choice([gr.GRASS, gr.SOIL, gr.GRAVEL])), 0.3)  # fmt: skip
    ahead, across = (0.8, x[1] - 0.8), (float(low) + 0.8, float(high) - 0.8)
    place.scatter(4, ahead, across, 0.6, _planter)
    place.scatter(3, ahead, across, 1.1, seats.add_bench)
    place.scatter(4, ahead, across, 0.9, machines.add_bicycle)
    place.scatter(5, ahead, across, 0.4, decor.add_bin)
    place.scatter(2, ahead, across, 1.6, seats.add_dining)
    place.scatter(3, ahead, across, 1.2, decor.add_people)
    place.scatter(3, ahead, across, 2.2, _tree)
    place.scatter(3, ahead, across, 0.4, storage.add_carton)
    in_lane(
        place, (_planter, machines.add_bicycle, decor.add_figure, decor.add_bin, seats.add_chair)
    )
    return place


def _planter(here: Stand, rng: np.random.Generator) -> None:
    """A tub with a plant or bush in it."""
    half = (
        float(rng.uniform(0.2, 0.35)),
        float(rng.uniform(0.2, 0.6)),
        float(rng.uniform(0.15, 0.3)),
    )
    here.box((0, 0, half[2]), half, any_colour(rng, 0.05, 0.5), contrast=0.15)
    add_bush(here.table, rng, here.at((0, 0, 2 * half[2] - 0.1)), float(rng.uniform(0.2, 0.4)), 5)


def _tree(here: Stand, rng: np.random.Generator) -> None:
    add_tree(here.table, rng, here.at((0.0, 0.0, 0.0)), float(rng.uniform(4.5, 9.0)), 8)


def path(rng: np.random.Generator, free_m: float) -> Place:
    """A path of 1.5 to 4 m through a park or campus: lawns, trees, benches, lamps, people."""
    place = Place(rng, free_m, length_m=max(free_m, 20.0) + 60.0)
    place.floor(gr.ASPHALT, float(rng.uniform(0.1, 0.4)))
    g = place.ground
    wide = float(rng.uniform(1.5, 4.0))
    g[gr.LEFT], g[gr.RIGHT] = wide * rng.uniform(0.35, 0.65), wide * 0.5
    g[gr.ROAD] = rng.choice([gr.ASPHALT, gr.GRAVEL, gr.SLABS, gr.COBBLES, gr.SOIL])
    g[gr.PAVING], g[gr.PAVING_TONE] = gr.GRASS, 0.3
    g[gr.BEYOND_LEFT] = g[gr.BEYOND_RIGHT] = gr.GRASS
    # It winds a little, as streets do.
    if rng.random() < 0.6:
        length = float(rng.uniform(12.0, 40.0))
        g[gr.AMPLITUDE1], g[gr.WAVE1] = rng.uniform(0.0, 0.002) * length**2, 1 / length
        g[gr.PHASE1] = math.pi / 2
        g[gr.BASE] = g[gr.AMPLITUDE1]
    x = (-BEHIND - 4.0, place.length_m)
    for side in (-1, 1):
        edge = float(g[gr.LEFT if side > 0 else gr.RIGHT])
        _verge(place, x, side, edge)
    if rng.random() < 0.5:
        at = float(rng.uniform(4.0, 30.0))
        place.spot((at, at + wide), (-40.0, 40.0), int(g[gr.ROAD]), float(g[gr.ROAD_TONE]))
    _around(place, x, (18.0, 45.0))
    in_lane(place, (decor.add_figure, machines.add_bicycle, decor.add_figure, machines.add_robot))
    place.scatter(4, (2.0, 20.0), (-2.0, 2.0), 1.2, decor.add_people)
    return place


def _verge(place: Place, x: tuple[float, float], side: int, edge: float) -> None:
    """Trees, bushes, hedges, benches, bins, lamps, rails and racks beside a path."""
    rng, at = place.rng, x[0]
    density = float(rng.uniform(1.0, 4.0))
    while at < min(x[1], 50.0):
        away = side * (edge + float(rng.uniform(0.3, 1.2)))
        far = side * (edge + float(rng.uniform(1.5, 14.0)))
        spot, sort = (at, away, 0.0), rng.random()
        if sort < 0.28 and place.is_free(at, far, 1.6):
            add_tree(place.table, rng, (at, far, 0.0), float(rng.uniform(3, 14)), 7)
        elif sort < 0.45 and place.is_free(at, far, 0.8):
            add_bush(place.table, rng, (at, far, 0.0), float(rng.uniform(0.3, 1.2)), 6)
        elif sort < 0.55:
            place.put(at, away + side * 0.4, 0.7, -side * math.pi / 2, seats.add_bench)
        elif sort < 0.62:
            place.put(at, away, 0.25, 0.0, decor.add_bin)
        elif sort < 0.72 and place.is_free(*spot[:2], 0.2):
            add_pole(place.table, rng, spot, 0.0)
        elif sort < 0.78:
            long = float(rng.uniform(3.0, 12.0))
            add_hedge(place.table, rng, (at + long / 2, away + side * 0.7, 0.0), long, 0.0,
                      float(rng.uniform(0.4, 1.6)), 0.7)  # fmt: skip
        elif sort < 0.84:
            long = float(rng.uniform(3.0, 10.0))
            fence = (at + long / 2, away + side * 0.3, 0.0)
            add_rail_fence(place.table, rng, fence, 0.0, long, float(rng.uniform(0.6, 1.1)))
        elif sort < 0.9:
            place.put(at, away + side * 0.6, 0.6, math.pi / 2, machines.add_bicycle)
        elif place.is_free(at, away + side * 0.5, 0.6):
            add_small_box(place.table, rng, (at, away + side * 0.5, 0.0), 0.0)
        at += density * float(rng.uniform(0.3, 1.8))


def yard(rng: np.random.Generator, free_m: float) -> Place:
    """A loading yard: a hall with docks, trailers, containers, pallets, forklifts, a fence."""
    place = Place(rng, free_m, length_m=max(free_m, 15.0) + 35.0)
    material = int(rng.choice([gr.ASPHALT, CONCRETE, gr.COBBLES]))
    place.floor(material, float(rng.uniform(0.1, 0.4)))
    x = (-BEHIND - 6.0, place.length_m)
    side = int(rng.choice([-1, 1]))
    front = side * float(rng.uniform(2.5, 14.0))
    _hall(place, x, side, front)
    for _ in range(int(rng.integers(2, 7))):
        at, y = float(rng.uniform(1.0, 25.0)), -side * float(rng.uniform(2.5, 14.0))
        sort = rng.random()
        if sort < 0.35:
            place.put(at, y, 3.3, place.turn(), machines.add_container)
        elif sort < 0.6:
            place.put(at, y, 3.6, place.turn(), _van)
        else:
            place.put(at, y, 2.0, place.turn(), machines.add_forklift)
    across = (-9.0, 9.0)
    place.scatter(16, (0.8, 18.0), across, 0.75, storage.add_load, float(rng.uniform(0.4, 1.9)))
    place.scatter(4, (0.8, 14.0), across, 0.7, storage.add_pallet)
    place.scatter(4, (0.8, 14.0), across, 0.35, storage.add_crates)
    place.scatter(4, (0.8, 14.0), across, 0.3, storage.add_barrel)
    place.scatter(3, (0.8, 14.0), across, 0.8, machines.add_pallet_jack)
    place.scatter(3, (0.8, 20.0), across, 1.2, decor.add_people)
    place.scatter(3, (0.8, 20.0), across, 0.3, decor.add_wet_sign)
    back = -side * float(rng.uniform(12.0, 25.0))
    add_rail_fence(place.table, rng, (20.0, back, 0.0), 0.0, 60.0, 2.0)
    _around(place, x, (27.0, 50.0))
    in_lane(place, (decor.add_figure, storage.add_crates, storage.add_barrel,
                    machines.add_hand_truck, machines.add_trolley))  # fmt: skip
    return place


def _van(here: Stand, rng: np.random.Generator) -> None:
    add_van(here.table, rng, here.at((0.0, 0.0, 0.0)), here.yaw)


def _hall(place: Place, x: tuple[float, float], side: int, front: float) -> None:
    """A hall along the yard, its dock doors, ramps, buffers, and trailers before some of them."""
    rng = place.rng
    tall, long = float(rng.uniform(5.0, 9.0)), x[1] - x[0] - 10.0
    middle = (x[0] + x[1]) / 2
    add_building(place.table, rng, (middle, front + side * 6.0, 0.0), 0.0, long, 12.0, tall)
    at = middle - long / 2 + 2.0
    while at < middle + long / 2 - 3.0:
        here = place.stand(at + 1.5, front - side * 0.05, 0.0, -side * math.pi / 2)
        sill = float(rng.choice([0.0, 1.15]))
        here.box((0, 0, sill + 1.5), (0.05, 1.4, 1.5), grey(rng, 0.3, 0.7), BLINDS, period=0.4)
        for y in (-1.5, 1.5):
            here.box((0.1, y, sill + 1.5), (0.12, 0.12, 1.55), (0.02, 0.02, 0.02))
            if sill:
                here.box((0.1, y * 0.7, 1.0), (0.08, 0.1, 0.2), (0.02, 0.02, 0.02), HAZARD)
        spot = at + 1.5, front - side * 0.6
        if sill and rng.random() < 0.4 and abs(front) > 5.0 and place.is_free(*spot, 1.5):
            long_trailer = place.stand(*spot, 0.0, side * math.pi / 2)
            if abs(front) > 12.0:
                machines.add_trailer(long_trailer, rng)
                place.taken += [(spot[0], front - side * float(k), 1.4) for k in range(1, 14)]
            else:
                here.box((0.9, 0, 0.45), (0.8, 1.2, 0.45), grey(rng, 0.2, 0.5))
        at += float(rng.uniform(3.6, 6.0))
