"""Fitted kitchens: cupboards under worktops, more of them on the walls, a table, stools."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kdbts_ros.datasets.synthetic.floors import PARQUET, TILED, VINYL
from kdbts_ros.datasets.synthetic.indoor_surfaces import PANEL, SHINY, TIMBER
from kdbts_ros.datasets.synthetic.places import decor, seats
from kdbts_ros.datasets.synthetic.places.furnish import choose_floor, in_lane
from kdbts_ros.datasets.synthetic.places.light import add_bulb
from kdbts_ros.datasets.synthetic.places.place import BEHIND, LANE_HALF, Place
from kdbts_ros.datasets.synthetic.places.shell import (
    GAP,
    SHUT,
    WINDOW,
    add_ceiling,
    add_room,
    plaster,
    row_of,
)
from kdbts_ros.datasets.synthetic.places.stand import Stand, any_colour, grey, metal, pick, wood
from kdbts_ros.datasets.synthetic.primitives import PLAIN, Colour

# Half the depth of cupboards under a worktop and of those on the wall, m.
BASE_HALF, WALL_HALF = 0.29, 0.165
# Heights of the plinth, of the worktop, and of the cupboards on the wall from and to, m.
PLINTH, TOP, HUNG = 0.1, 0.9, (1.4, 2.1)


@dataclass(frozen=True)
class Make:
    """What all cupboards of a kitchen have in common."""

    front: Colour
    material: int
    worktop: Colour
    worktop_material: int
    handle: Colour | None
    splash: Colour


def kitchen(rng: np.random.Generator, free_m: float) -> tuple[Place, float]:
    """A kitchen of 2.5 to 5.5 m, fitted along one to three walls."""
    place = Place(rng, free_m)
    gloss = choose_floor(place, (TILED, TILED, VINYL, PARQUET))
    height = float(rng.uniform(2.3, 2.9))
    low, high = -float(rng.uniform(1.25, 2.9)), float(rng.uniform(1.25, 2.9))
    place.length_m = max(free_m + 0.8, float(rng.uniform(2.2, 5.0)))
    x = -float(rng.uniform(1.2, BEHIND)), place.length_m
    sides = []
    for long in (x[1] - x[0], high - low, x[1] - x[0], high - low):
        fill = int(rng.choice([WINDOW, WINDOW, SHUT, GAP]))
        size = (float(rng.uniform(0.8, 1.6)), 1.05, 2.1) if fill == WINDOW else (0.9, 0.0, 2.05)
        sides.append(row_of(rng, long, fill, size, (1.5, 4.0)) if rng.random() < 0.6 else [])
    fitted = rng.random(3) < (0.7, 0.75, 0.7)
    if not fitted.any():
        fitted[1] = True
    # Where cupboards stand nobody walks through.
    for k, fits in enumerate(fitted):
        if fits:
            sides[k] = [hole for hole in sides[k] if hole.fill == WINDOW]
    add_room(place, x, (low, high), plaster(rng, height), sides)
    add_ceiling(place, x, (low, high), height, (0.72, 0.72, 0.7))
    add_bulb(place, place.length_m / 2, (low + high) / 2, height - 0.15, 1.0)
    make = _make(rng)
    if fitted[0]:
        _row(place, make, (x, low), 1, not sides[0])
    if fitted[2]:
        _row(place, make, (x, high), -1, not sides[2])
    if fitted[1]:
        _row_ahead(place, make, x[1], (low, high), not sides[1])
    for _ in range(6):
        at = float(rng.uniform(0.5, x[1] - 1.0)), float(rng.uniform(low + 0.9, high - 0.9))
        turn = float(rng.choice([0.0, math.pi / 2])) + float(rng.normal(0, 0.1))
        if rng.random() < 0.6:
            place.put(*at, 1.25, turn, seats.add_dining)
        else:
            place.put(*at, 0.3, place.turn(), seats.add_stool)
    inside = (0.4, x[1] - 0.9), (low + 0.8, high - 0.8)
    place.scatter(3, *inside, 0.45, seats.add_chair)
    place.scatter(2, *inside, 0.25, decor.add_bin)
    place.scatter(3, *inside, 0.2, decor.add_clutter)
    place.scatter(1, *inside, 0.35, decor.add_figure)
    in_lane(place, (seats.add_chair, seats.add_stool, decor.add_bin, decor.add_clutter,
                    decor.add_figure))  # fmt: skip
    return place, gloss


def _make(rng: np.random.Generator) -> Make:
    sort = rng.random()
    if sort < 0.35:
        front = pick(rng, (0.68, 0.68, 0.66), (0.6, 0.58, 0.5), (0.35, 0.36, 0.37))
    elif sort < 0.6:
        front = wood(rng)
    elif sort < 0.8:
        # Lacquer of one strong colour, light or nearly black.
        strong = float(rng.uniform(0.05, 0.5))
        front = pick(rng, (strong, 0.03, 0.03), (0.05, strong, 0.1), (0.05, 0.1, strong),
                     (strong, strong * 0.6, 0.03))  # fmt: skip
    else:
        front = any_colour(rng, 0.03, 0.6)
    material = SHINY if rng.random() < 0.5 else (PANEL if rng.random() < 0.6 else PLAIN)
    dark = rng.random() < 0.5
    worktop = grey(rng, 0.02, 0.12) if dark else (wood(rng) if rng.random() < 0.6 else
                                                  grey(rng, 0.3, 0.7))  # fmt: skip
    return Make(
        front, material, worktop, SHINY if dark else TIMBER,
        metal(rng) if rng.random() < 0.8 else None,
        pick(rng, (0.6, 0.6, 0.58), (0.3, 0.4, 0.4), (0.1, 0.1, 0.1)),
    )  # fmt: skip


def _row(
    place: Place, make: Make, at: tuple[tuple[float, float], float], front: int, hangs: bool
) -> None:
    """Cupboards along the side wall at (x range, y), their fronts towards front * y."""
    (x0, x1), wall = at
    first, last = x0 + 0.1, x1 - 0.1
    middle = wall + front * (BASE_HALF + 0.13)
    # A narrow kitchen keeps the robot's lane.
    if abs(middle) - BASE_HALF - 0.05 < LANE_HALF:
        return
    here = place.stand((first + last) / 2, middle, 0.0, front * math.pi / 2)
    _fit(place, make, here, (last - first) / 2, hangs)


def _row_ahead(place: Place, make: Make, x: float, y: tuple[float, float], hangs: bool) -> None:
    """Cupboards along the wall that closes the view."""
    half = (y[1] - y[0]) / 2 - 0.75
    if half > 0.3:
        here = place.stand(x - BASE_HALF - 0.13, (y[0] + y[1]) / 2, 0.0, math.pi)
        _fit(place, make, here, half, hangs)


def _fit(place: Place, make: Make, here: Stand, half: float, hangs: bool) -> None:
    """A row `half` m to either side of its middle, along the y axis of `here`, fronts at +x."""
    rng = place.rng
    width = float(rng.uniform(0.4, 0.62))
    count = max(1, int(2 * half / width))
    width = 2 * half / count
    tall = {int(rng.integers(count)) for _ in range(int(rng.integers(0, 3)))}
    hob = int(rng.integers(count))
    for k in range(count):
        y = -half + (k + 0.5) * width
        spot = here.on(0.0, y)
        for a in (-0.3 * width, 0.3 * width):
            ax, ay, _ = spot.at((0.0, a, 0.0))
            place.taken.append((ax, ay, BASE_HALF + 0.05))
        if k in tall:
            _tall(spot, rng, make, width / 2)
            continue
        _base(spot, rng, make, width / 2)
        if k == hob:
            spot.box((0.02, 0, TOP + 0.003), (0.24, width * 0.45, 0.004), (0.02, 0.02, 0.02), SHINY)
            spot.box((-0.08, 0, HUNG[0] + 0.12), (0.2, width * 0.45, 0.05), metal(rng), SHINY)
        else:
            _on_worktop(spot, rng, width / 2)
        if hangs and k != hob and rng.random() < 0.8:
            middle, tall_half = (HUNG[0] + HUNG[1]) / 2, (HUNG[1] - HUNG[0]) / 2
            box = (WALL_HALF, width / 2 - 0.003, tall_half)
            spot.box((WALL_HALF - BASE_HALF, 0, middle), box, make.front, make.material)
            _handle(spot.on(2 * WALL_HALF - BASE_HALF, 0, HUNG[0] + 0.06), make, width / 2)
    if rng.random() < 0.8:
        here.box((-BASE_HALF - 0.01, 0, (TOP + HUNG[0]) / 2),
                 (0.006, half, (HUNG[0] - TOP) / 2), make.splash, SHINY)  # fmt: skip


def _base(spot: Stand, rng: np.random.Generator, make: Make, half: float) -> None:
    """One cupboard under its piece of the worktop: a door, drawers, or an oven."""
    spot.box((-0.04, 0, PLINTH / 2), (BASE_HALF - 0.04, half, PLINTH / 2), (0.03, 0.03, 0.03))
    spot.box((0.01, 0, TOP - 0.02), (BASE_HALF + 0.02, half, 0.02), make.worktop,
             make.worktop_material)  # fmt: skip
    top, sort = TOP - 0.042, rng.random()
    if sort < 0.15:
        box = (BASE_HALF, half - 0.003, (top - PLINTH) / 2)
        spot.box((0, 0, (top + PLINTH) / 2), box, (0.02, 0.02, 0.02), SHINY)
        spot.box((BASE_HALF + 0.02, 0, top - 0.12), (0.01, half * 0.8, 0.012), (0.5, 0.5, 0.5))
        return
    drawers = 3 if sort < 0.45 else 1
    for k in range(drawers):
        high = (top - PLINTH) / drawers
        middle = PLINTH + (k + 0.5) * high
        spot.box((0, 0, middle), (BASE_HALF, half - 0.003, high / 2 - 0.003), make.front,
                 make.material)  # fmt: skip
        _handle(spot.on(BASE_HALF, 0, middle + high / 2 - 0.06), make, half)


def _handle(spot: Stand, make: Make, half: float) -> None:
    if make.handle is not None:
        spot.box((0.015, 0, 0), (0.012, half * 0.35, 0.007), make.handle)


def _tall(spot: Stand, rng: np.random.Generator, make: Make, half: float) -> None:
    """A fridge or a cupboard up to the hung ones' top."""
    fridge = rng.random() < 0.5
    colour, material = (grey(rng, 0.4, 0.75), SHINY) if fridge else (make.front, make.material)
    split = float(rng.uniform(0.6, 1.2))
    for low, high in ((0.03, split), (split + 0.006, HUNG[1] - 0.2 * fridge)):
        spot.box((0.01, 0, (low + high) / 2), (BASE_HALF + 0.01, half - 0.003, (high - low) / 2),
                 colour, material)  # fmt: skip
        spot.box((BASE_HALF + 0.035, half * 0.7, (low + high) / 2), (0.012, 0.01, 0.2), metal(rng))


def _on_worktop(spot: Stand, rng: np.random.Generator, half: float) -> None:
    """Nothing, small things, a machine, a sink with its tap, or a dish rack."""
    sort = rng.random()
    if sort < 0.4:
        seats.add_on_table(spot, rng, (BASE_HALF * 0.8, half), TOP, int(rng.integers(0, 4)))
    elif sort < 0.6:
        tall = float(rng.uniform(0.1, 0.19))
        wide = half * float(rng.uniform(0.4, 0.9))
        colour = pick(rng, (0.03, 0.03, 0.03), (0.5, 0.5, 0.5), (0.7, 0.7, 0.7))
        spot.box((-0.08, 0, TOP + tall), (0.16, wide, tall), colour, SHINY)
    elif sort < 0.75:
        spot.box((0.03, 0, TOP + 0.002), (0.2, half * 0.85, 0.003), (0.45, 0.45, 0.46), SHINY)
        spot.post((-0.2, 0, TOP + 0.13), 0.015, 0.13, (0.5, 0.5, 0.5), SHINY)
        spot.box((-0.11, 0, TOP + 0.26), (0.1, 0.012, 0.012), (0.5, 0.5, 0.5), SHINY)
    elif sort < 0.85:
        count = int(rng.integers(2, 6))
        for k in range(count):
            y = half * (2 * (k + 0.5) / count - 1) * 0.9
            tall = float(rng.uniform(0.06, 0.16))
            spot.post((-0.2, y, TOP + tall), 0.03, tall, any_colour(rng, 0.03, 0.7), SHINY)
