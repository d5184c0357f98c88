"""What moves and is moved: forklifts, trolleys, trailers, cleaning carts, bicycles, robots."""

from __future__ import annotations

import math

import numpy as np

from kdbts_ros.datasets.synthetic.indoor_surfaces import CARTON, GRILLE, HAZARD, SHINY
from kdbts_ros.datasets.synthetic.places.stand import Stand, any_colour, grey, metal, pick
from kdbts_ros.datasets.synthetic.places.storage import CARDBOARD, add_load
from kdbts_ros.datasets.synthetic.primitives import CAR_BODY, PLAIN, PLANKS, TYRE

BLACK = (0.02, 0.02, 0.02)


def add_forklift(here: Stand, rng: np.random.Generator) -> None:
    """A counterbalance truck: body, mast and forks at +x, an overhead guard, wheels."""
    colour = pick(rng, (0.6, 0.3, 0.02), (0.55, 0.05, 0.03), (0.6, 0.5, 0.05), (0.1, 0.3, 0.1))
    here.box((-0.5, 0, 0.55), (0.55, 0.52, 0.4), colour, SHINY, taper=(0.05, 0.15, 0.04))
    here.box((0.3, 0, 0.4), (0.35, 0.5, 0.25), colour, SHINY)
    here.box((-0.25, 0, 1.05), (0.22, 0.24, 0.12), BLACK, taper=(0.05, 0, 0.03))
    here.box((-0.45, 0, 1.3), (0.06, 0.22, 0.25), BLACK)
    for x in (-0.75, 0.5):
        for y in (-0.46, 0.46):
            here.box((x, y, 1.5), (0.03, 0.03, 0.65), BLACK)
            here.roll((x, y, 0.24), 0.24, 0.09, grey(rng, 0.1, 0.4), TYRE)
    here.box((-0.12, 0, 2.15), (0.68, 0.5, 0.03), BLACK, GRILLE, period=0.12)
    lift = float(rng.choice([0.03, rng.uniform(0.1, 1.2)]))
    for y in (-0.3, 0.3):
        here.box((0.72, y, 1.1), (0.05, 0.05, 1.05), metal(rng))
        here.box((1.35, y * 0.7, lift + 0.03), (0.55, 0.06, 0.025), grey(rng, 0.05, 0.2))
    here.box((0.78, 0, lift + 0.3), (0.02, 0.45, 0.3), BLACK, GRILLE, period=0.15)
    if rng.random() < 0.4:
        add_load(here.on(1.4, 0, lift, math.pi / 2), rng, 1.2)


def add_pallet_jack(here: Stand, rng: np.random.Generator) -> None:
    """A hand pallet truck, its handle at -x; now and then with a load."""
    colour = pick(rng, (0.6, 0.3, 0.02), (0.55, 0.05, 0.03), (0.6, 0.5, 0.05))
    for y in (-0.18, 0.18):
        here.box((0.1, y, 0.1), (0.58, 0.075, 0.03), colour)
        here.roll((0.6, y, 0.04), 0.04, 0.04, BLACK)
    here.box((-0.55, 0, 0.25), (0.1, 0.2, 0.2), colour)
    here.roll((-0.6, 0, 0.09), 0.09, 0.08, BLACK)
    here.box((-0.68, 0, 0.75), (0.02, 0.02, 0.45), BLACK)
    here.box((-0.68, 0, 1.2), (0.02, 0.16, 0.03), BLACK)
    if rng.random() < 0.5:
        add_load(here.on(0.15, 0, 0.03), rng, 1.3)


def add_hand_truck(here: Stand, rng: np.random.Generator) -> None:
    """A sack truck: a toe plate at +x, an upright frame, two wheels, boxes on it."""
    colour = any_colour(rng, 0.05, 0.5)
    for y in (-0.18, 0.18):
        here.box((0, y, 0.62), (0.015, 0.015, 0.6), colour)
        here.roll((-0.08, y * 1.2, 0.13), 0.13, 0.03, BLACK)
    for z in (0.3, 0.6, 0.9, 1.2):
        here.box((0, 0, z), (0.012, 0.18, 0.012), colour)
    here.box((0.13, 0, 0.03), (0.13, 0.2, 0.006), colour)
    z = 0.036
    for _ in range(int(rng.integers(0, 4))):
        half = float(rng.uniform(0.08, 0.2))
        here.box((0.16, 0, z + half), (0.14, 0.2, half), pick(rng, CARDBOARD), CARTON)
        z += 2 * half


def add_trolley(here: Stand, rng: np.random.Generator) -> None:
    """A shopping or roll container: a cage of bars on castors, handle at -x."""
    frame, sort = grey(rng, 0.25, 0.6), rng.random()
    half = (0.42, 0.27) if sort < 0.5 else (0.4, 0.35)
    low, high = (0.5, 1.0) if sort < 0.5 else (0.18, float(rng.uniform(1.2, 1.7)))
    for x in (-half[0] + 0.05, half[0] - 0.05):
        for y in (-half[1] + 0.04, half[1] - 0.04):
            here.roll((x, y, 0.06), 0.06, 0.02, BLACK)
            here.box((x, y, (0.1 + high) / 2), (0.012, 0.012, (high - 0.1) / 2), frame)
    here.box((0, 0, 0.14), (half[0], half[1], 0.012), frame)
    here.box((0, 0, low), (half[0], half[1], 0.01), frame, GRILLE, period=0.05)
    for z in np.linspace(low, high, 4 if sort < 0.5 else 7):
        for y in (-half[1], half[1]):
            here.box((0, y, float(z)), (half[0], 0.006, 0.006), frame)
        here.box((half[0], 0, float(z)), (0.006, half[1], 0.006), frame)
        if sort >= 0.5 or z > low:
            here.box((-half[0], 0, float(z)), (0.006, half[1], 0.006), frame)
    here.box((-half[0] - 0.08, 0, 1.02), (0.015, half[1], 0.015), any_colour(rng))
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(-0.5, 0.5, 2) * half
        tall = float(rng.uniform(0.1, 0.25))
        here.box((float(x), float(y), low + tall), (0.14, 0.12, tall), any_colour(rng), CARTON)


def add_cart(here: Stand, rng: np.random.Generator) -> None:
    """A cleaning or serving cart of two or three trays."""
    frame, colour = metal(rng), any_colour(rng, 0.1, 0.6)
    here.legs(0.38, 0.22, 0.95, 0.012, frame)
    for z in (0.15, 0.5, 0.88)[: int(rng.integers(2, 4))]:
        here.box((0, 0, z), (0.4, 0.24, 0.015), frame)
        for _ in range(int(rng.integers(0, 3))):
            x, y = float(rng.uniform(-0.28, 0.28)), float(rng.uniform(-0.12, 0.12))
            tall = float(rng.uniform(0.05, 0.13))
            here.box((x, y, z + 0.015 + tall), (0.09, 0.08, tall), any_colour(rng))
    if rng.random() < 0.5:
        here.box((0.5, 0, 0.6), (0.1, 0.2, 0.35), colour, taper=(0.03, 0.03, 0.03))


def add_robot(here: Stand, rng: np.random.Generator) -> None:
    """Another robot: a low round one, a flat carrier, or one with a mast."""
    colour, sort = grey(rng, 0.02, 0.7), rng.random()
    if sort < 0.4:
        here.post((0, 0, 0.055), 0.17, 0.04, colour, SHINY)
    else:
        here.box((0, 0, 0.2), (0.35, 0.27, 0.13), colour, SHINY, taper=(0.03, 0.03, 0.03))
        for x in (-0.2, 0.2):
            for y in (-0.24, 0.24):
                here.roll((x, y, 0.08), 0.08, 0.025, BLACK)
        if sort > 0.7:
            here.box((-0.2, 0, 0.75), (0.04, 0.1, 0.45), colour)
            here.box((-0.18, 0, 1.25), (0.03, 0.14, 0.1), BLACK)


def add_bicycle(here: Stand, rng: np.random.Generator) -> None:
    """A bicycle along x, of rims, a frame and a bar."""
    colour = any_colour(rng, 0.03, 0.5)
    for x in (-0.5, 0.5):
        here.roll((x, 0, 0.34), 0.34, 0.012, BLACK, TYRE)
    here.box((0.0, 0, 0.58), (0.42, 0.018, 0.025), colour)
    here.box((-0.1, 0, 0.52), (0.02, 0.018, 0.3), colour)
    here.box((-0.15, 0, 0.9), (0.12, 0.06, 0.03), BLACK)
    here.box((0.42, 0, 0.75), (0.02, 0.018, 0.25), colour)
    here.box((0.4, 0, 1.0), (0.02, 0.28, 0.015), BLACK)
    here.box((-0.3, 0, 0.3), (0.22, 0.012, 0.02), colour)


def add_trailer(here: Stand, rng: np.random.Generator) -> None:
    """The back of a lorry: a box body on wheels, its doors at +x, a bumper bar."""
    colour = pick(rng, (0.65, 0.65, 0.63), (0.05, 0.1, 0.3), (0.5, 0.05, 0.04), (0.3, 0.32, 0.3))
    long, high = float(rng.uniform(3.5, 6.5)), float(rng.uniform(2.4, 2.7))
    here.box((-long, 0, 1.15 + high / 2), (long, 1.25, high / 2), colour, PLAIN, contrast=0.05)
    for y in (-0.62, 0.62):
        z, door = 1.15 + high / 2, grey(rng, 0.4, 0.7)
        here.box((0.02, y, z), (0.02, 0.61, high / 2 - 0.04), door, PLANKS, period=1.2)
        here.box((0.06, y, z), (0.02, 0.015, high / 2 - 0.1), metal(rng))
        here.box((0.03, y * 1.7, 0.95), (0.02, 0.12, 0.08), (0.5, 0.03, 0.02))
    here.box((0.0, 0, 0.55), (0.05, 1.15, 0.06), BLACK, HAZARD)
    for x in (-0.9, -2.1):
        for y in (-1.0, 1.0):
            here.roll((x, y, 0.5), 0.5, 0.2, grey(rng, 0.1, 0.4), TYRE)
    if rng.random() < 0.6:
        here.box(
            (-2 * long - 1.2, 0, 1.7), (1.1, 1.2, 1.2), colour, CAR_BODY, taper=(0.0, 0.1, 0.05)
        )


def add_container(here: Stand, rng: np.random.Generator) -> None:
    """A shipping container or a skip, along x."""
    colour = any_colour(rng, 0.04, 0.4)
    if rng.random() < 0.5:
        here.box((0, 0, 1.3), (3.03, 1.22, 1.25), colour, PLANKS, period=0.28, contrast=0.2)
    else:
        here.box((0, 0, 0.75), (1.9, 0.85, 0.65), colour, GRILLE, period=0.6, contrast=0.25)
        for side in (-1, 1):
            here.box((side * 1.95, 0, 1.3), (0.06, 0.9, 0.05), colour)
