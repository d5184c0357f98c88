"""The usual street with things right before and beside the robot."""

from __future__ import annotations

import math

import numpy as np

from kdbts_ros.datasets.synthetic.furniture import (
    add_building,
    add_pole,
    add_rail_fence,
    add_small_box,
    add_wall,
)
from kdbts_ros.datasets.synthetic.layout import lay_out
from kdbts_ros.datasets.synthetic.plants import add_bush, add_hedge, add_tree
from kdbts_ros.datasets.synthetic.roads import HALF_LANE, Street
from kdbts_ros.datasets.synthetic.vehicles import add_car, add_person, add_van

# Where they stand, m before the camera at the street's beginning.
NEAR_AHEAD = (2.0, 8.0)


def near(rng: np.random.Generator, length_m: float, keep_clear_m: float) -> Street:
    """The usual street with things 2 to 8 m ahead, beside the robot's lane and now and then in it.

    `Street.clear_m` ends before the first one in the lane.
    """
    street = lay_out(rng, length_m, keep_clear_m)
    if rng.random() < 0.5:
        x = float(rng.uniform(3.0, NEAR_AHEAD[1]))
        street.clear_m = x - 2.0
        _in_the_lane(street, rng, x)
    for side in (-1, 1):
        if rng.random() < 0.35:
            _alongside(street, rng, side)
            continue
        x = float(rng.uniform(NEAR_AHEAD[0], NEAR_AHEAD[0] + 3.0))
        while x < NEAR_AHEAD[1]:
            x += _thing(street, rng, x, side) + float(rng.uniform(0.8, 4.0))
    return street


def _in_the_lane(street: Street, rng: np.random.Generator, x: float) -> None:
    """A car that stands ahead or comes out of a drive, somebody who crosses, or a barrier."""
    sort = rng.random()
    if sort < 0.5:
        at, yaw = street.place(x + 2.6, street.lane_d + 0.3 * rng.standard_normal())
        add = add_van if rng.random() < 0.2 else add_car
        add(street.table, rng, at, yaw + float(rng.choice([0.0, math.pi])) + rng.normal(0, 0.05))
    elif sort < 0.65:
        at, yaw = street.place(x + 1.2, street.lane_d + rng.uniform(-2.0, 2.0))
        add_car(street.table, rng, at, yaw + math.pi / 2 + rng.normal(0, 0.2))
    elif sort < 0.9:
        for _ in range(int(rng.integers(1, 4))):
            d = street.lane_d + rng.uniform(-1.5, 1.5)
            at, _ = street.place(x + rng.uniform(0, 2.5), d)
            add_person(street.table, rng, at)
    else:
        at, yaw = street.place(x, street.lane_d + rng.uniform(-1.0, 1.0))
        length, height = float(rng.uniform(1.5, 5.0)), float(rng.uniform(0.8, 1.8))
        add_wall(street.table, rng, at, yaw + math.pi / 2, length, height)


def _alongside(street: Street, rng: np.random.Generator, side: int) -> None:
    """A wall, hedge, fence or house front close beside the lane, ahead."""
    length = float(rng.uniform(5.0, 25.0))
    x, gap = float(rng.uniform(-5.0, 4.0)), float(rng.uniform(HALF_LANE, 3.0))
    sort = rng.random()
    if sort < 0.2:
        depth = float(rng.uniform(7.0, 12.0))
        at, yaw = street.place(x + length / 2, street.lane_d + side * (gap + 0.8 + depth / 2))
        add_building(street.table, rng, at, yaw, length, depth, float(rng.uniform(3.0, 9.0)))
        return
    at, yaw = street.place(x + length / 2, street.lane_d + side * (gap + 0.4))
    high = float(rng.uniform(0.8, 2.5))
    if sort < 0.45:
        add_wall(street.table, rng, at, yaw, length, high)
    elif sort < 0.8:
        add_hedge(street.table, rng, at, length, yaw, high, 0.8)
    else:
        add_rail_fence(street.table, rng, at, yaw, length, high)


def _thing(street: Street, rng: np.random.Generator, x: float, side: int) -> float:
    """A car, a person, a post, a bin, a bush or a tree beside the lane; its length, m."""
    sort = rng.random()
    car = sort < 0.4
    # Beside the lane and inside the image, which is 80 degrees wide; of a car the side faces it.
    least = HALF_LANE + 0.35
    away = HALF_LANE + 0.95 if car else float(rng.uniform(least, max(least, 0.75 * x)))
    away += float(rng.uniform(0.0, 1.5)) if car else 0.0
    at, yaw = street.place(x + (2.2 if car else 0.0), street.lane_d + side * away)
    if car:
        turn = float(rng.choice([0.0, math.pi])) + rng.normal(0, 0.05)
        (add_van if rng.random() < 0.12 else add_car)(street.table, rng, at, yaw + turn)
    elif sort < 0.62:
        add_person(street.table, rng, at)
    elif sort < 0.75:
        add_pole(street.table, rng, at, yaw + rng.normal(0, 0.3))
    elif sort < 0.85:
        add_small_box(street.table, rng, at, yaw)
    elif sort < 0.95:
        add_bush(street.table, rng, at, float(rng.uniform(0.3, 0.6)))
    else:
        add_tree(street.table, rng, at, float(rng.uniform(3.0, 9.0)))
    return 5.0 if car else 0.7
