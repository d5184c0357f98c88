"""Small things: plants, lamps, cables, bins, pictures, radiators, clutter on the floor, people."""

from __future__ import annotations

import math

import numpy as np

from kdbts_ros.datasets.synthetic.indoor_surfaces import CLOTH, GRILLE, HAZARD, LAMP, SCREEN, SHINY
from kdbts_ros.datasets.synthetic.places.stand import Stand, any_colour, grey, metal, pick, wood
from kdbts_ros.datasets.synthetic.plants import leaf_colour
from kdbts_ros.datasets.synthetic.primitives import FOLIAGE, LEAVES


def add_plant(here: Stand, rng: np.random.Generator) -> None:
    """A plant in a pot, 0.4 to 1.8 m high."""
    pot, tall = float(rng.uniform(0.1, 0.2)), float(rng.uniform(0.25, 1.4))
    rim = 2 * pot * float(rng.uniform(0.8, 1.2))
    here.post((0, 0, rim / 2), pot, rim / 2, any_colour(rng, 0.05, 0.7))
    stem = rim + 0.35 * tall
    here.post((0, 0, stem / 2 + rim / 2), 0.015, (stem - rim) / 2 + 0.05, (0.08, 0.06, 0.03))
    colour, wide = leaf_colour(rng, 0.02), float(rng.uniform(0.6, 1.2)) * (0.12 + 0.25 * tall)
    for _ in range(int(rng.integers(2, 5))):
        shift = rng.normal(0, 0.25, 2) * wide
        size = wide * float(rng.uniform(0.55, 0.9))
        z = stem + tall * float(rng.uniform(0.1, 0.5))
        here.table.add(
            LEAVES, here.at((float(shift[0]), float(shift[1]), z)),
            (size, size, 0.35 * tall * float(rng.uniform(0.7, 1.1))), float(rng.uniform(0, 3)),
            FOLIAGE, colour, frequency=float(rng.uniform(5.0, 11.0)), contrast=0.5,
            period=float(rng.uniform(0.5, 0.9)),
        )  # fmt: skip


def add_floor_lamp(here: Stand, rng: np.random.Generator, bright: float) -> float:
    """A standing lamp whose shade glows; the height of its light, m."""
    tall, frame = float(rng.uniform(1.3, 1.75)), metal(rng)
    here.post((0, 0, 0.012), 0.14, 0.012, frame)
    here.post((0, 0, tall / 2), 0.012, tall / 2, frame)
    here.table.add(
        0, here.at((0, 0, tall)), (0.17, 0.17, 0.13), here.yaw, LAMP, (1.0, 0.85, 0.62),
        taper=(0.06, 0.06, 0.06), period=bright,
    )  # fmt: skip
    return tall


def add_cable(here: Stand, rng: np.random.Generator, length: float) -> None:
    """A cable or hose that winds over the floor from where it begins along x."""
    radius = float(rng.choice([0.004, 0.006, 0.012]))
    colour = any_colour(rng, 0.01, 0.5) if rng.random() < 0.4 else (0.02, 0.02, 0.02)
    piece, turn = 0.12, 0.0
    spot = here.on(0.0, 0.0, radius)
    for _ in range(int(length / piece)):
        turn = 0.85 * turn + float(rng.normal(0, 0.22))
        spot = spot.on(piece / 2, 0.0, 0.0, turn)
        spot.roll((0, 0, 0), radius, piece / 2 + radius, colour, turn=math.pi / 2)
        spot = spot.on(piece / 2, 0.0)


def add_bin(here: Stand, rng: np.random.Generator) -> None:
    """A waste bin, a wheeled one among them."""
    colour = any_colour(rng, 0.02, 0.4)
    if rng.random() < 0.6:
        tall = float(rng.uniform(0.25, 0.6))
        here.post((0, 0, tall / 2), float(rng.uniform(0.12, 0.2)), tall / 2, colour)
    else:
        here.box((0, 0, 0.5), (0.27, 0.25, 0.47), colour, contrast=0.06)
        here.box((0.02, 0, 1.0), (0.3, 0.27, 0.04), colour)
        for y in (-0.22, 0.22):
            here.roll((-0.25, y, 0.1), 0.1, 0.03, (0.02, 0.02, 0.02))


def add_radiator(here: Stand, rng: np.random.Generator) -> None:
    """A radiator along y at a wall."""
    half, tall = float(rng.uniform(0.35, 0.9)), float(rng.uniform(0.25, 0.35))
    here.box((0, 0, 0.12 + tall), (0.05, half, tall), grey(rng, 0.55, 0.8), GRILLE, period=0.05)


def add_television(here: Stand, rng: np.random.Generator) -> None:
    """A television on a low board along y, its front at +x."""
    half, low = float(rng.uniform(0.45, 0.75)), float(rng.uniform(0.35, 0.55))
    board = wood(rng)
    here.box((0, 0, low / 2), (0.2, half * 1.3, low / 2), board)
    here.box((0, 0, low + 0.03), (0.1, 0.2, 0.02), (0.02, 0.02, 0.02))
    here.box(
        (0, 0, low + 0.06 + 0.57 * half), (0.025, half, 0.57 * half), (0.03, 0.03, 0.03), SCREEN
    )


def add_coat_stand(here: Stand, rng: np.random.Generator) -> None:
    """A coat stand with coats on it."""
    frame, tall = wood(rng), float(rng.uniform(1.6, 1.85))
    here.post((0, 0, tall / 2), 0.02, tall / 2, frame)
    for k in range(4):
        here.box((0, 0, 0.03), (0.22, 0.015, 0.02), frame, turn=k * math.pi / 4)
    for _ in range(int(rng.integers(0, 4))):
        turn = float(rng.uniform(0, 6))
        spot = here.on(0.12 * math.cos(turn), 0.12 * math.sin(turn), 0.0, turn)
        spot.ball((0, 0, tall - 0.6), (0.09, 0.17, 0.5), any_colour(rng, 0.02, 0.4), CLOTH)


def add_clutter(here: Stand, rng: np.random.Generator) -> None:
    """Something small on the floor: a bag, a shoe, a ball, a bottle, a book, a toy block."""
    sort, colour = rng.random(), any_colour(rng, 0.02, 0.6)
    if sort < 0.25:
        here.ball((0, 0, 0.2), (0.13, 0.17, 0.22), colour, CLOTH)
    elif sort < 0.45:
        for y in (-0.06, 0.06):
            here.box((0, y, 0.04), (0.14, 0.045, 0.04), colour, taper=(0.1, 0.02, 0.01))
    elif sort < 0.6:
        size = float(rng.uniform(0.05, 0.13))
        here.ball((0, 0, size), (size, size, size), colour, SHINY)
    elif sort < 0.75:
        here.post((0, 0, 0.13), 0.04, 0.13, colour, SHINY)
    else:
        half = [float(h) for h in rng.uniform(0.02, 0.12, 3)]
        here.box((0, 0, half[2]), (half[0], half[1], half[2]), colour)


def add_wet_sign(here: Stand, rng: np.random.Generator) -> None:
    """A yellow folding sign or a cone."""
    if rng.random() < 0.5:
        for side in (-1, 1):
            lean = (0.09, 0.0, 0.03) if side > 0 else (0.0, 0.09, 0.03)
            here.box((side * 0.1, 0, 0.3), (0.05, 0.14, 0.3), (0.6, 0.5, 0.02), taper=lean)
    else:
        here.box((0, 0, 0.015), (0.18, 0.18, 0.015), (0.02, 0.02, 0.02))
        here.box((0, 0, 0.28), (0.12, 0.12, 0.26), (0.6, 0.12, 0.02), HAZARD, taper=(0.1, 0.1, 0.1))


def add_extinguisher(here: Stand, rng: np.random.Generator) -> None:
    """A fire extinguisher on the floor or a wall."""
    here.post((0, 0, 0.25 + float(rng.choice([0.0, 0.7]))), 0.08, 0.24, (0.5, 0.02, 0.02), SHINY)


SKIN = ((0.5, 0.33, 0.24), (0.3, 0.18, 0.11), (0.12, 0.07, 0.04), (0.55, 0.4, 0.3))


def add_people(here: Stand, rng: np.random.Generator) -> None:
    """Somebody, or two who talk."""
    for _ in range(1 + (rng.random() < 0.3)):
        add_figure(here, rng)
        across = float(rng.uniform(-0.3, 0.3))
        here = here.on(float(rng.uniform(0.6, 0.9)), across, 0.0, float(rng.uniform(2.0, 4.3)))


def add_figure(here: Stand, rng: np.random.Generator) -> None:
    """Somebody who stands or walks along x: shoes, legs, hips, trunk, arms, neck, head, hair."""
    tall = float(rng.uniform(1.5, 1.92))
    wide, stride = float(rng.uniform(0.85, 1.25)), float(rng.choice([0.0, rng.uniform(0.05, 0.2)]))
    skin, trousers = pick(rng, *SKIN), any_colour(rng, 0.01, 0.25)
    coat, sleeves = any_colour(rng, 0.02, 0.7), rng.random() < 0.7
    for side in (-1, 1):
        x, y = side * stride, 0.09 * side * wide
        here.box((x + 0.04, y, 0.04), (0.13, 0.045, 0.04), (0.03, 0.03, 0.03), taper=(0.1, 0.02, 0))
        here.post((x, y, 0.15 * tall), 0.055 * wide, 0.11 * tall, trousers)
        here.post((0.5 * x, y, 0.37 * tall), 0.075 * wide, 0.12 * tall, trousers)
        arm = 0.205 * wide * side
        here.post((-0.6 * x, arm, 0.71 * tall), 0.045 * wide, 0.085 * tall, coat, CLOTH)
        here.post((-0.3 * x + 0.03, arm, 0.55 * tall), 0.035 * wide, 0.08 * tall,
                  coat if sleeves else skin)  # fmt: skip
        here.ball((0.05 - 0.3 * x, arm, 0.455 * tall), (0.035, 0.025, 0.045), skin)
    here.ball((0, 0, 0.5 * tall), (0.11 * wide, 0.16 * wide, 0.07 * tall), trousers)
    chest = (0.115 * wide, 0.175 * wide, 0.145 * tall)
    here.box((0, 0, 0.665 * tall), chest, coat, CLOTH, taper=(0.02, 0.02, 0.0))
    here.ball((0, 0, 0.8 * tall), (0.1 * wide, 0.2 * wide, 0.045 * tall), coat, CLOTH)
    here.post((0, 0, 0.855 * tall), 0.05, 0.035 * tall, skin)
    here.ball((0.015, 0, 0.925 * tall), (0.095, 0.077, 0.075 * tall), skin)
    hair = pick(rng, (0.02, 0.015, 0.01), (0.1, 0.05, 0.02), (0.35, 0.25, 0.12), (0.4, 0.4, 0.4))
    here.ball((-0.012, 0, 0.945 * tall), (0.095, 0.085, 0.062 * tall), hair)
    if rng.random() < 0.3:
        here.ball((-0.17, 0, 0.68 * tall), (0.1, 0.15, 0.13 * tall), any_colour(rng), CLOTH)
