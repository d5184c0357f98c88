"""Walls with windows and doors, ceilings, beams and pillars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdbts_ros.datasets.synthetic.indoor_surfaces import BLINDS, GLASS, PANEL
from kdbts_ros.datasets.synthetic.places.place import LANE_HALF, Place
from kdbts_ros.datasets.synthetic.places.stand import Stand, any_colour, grey, metal, pick, wood
from kdbts_ros.datasets.synthetic.primitives import BRICK, PLAIN, Colour

# What fills an opening.
WINDOW, SHUT, OPEN, GAP, PANE, GLASS_DOOR, ROLLER = range(7)


@dataclass(frozen=True)
class Opening:
    """A hole in a wall: metres along the wall and above the floor, and what is in it."""

    start: float
    width: float
    low: float
    high: float
    fill: int


@dataclass(frozen=True)
class Wall:
    """How walls look: height and thickness in m."""

    height: float
    thickness: float
    colour: Colour
    material: int = PLAIN
    contrast: float = 0.05
    period: float = 0.5


def paint(rng: np.random.Generator) -> Colour:
    """White, cream, a pastel or now and then a strong colour."""
    if rng.random() < 0.15:
        return any_colour(rng, 0.15, 0.6)
    return pick(rng, (0.7, 0.7, 0.68), (0.62, 0.58, 0.48), (0.5, 0.55, 0.58), (0.55, 0.6, 0.5))


def plaster(rng: np.random.Generator, height: float) -> Wall:
    """Painted walls of rooms, now and then brick."""
    material = BRICK if rng.random() < 0.08 else PLAIN
    return Wall(height, float(rng.uniform(0.1, 0.25)), paint(rng), material,
                float(rng.uniform(0.01, 0.12)), 0.24)  # fmt: skip


def build_wall(
    place: Place, start: tuple[float, float], end: tuple[float, float], look: Wall,
    openings: Sequence[Opening] = (),
) -> None:  # fmt: skip
    """A wall between two points of the floor; the place is to its left."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    here = place.stand(*start, 0.0, math.atan2(dy, dx))
    at = 0.0
    for hole in sorted(openings, key=lambda o: o.start):
        first, last = max(hole.start, at), min(hole.start + hole.width, length)
        if last - first < 0.3:
            continue
        _piece(here, look, at, first, 0.0, look.height)
        _piece(here, look, first, last, 0.0, hole.low)
        _piece(here, look, first, last, min(hole.high, look.height), look.height)
        _fill(place, here, first, last - first, hole, look)
        at = last
    _piece(here, look, at, length, 0.0, look.height)


def _piece(here: Stand, look: Wall, x0: float, x1: float, z0: float, z1: float) -> None:
    if x1 - x0 < 1e-3 or z1 - z0 < 1e-3:
        return
    here.box(
        ((x0 + x1) / 2, 0, (z0 + z1) / 2), ((x1 - x0) / 2, look.thickness / 2, (z1 - z0) / 2),
        look.colour, look.material, contrast=look.contrast, period=look.period, frequency=0.8,
    )  # fmt: skip


def _fill(place: Place, here: Stand, start: float, width: float, hole: Opening, look: Wall) -> None:
    rng, high = place.rng, min(hole.high, look.height)
    middle, tall = start + width / 2, high - hole.low
    if hole.fill in (WINDOW, PANE, GLASS_DOOR):
        frame = metal(rng) if rng.random() < 0.5 else grey(rng, 0.4, 0.8)
        _glazing(here, rng, (middle, hole.low, width, tall), frame, hole.fill)
        if hole.fill == WINDOW:
            # The day shines in from the pane, to the left of the wall.
            inward = (-math.sin(here.yaw), math.cos(here.yaw), 0.0)
            at = here.at((middle, 0.25, hole.low + tall / 2))
            light = width * tall
            place.windows.append((*at, light, light, light, *inward, 0.4 * math.sqrt(light)))
            if rng.random() < 0.35:
                drawn = tall * float(rng.uniform(0.15, 0.9))
                here.box((middle, 0.06, high - drawn / 2), (width / 2, 0.01, drawn / 2),
                         grey(rng, 0.4, 0.8), BLINDS, period=0.05)  # fmt: skip
    elif hole.fill == SHUT:
        leaf = wood(rng) if rng.random() < 0.6 else paint(rng)
        here.box((middle, 0, tall / 2), (width / 2, 0.025, tall / 2), leaf, PANEL)
    elif hole.fill == OPEN:
        leaf, side = (wood(rng) if rng.random() < 0.6 else paint(rng)), float(rng.choice([-1, 1]))
        swing, inside = math.radians(float(rng.uniform(20, 110))), rng.random() < 0.5
        # Into the place only where the leaf leaves the lane free.
        apart = abs(here.at((middle, 0.0, 0.0))[1]) > LANE_HALF + 1.5 * width
        swing *= side if inside and apart else -side
        hinge = here.on(middle - side * width / 2, 0.0, 0.0, swing + (0 if side > 0 else math.pi))
        hinge.box((width / 2, 0, tall / 2), (width / 2, 0.022, tall / 2), leaf, PANEL)
    elif hole.fill == ROLLER:
        down = tall * float(rng.choice([1.0, 1.0, rng.uniform(0.05, 0.8)]))
        here.box((middle, 0, high - down / 2), (width / 2, 0.03, down / 2), grey(rng, 0.25, 0.7),
                 BLINDS, period=0.12)  # fmt: skip


def _glazing(
    here: Stand, rng: np.random.Generator, pane: tuple[float, float, float, float], frame: Colour,
    fill: int,
) -> None:  # fmt: skip
    """Panes in a frame; pane: middle along the wall, sill, width, height."""
    middle, low, width, tall = pane
    day = 1.0 if fill == WINDOW else 0.0
    frosted = fill == PANE and rng.random() < 0.15
    veil = float(rng.uniform(0.6, 0.9) if frosted else rng.uniform(0.0, 0.06))
    tint = (0.93, 0.96, 0.94)
    z = low + tall / 2
    here.box((middle, 0, z), (width / 2, 0.006, tall / 2), tint, GLASS, contrast=veil, period=day)
    bar = 0.03
    for side in (-1, 1):
        here.box((middle + side * (width / 2 - bar), 0, z), (bar, 0.03, tall / 2), frame)
        here.box((middle, 0, z + side * (tall / 2 - bar)), (width / 2, 0.03, bar), frame)
    count = round(width / float(rng.uniform(0.8, 1.6)))
    for k in range(1, count):
        here.box((middle - width / 2 + k * width / count, 0, z), (0.02, 0.03, tall / 2), frame)
    if fill == GLASS_DOOR:
        here.box((middle + 0.3 * width, 0.05, 1.05), (0.015, 0.015, 0.2), metal(rng))
    if fill != WINDOW and tall > 1.8 and rng.random() < 0.6:
        # A band on the glass, as the law wants one.
        here.box((middle, 0, 1.4), (width / 2, 0.008, 0.05), grey(rng, 0.4, 0.8))


def add_ceiling(
    place: Place, x: tuple[float, float], y: tuple[float, float], height: float, colour: Colour
) -> None:
    """A slab over a rectangle."""
    middle, half = ((x[0] + x[1]) / 2, (y[0] + y[1]) / 2), ((x[1] - x[0]) / 2, (y[1] - y[0]) / 2)
    place.stand(*middle, height).box(
        (0, 0, 0.12), (half[0] + 0.3, half[1] + 0.3, 0.12), colour, contrast=0.04, frequency=1.5
    )


def add_room(
    place: Place, x: tuple[float, float], y: tuple[float, float], look: Wall,
    openings: Sequence[Sequence[Opening]],
) -> None:  # fmt: skip
    """Four walls around a rectangle: openings of those at y0, x1, y1 and x0, in turn."""
    corners = [(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])]
    for k in range(4):
        build_wall(place, corners[k], corners[(k + 1) % 4], look, openings[k])


def row_of(
    rng: np.random.Generator, length: float, fill: int, size: tuple[float, float, float],
    gap: tuple[float, float],
) -> list[Opening]:  # fmt: skip
    """Equal openings along a wall; size: width, low and high end, m; gap: between two, m."""
    found, at = [], float(rng.uniform(0.3, gap[1]))
    step = size[0] + float(rng.uniform(*gap))
    while at + size[0] < length - 0.2:
        found.append(Opening(at, *size, fill))
        at += step
    return found


def add_pillars(
    place: Place, xs: Sequence[float], ys: Sequence[float], half: float, height: float,
    colour: Colour,
) -> None:  # fmt: skip
    """Square or round pillars on a raster, none in the lane."""
    square = place.rng.random() < 0.7
    for x in xs:
        for y in ys:
            if not place.is_free(x, y, 1.3 * half):
                continue
            place.taken.append((x, y, 1.3 * half))
            here = place.stand(x, y)
            if square:
                here.box((0, 0, height / 2), (half, half, height / 2), colour, contrast=0.12)
            else:
                here.post((0, 0, height / 2), half, height / 2, colour)
