"""Kinds of streets that the usual one is not: narrow, without kerbs, ending ahead, full of things.

What KITTI shows, wide suburban streets that run on, is the usual street; a robot meets others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from kdbts_ros.datasets.synthetic import ground as gr
from kdbts_ros.datasets.synthetic.furniture import (
    add_building,
    add_pole,
    add_rail_fence,
    add_small_box,
    add_wall,
)
from kdbts_ros.datasets.synthetic.layout import (
    BEHIND,
    frontage,
    horizon,
    lay_out,
    parked_cars,
    pavement_things,
    standing_traffic,
    street_trees,
)
from kdbts_ros.datasets.synthetic.near_things import near
from kdbts_ros.datasets.synthetic.plants import add_bush, add_hedge, add_tree
from kdbts_ros.datasets.synthetic.roads import HALF_LANE, Street, add_patches, random_road
from kdbts_ros.datasets.synthetic.vehicles import add_car, add_van

Layout: TypeAlias = Callable[[np.random.Generator, float, float], Street]


def kind_of(seed: int, shares: Mapping[str, float]) -> str:
    """A name of `STREETS`, drawn by its share; what is left over is "usual"."""
    lot = float(np.random.default_rng([25, seed]).random())
    for kind, share in shares.items():
        if lot < share:
            return kind
        lot -= share
    return "usual"


def narrow(rng: np.random.Generator, length_m: float, keep_clear_m: float) -> Street:
    """A lane of 3 to 4.5 m between walls, hedges and houses, hardly a pavement beside it."""
    street = random_road(rng)
    g = street.ground
    g[gr.LEFT], g[gr.RIGHT] = rng.uniform(1.5, 2.25, 2)
    g[gr.PAVEMENT_LEFT], g[gr.PAVEMENT_RIGHT] = rng.choice([0.2, 0.5, 1.0], 2)
    g[gr.MARKING] = g[gr.EDGE_LINE] = 0.0
    g[gr.KERB] = g[gr.KERB] if rng.random() < 0.4 else 0.0
    street.lane_d = float(0.5 * (g[gr.LEFT] - g[gr.RIGHT]) + rng.uniform(-0.25, 0.25))
    add_patches(street, rng, length_m)
    for side in (-1, 1):
        if rng.random() < 0.4:
            parked_cars(street, rng, side, length_m)
        pavement_things(street, rng, side, length_m)
        frontage(street, rng, side, length_m, (0.0, 2.5))
        _beside_the_lane(street, rng, side, length_m)
    return _closed(street, rng, length_m, keep_clear_m)


def verge(rng: np.random.Generator, length_m: float, keep_clear_m: float) -> Street:
    """A road that grass, bushes and hedges border, without kerbs and pavements."""
    street = random_road(rng)
    g = street.ground
    g[gr.LEFT] = g[gr.RIGHT] = rng.uniform(1.8, 3.6)
    g[gr.KERB] = g[gr.PAVEMENT_LEFT] = g[gr.PAVEMENT_RIGHT] = 0.0
    for side in (gr.BEYOND_LEFT, gr.BEYOND_RIGHT):
        g[side] = gr.GRASS if rng.random() < 0.85 else gr.SOIL
    g[gr.ROAD] = gr.ASPHALT if rng.random() < 0.8 else gr.GRAVEL
    if g[gr.ROAD] == gr.GRAVEL:
        g[gr.MARKING] = g[gr.EDGE_LINE] = 0.0
    street.lane_d = float(-rng.uniform(0.0, 0.6) * (g[gr.RIGHT] - 1.1))
    add_patches(street, rng, length_m)
    for side in (-1, 1):
        street_trees(street, rng, side, length_m)
        pavement_things(street, rng, side, length_m)
        frontage(street, rng, side, length_m, (3.0, 20.0))
        _rough_edge(street, rng, side, length_m)
    return _closed(street, rng, length_m, keep_clear_m)


def junction(rng: np.random.Generator, length_m: float, keep_clear_m: float) -> Street:
    """The road ends at another one across it, 12 to 35 m ahead, with houses behind that."""
    street = random_road(rng)
    g = street.ground
    end, width = float(rng.uniform(12.0, 35.0)), float(rng.uniform(5.0, 10.0))
    street.add_flat((end, end + width), (-60.0, 60.0), gr.ASPHALT)
    # The carriageway does not go on behind the street across.
    beyond = int(rng.choice([gr.GRASS, gr.SLABS, gr.GRAVEL]))
    tone = float(g[gr.PAVING_TONE])
    sides = (-float(g[gr.RIGHT]) - 0.2, float(g[gr.LEFT]) + 0.2)
    street.spots.append((end + width, length_m + 60.0, *sides, float(beyond), tone))
    for side in (-1, 1):
        parked_cars(street, rng, side, end - 8.0)
        street_trees(street, rng, side, end - 3.0)
        pavement_things(street, rng, side, end - 1.0)
        frontage(street, rng, side, end - 14.0)
    _across(street, rng, end, width)
    first = len(street.table.rows)
    _crossing_cars(street, rng, end, width)
    street.traffic_rows = first, len(street.table.rows)
    horizon(street, rng, length_m)
    return street


STREETS: dict[str, Layout] = {
    "usual": lay_out,
    "narrow": narrow,
    "verge": verge,
    "junction": junction,
    "near": near,
}


def _closed(
    street: Street, rng: np.random.Generator, length_m: float, keep_clear_m: float
) -> Street:
    """With its traffic and what closes the view at its end."""
    first = len(street.table.rows)
    standing_traffic(street, rng, length_m, keep_clear_m)
    street.traffic_rows = first, len(street.table.rows)
    horizon(street, rng, length_m)
    return street


def _side_d(street: Street, side: int, gap: float) -> float:
    """Where something begins that leaves `gap` m beside the carriageway, and the lane free."""
    edge = float(street.ground[gr.LEFT if side > 0 else gr.RIGHT])
    return max(edge + gap, side * street.lane_d + HALF_LANE)


def _beside_the_lane(street: Street, rng: np.random.Generator, side: int, length_m: float) -> None:
    """Stretches of wall, hedge or fence that begin where the carriageway ends."""
    x = -BEHIND + float(rng.uniform(0, 10))
    while x < length_m:
        length, sort = float(rng.uniform(4.0, 20.0)), rng.random()
        width = float(rng.uniform(0.3, 0.9))
        d = side * (_side_d(street, side, float(rng.uniform(0.05, 0.7))) + width / 2)
        at, yaw = street.place(x + length / 2, d)
        if sort < 0.3:
            add_wall(street.table, rng, at, yaw, length, float(rng.uniform(0.8, 2.6)))
        elif sort < 0.55:
            add_hedge(street.table, rng, at, length, yaw, float(rng.uniform(0.9, 2.6)), width)
        elif sort < 0.65:
            add_rail_fence(street.table, rng, at, yaw, length, float(rng.uniform(0.9, 1.8)))
        x += length + float(rng.choice([0.0, rng.uniform(2.0, 6.0), rng.uniform(6.0, 25.0)]))


def _rough_edge(street: Street, rng: np.random.Generator, side: int, length_m: float) -> None:
    """Hedges, bushes, fences and lone trees on the grass, nearer to the road at some places."""
    x = -BEHIND + float(rng.uniform(0, 10))
    while x < length_m:
        length, sort = float(rng.uniform(4.0, 25.0)), rng.random()
        away = _side_d(street, side, float(rng.uniform(0.4, 5.0)))
        at, yaw = street.place(x + length / 2, side * (away + 0.6))
        if sort < 0.3:
            width = float(rng.uniform(0.5, 1.2))
            add_hedge(street.table, rng, at, length, yaw, float(rng.uniform(0.6, 2.6)), width)
        elif sort < 0.45:
            add_rail_fence(street.table, rng, at, yaw, length, float(rng.uniform(0.8, 1.5)))
        elif sort < 0.8:
            for along in np.arange(0.0, length, rng.uniform(1.0, 3.0)):
                size = float(rng.uniform(0.3, 1.1))
                foot, _ = street.place(x + float(along), side * (away + size + rng.uniform(0, 1.5)))
                add_bush(street.table, rng, foot, size, 5)
        else:
            at, _ = street.place(x, side * (away + 0.8))
            add_tree(street.table, rng, at, float(rng.uniform(3.0, 12.0)))
        x += length + float(rng.uniform(0.0, 20.0))


def _across(street: Street, rng: np.random.Generator, end: float, width: float) -> None:
    """Houses, walls and hedges along the far side of the street across."""
    back = end + width + float(rng.uniform(0.5, 4.0))
    setback, tall = float(rng.choice([0.0, rng.uniform(1.0, 8.0)])), float(rng.uniform(3.5, 12.0))
    # The first house stands across the road's end; the others to both sides of it.
    d, length = float(rng.uniform(-4.0, 4.0)), float(rng.uniform(9.0, 18.0))
    for start, step in ((d, 1), (d - length, -1)):
        place, long = start, length
        while abs(place) < 55.0:
            middle, depth = place + step * long / 2 + (step < 0) * long, float(rng.uniform(7, 12))
            at, yaw = street.place(back + setback + depth / 2, middle)
            height = tall * float(rng.uniform(0.75, 1.3))
            add_building(street.table, rng, at, yaw + math.pi / 2, long, depth, height)
            if setback > 1.5 and rng.random() < 0.7:
                at, yaw = street.place(back, middle)
                high = float(rng.uniform(0.5, 2.0))
                (add_wall if rng.random() < 0.5 else _hedge)(
                    street.table, rng, at, yaw + math.pi / 2, 0.8 * long, high
                )
            place += step * (long + float(rng.choice([0.0, rng.uniform(1.0, 6.0)])))
            long = float(rng.uniform(8.0, 18.0))
    for side in (-1, 1):
        for _ in range(int(rng.integers(0, 4))):
            at, yaw = street.place(back - 0.3, side * float(rng.uniform(1.0, 25.0)))
            (add_pole if rng.random() < 0.6 else add_small_box)(street.table, rng, at, yaw)


def _hedge(
    table: object, rng: np.random.Generator, at: tuple[float, float, float], yaw: float,
    length: float, height: float,
) -> None:  # fmt: skip
    add_hedge(table, rng, at, length, yaw, height, 0.8)  # type: ignore[arg-type]


def _crossing_cars(street: Street, rng: np.random.Generator, end: float, width: float) -> None:
    """Cars that stand in or at the edge of the street across."""
    for lane in (0.25, 0.75, 0.95):
        if rng.random() < 0.5:
            continue
        d = float(rng.uniform(-30.0, 0.0))
        while d < 30.0:
            at, yaw = street.place(end + lane * width, d)
            turn = math.pi / 2 if lane > 0.5 else -math.pi / 2
            (add_van if rng.random() < 0.1 else add_car)(street.table, rng, at, yaw + turn)
            d += float(rng.uniform(6.0, 30.0))
