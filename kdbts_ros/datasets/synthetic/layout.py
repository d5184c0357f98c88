"""Places everything along a random street."""

from __future__ import annotations

import math

import numpy as np

from kdbts_ros.datasets.synthetic import ground as gr
from kdbts_ros.datasets.synthetic.furniture import (
    add_billboard,
    add_building,
    add_house_parts,
    add_pole,
    add_rail_fence,
    add_small_box,
    add_wall,
    wall_colour,
)
from kdbts_ros.datasets.synthetic.plants import add_bush, add_hedge, add_tree
from kdbts_ros.datasets.synthetic.primitives import BOX, PLAIN
from kdbts_ros.datasets.synthetic.roads import Street, add_patches, random_road
from kdbts_ros.datasets.synthetic.vehicles import add_car, add_person, add_van

BEHIND = 25.0  # m of street before x = 0, for cameras that look sideways and shadows


def lay_out(rng: np.random.Generator, length_m: float, keep_clear_m: float) -> Street:
    """A complete street; nothing stands in the robot's lane before x = keep_clear_m."""
    street = random_road(rng)
    add_patches(street, rng, length_m)
    for side in (-1, 1):
        parked_cars(street, rng, side, length_m)
        street_trees(street, rng, side, length_m)
        pavement_things(street, rng, side, length_m)
        frontage(street, rng, side, length_m)
    first = len(street.table.rows)
    standing_traffic(street, rng, length_m, keep_clear_m)
    street.traffic_rows = first, len(street.table.rows)
    horizon(street, rng, length_m)
    return street


def edge_and_pavement(street: Street, side: int) -> tuple[float, float]:
    """Distance from the centre line to the road's edge and to the end of the pavement."""
    g = street.ground
    edge = g[gr.LEFT] if side > 0 else g[gr.RIGHT]
    return float(edge), float(edge + g[gr.PAVEMENT_LEFT if side > 0 else gr.PAVEMENT_RIGHT])


def _blocked(street: Street, x: float, d: float) -> bool:
    """Whether a side street or drive leaves here, or the robot's lane is too near."""
    if abs(d - street.lane_d) < 1.9:
        return True
    return any(q[0] - 0.5 < x < q[1] + 0.5 and q[2] <= d <= q[3] for q in street.flat)


def parked_cars(street: Street, rng: np.random.Generator, side: int, length_m: float) -> None:
    """A row of cars along the edge, half on the pavement, or square to the road."""
    density = rng.choice([0.0, rng.uniform(0.05, 0.3), rng.uniform(0.4, 0.95)], p=[0.2, 0.4, 0.4])
    edge, _ = edge_and_pavement(street, side)
    square = rng.random() < 0.2
    offset = rng.uniform(2.6, 3.2) if square else rng.choice([-1.0, 0.2, 1.2])
    x = -BEHIND + rng.uniform(0, 6)
    while x < length_m:
        d = side * (edge + offset + 0.12 * rng.standard_normal())
        if rng.random() < density and abs(d - street.lane_d) > 2.1:
            at, angle = street.place(x, d)
            turn = rng.choice([0.0, math.pi], p=[0.75, 0.25] if side < 0 else [0.35, 0.65])
            if square:
                turn += math.pi / 2
            yaw = angle + turn + 0.03 * rng.standard_normal()
            (add_van if rng.random() < 0.08 else add_car)(street.table, rng, at, yaw)
        x += rng.uniform(2.5, 3.2) if square else rng.uniform(5.2, 7.0)


def street_trees(street: Street, rng: np.random.Generator, side: int, length_m: float) -> None:
    """An avenue, scattered trees, or none."""
    gap = rng.choice([0.0, rng.uniform(7, 14), rng.uniform(15, 40)], p=[0.25, 0.42, 0.33])
    if gap == 0.0:
        return
    edge, pavement = edge_and_pavement(street, side)
    offset = rng.uniform(0.5, max(0.6, pavement - edge)) + (1.5 if rng.random() < 0.3 else 0)
    height = rng.uniform(4.5, 13.0)
    x = -BEHIND + rng.uniform(0, gap)
    while x < length_m:
        d = side * (edge + offset + 0.2 * rng.standard_normal())
        if not _blocked(street, x, d):
            at, _ = street.place(x, d)
            clumps = int(rng.integers(6, 14)) if x < 50 else 4
            add_tree(street.table, rng, at, height * rng.uniform(0.7, 1.3), clumps)
            if rng.random() < 0.5:
                street.spots.append((x - 0.7, x + 0.7, d - 0.7, d + 0.7, gr.SOIL, 0.2))
        x += gap * rng.uniform(0.75, 1.25)


def pavement_things(street: Street, rng: np.random.Generator, side: int, length_m: float) -> None:
    """Poles, signs, boards, boxes, bushes and people on the pavement and its far edge."""
    edge, pavement = edge_and_pavement(street, side)
    for _ in range(rng.poisson(length_m / 14.0 * rng.uniform(0.3, 1.5))):
        x = rng.uniform(-BEHIND, length_m)
        near = rng.random() < 0.6
        d = side * (edge + rng.uniform(0.3, 0.7) if near else pavement + rng.uniform(-0.3, 1.0))
        if _blocked(street, x, d):
            continue
        at, angle = street.place(x, d)
        sort = rng.random()
        if sort < 0.55:
            turn = rng.normal(0, 0.2) if side < 0 or rng.random() < 0.5 else math.pi
            add_pole(street.table, rng, at, angle + turn)
        elif sort < 0.62:
            add_billboard(street.table, rng, at, angle + rng.normal(0, 0.4))
        elif sort < 0.76:
            add_small_box(street.table, rng, at, angle)
        elif sort < 0.9:
            add_bush(street.table, rng, at, rng.uniform(0.3, 1.0))
        else:
            add_person(street.table, rng, at)


def frontage(
    street: Street,
    rng: np.random.Generator,
    side: int,
    length_m: float,
    setbacks: tuple[float, float] | None = None,
) -> None:
    """Plot after plot: a boundary along the pavement, a garden, and a house or trees behind.

    setbacks: how far houses stand behind the pavement, m; any distance by default.
    """
    _, pavement = edge_and_pavement(street, side)
    setback = rng.choice([0.0, rng.uniform(1, 5), rng.uniform(5, 18)], p=[0.25, 0.4, 0.35])
    if setbacks is not None:
        setback = rng.uniform(*setbacks)
    mix = rng.dirichlet([2.0, 1.2, 0.7, 0.6])  # house, trees, hall, open
    tall = rng.uniform(3.0, 7.0) if rng.random() < 0.6 else rng.uniform(7.0, 18.0)
    boundary = rng.choice(4, p=[0.3, 0.25, 0.25, 0.2])
    x = -BEHIND - rng.uniform(0, 10)
    while x < length_m + 10:
        sort = rng.choice(4, p=mix)
        length = rng.uniform(8, 18) if sort < 2 else rng.uniform(15, 45)
        middle = x + length / 2
        gap = next((q for q in street.flat if q[0] < x + length and q[1] > x
                    and q[2] <= side * (pavement + 6) <= q[3]), None)  # fmt: skip
        if gap is not None:
            x = max(gap[1], x + 1.0)
            continue
        if sort in (0, 2):
            depth = rng.uniform(7, 12) if sort == 0 else rng.uniform(15, 30)
            height = tall * rng.uniform(0.75, 1.3) if sort == 0 else rng.uniform(4, 10)
            back = setback if sort == 0 else max(setback, rng.uniform(3, 25))
            d = side * (pavement + 0.3 + back + depth / 2 + rng.uniform(0, 1))
            at, angle = street.place(middle, d)
            width = length - (0.0 if setback == 0 else rng.uniform(1, 4))
            add_building(street.table, rng, at, angle, width, depth, height)
            face = street.place(middle, d - side * depth / 2)[0]
            add_house_parts(street.table, rng, face, angle, width, height)
        garden = max(2.0, setback) if sort == 0 else 18.0
        _garden(street, rng, side, x, length, pavement, garden, sort)
        if setback > 0 or sort == 3:
            kind = int(boundary if rng.random() < 0.75 else rng.integers(4))
            boundary_of_plot(street, rng, side, middle, length, pavement, kind)
        x += length + rng.choice([0.0, rng.uniform(0, 2), rng.uniform(2, 8)])


def _garden(
    street: Street, rng: np.random.Generator, side: int, x: float, length: float,
    pavement: float, depth: float, sort: int,
) -> None:  # fmt: skip
    """Trees and bushes on a plot; a plot of sort 1 is a small wood."""
    trees = rng.poisson(length / 4.0) if sort == 1 else rng.poisson(length / 30.0)
    for _ in range(trees):
        at, _ = street.place(x + rng.uniform(0, length), side * (pavement + rng.uniform(1, depth)))
        add_tree(street.table, rng, at, rng.uniform(4, 15), 7 if x < 40 else 3)
    for _ in range(rng.poisson(length / 12.0)):
        at, _ = street.place(
            x + rng.uniform(0, length), side * (pavement + rng.uniform(0.6, depth))
        )
        add_bush(street.table, rng, at, rng.uniform(0.4, 1.5), 5)
    if sort == 3 and rng.random() < 0.4:
        d = side * (pavement + rng.uniform(4, 12))
        for k in range(int(length / 3)):
            if rng.random() < 0.6:
                at, angle = street.place(x + 3 * k, d)
                add_car(street.table, rng, at, angle + math.pi / 2)


def boundary_of_plot(
    street: Street, rng: np.random.Generator, side: int, middle: float, length: float,
    pavement: float, kind: int,
) -> None:  # fmt: skip
    """What separates a plot from the pavement: nothing, hedge, wall or fence."""
    if kind == 0:
        return
    at, angle = street.place(middle, side * (pavement + 0.3))
    length -= rng.choice([0.0, rng.uniform(1, 3)])
    if kind == 1 and rng.random() < 0.4:
        size, x = rng.uniform(0.4, 1.2), middle - length / 2
        while x < middle + length / 2:
            foot, _ = street.place(x, side * (pavement + size + rng.uniform(0, 0.6)))
            add_bush(street.table, rng, foot, size * rng.uniform(0.7, 1.3), 4)
            x += size * rng.uniform(0.9, 1.7)
    elif kind == 1:
        height = rng.uniform(0.5, 2.4)
        add_hedge(street.table, rng, at, length, angle, height, rng.uniform(0.5, 1.4))
    elif kind == 2:
        add_wall(street.table, rng, at, angle, length, rng.uniform(0.5, 2.6))
    else:
        add_rail_fence(street.table, rng, at, angle, length, rng.uniform(0.8, 1.8))


def standing_traffic(
    street: Street, rng: np.random.Generator, length_m: float, keep_clear_m: float
) -> None:
    """Cars ahead in the robot's lane and oncoming ones."""
    if rng.random() < 0.35:
        x = keep_clear_m + 3.0 + rng.uniform(0, 40)
        while x < length_m:
            at, angle = street.place(x, street.lane_d + 0.2 * rng.standard_normal())
            (add_van if rng.random() < 0.12 else add_car)(street.table, rng, at, angle)
            x += rng.uniform(10, 50)
    room = street.ground[gr.LEFT] - street.lane_d
    if rng.random() < 0.4 and room > 4.5:
        x = rng.uniform(4, 40)
        while x < length_m:
            at, angle = street.place(x, street.lane_d + 0.62 * room)
            add = add_van if rng.random() < 0.12 else add_car
            add(street.table, rng, at, angle + math.pi)
            x += rng.uniform(12, 60)


def horizon(street: Street, rng: np.random.Generator, length_m: float) -> None:
    """What closes the view at the end: trees, a house across, or a bridge on the way."""
    sort = rng.random()
    if rng.random() < 0.7:
        _far_trees(street, rng, length_m)
    if sort < 0.5:
        for _ in range(30):
            at, _ = street.place(length_m + rng.uniform(-5, 15), rng.uniform(-45, 45))
            add_tree(street.table, rng, at, rng.uniform(6, 16), 2)
    elif sort < 0.75:
        at, angle = street.place(length_m + 5, rng.uniform(-10, 10))
        add_building(street.table, rng, at, angle + math.pi / 2, 50.0, 10.0, rng.uniform(5, 16))
    if rng.random() < 0.06:
        at, angle = street.place(rng.uniform(25, length_m), 0.0)
        street.table.add(
            BOX, (at[0], at[1], 5.4 + rng.uniform(0, 1)), (rng.uniform(2, 6), 40.0, 0.6), angle,
            PLAIN, wall_colour(rng), contrast=0.3,
        )  # fmt: skip


def _far_trees(street: Street, rng: np.random.Generator, length_m: float) -> None:
    """Tall trees far behind the plots: a street in the open still has no bare horizon."""
    for side in (-1, 1):
        distance, gap = rng.uniform(28, 60), rng.uniform(5, 14)
        x = rng.uniform(0, 30)
        while x < length_m + 20:
            at, _ = street.place(x, side * (distance + rng.uniform(-4, 4)))
            add_tree(street.table, rng, at, rng.uniform(7, 18), 2)
            x += gap * rng.uniform(0.4, 1.8)
