"""What holds goods: shelves, cupboards, pallet racks, pallets, boxes, barrels and shop gondolas."""

from __future__ import annotations

import numpy as np

from kdbts_ros.datasets.synthetic.indoor_surfaces import (
    CARTON,
    GOODS,
    GRILLE,
    HAZARD,
    PANEL,
    SHINY,
    SPINES,
    TIMBER,
)
from kdbts_ros.datasets.synthetic.places.stand import Stand, any_colour, grey, metal, pick, wood
from kdbts_ros.datasets.synthetic.primitives import PLAIN, PLANKS

PALLET = (0.6, 0.4)  # half length and width of a euro pallet, m
CARDBOARD = (0.3, 0.2, 0.11)


def add_bookshelf(here: Stand, rng: np.random.Generator, half: float, height: float) -> None:
    """An open shelf `half` m to either side along y, its front at +x."""
    colour, deep = wood(rng), float(rng.uniform(0.14, 0.22))
    back = rng.random() < 0.7
    if back:
        here.box((-deep + 0.01, 0, height / 2), (0.008, half, height / 2), colour, TIMBER)
    columns = max(1, round(2 * half / float(rng.uniform(0.6, 1.0))))
    for k in range(columns + 1):
        y = -half + 2 * half * k / columns
        here.box((0, y, height / 2), (deep, 0.012, height / 2), colour, TIMBER)
    count = max(2, int(height / float(rng.uniform(0.3, 0.42))))
    for level in range(count + 1):
        z = 0.04 + (height - 0.06) * level / count
        here.box((0, 0, z), (deep, half, 0.012), colour, TIMBER)
    gap = (height - 0.06) / count
    for level in range(count):
        for k in range(columns):
            if rng.random() < 0.2:
                continue
            y = -half + (2 * k + 1) * half / columns
            spot = here.on(0.0, y, 0.055 + gap * level)
            _on_shelf(spot, rng, deep, half / columns - 0.02, gap - 0.03)


def _on_shelf(spot: Stand, rng: np.random.Generator, deep: float, half: float, gap: float) -> None:
    """Books, a box or two, or a vase in one compartment."""
    sort = rng.random()
    if sort < 0.55:
        wide = half * float(rng.uniform(0.4, 1.0))
        tall = min(gap * 0.95, float(rng.uniform(0.2, 0.32)))
        shift = float(rng.choice([-1, 1])) * (half - wide)
        spot.box((0, shift, tall / 2), (deep * 0.75, wide, tall / 2), (0.3, 0.3, 0.3), SPINES)
    elif sort < 0.85:
        tall = gap * float(rng.uniform(0.3, 0.8))
        half_box = (deep * 0.8, half * float(rng.uniform(0.3, 0.9)), tall / 2)
        spot.box((0, 0, tall / 2), half_box, any_colour(rng), PLAIN)
    else:
        tall = gap * float(rng.uniform(0.4, 0.8))
        spot.post((0, 0, tall / 2), min(0.08, half), tall / 2, any_colour(rng, 0.05, 0.7), SHINY)


def add_cupboard(here: Stand, rng: np.random.Generator, half: float, height: float) -> None:
    """A closed cupboard, lockers or a sideboard along y, its front at +x."""
    colour, deep = (wood(rng) if rng.random() < 0.6 else grey(rng, 0.15, 0.7)), 0.22
    feet = float(rng.choice([0.0, 0.05, 0.12]))
    doors = max(1, round(2 * half / float(rng.uniform(0.35, 0.55))))
    for k in range(doors):
        y = -half + (2 * k + 1) * half / doors
        here.box((0, y, (feet + height) / 2), (deep, half / doors - 0.002, (height - feet) / 2),
                 colour, PANEL)  # fmt: skip
    if feet > 0:
        here.legs(deep - 0.04, half - 0.04, feet, 0.02, metal(rng))


def add_pallet(here: Stand, rng: np.random.Generator) -> float:
    """An empty pallet of boards on blocks, along x; its height, m."""
    colour = pick(rng, (0.35, 0.25, 0.15), (0.22, 0.16, 0.1))
    half_x, half_y = PALLET
    for y in (-half_y + 0.05, 0.0, half_y - 0.05):
        here.box((0, y, 0.011), (half_x, 0.05, 0.011), colour, TIMBER)
        for x in (-half_x + 0.07, 0.0, half_x - 0.07):
            here.box((x, y, 0.061), (0.07, 0.05, 0.039), colour)
    for x in (-0.53, -0.27, 0.0, 0.27, 0.53):
        here.box((x, 0, 0.133), (0.065, half_y, 0.011), colour, TIMBER)
    here.box((0, 0, 0.111), (half_x, half_y, 0.011), colour, TIMBER)
    return 0.144


def add_load(here: Stand, rng: np.random.Generator, most: float) -> None:
    """A pallet with cartons, sacks, a crate or drums on it, up to a height."""
    top = add_pallet(here, rng)
    sort, high = rng.random(), float(rng.uniform(0.35, 1.0)) * (most - top)
    if high < 0.15:
        return
    if sort < 0.55:
        _cartons(here.on(0, 0, top), rng, high)
    elif sort < 0.75:
        wrap = any_colour(rng, 0.2, 0.7)
        here.box(
            (0, 0, top + high / 2), (0.58, 0.39, high / 2), wrap, SHINY, taper=(0.02, 0.02, 0.02)
        )
    elif sort < 0.87:
        here.box((0, 0, top + high / 2), (0.58, 0.39, high / 2), wood(rng), PLANKS, period=0.12)
    else:
        colour, tall = any_colour(rng, 0.03, 0.5), min(high, 0.88)
        for x in (-0.29, 0.29):
            here.post((x, 0, top + tall / 2), 0.28, tall / 2, colour, SHINY)


def _cartons(here: Stand, rng: np.random.Generator, high: float) -> None:
    """Layers of equal cartons; the topmost one lacks some."""
    nx, ny = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    layers = max(1, int(high / float(rng.uniform(0.18, 0.45))))
    half = (0.59 / nx, 0.39 / ny, 0.5 * high / layers)
    colour = pick(rng, CARDBOARD, (0.36, 0.26, 0.15), (0.5, 0.5, 0.48))
    for layer in range(layers):
        for i in range(nx):
            for j in range(ny):
                if layer == layers - 1 and layers > 1 and rng.random() < 0.35:
                    continue
                x, y = (2 * i + 1 - nx) * half[0], (2 * j + 1 - ny) * half[1]
                z = (2 * layer + 1) * half[2]
                shrink = float(rng.uniform(0.96, 0.995))
                here.box((x, y, z), (half[0] * shrink, half[1] * shrink, half[2]), colour, CARTON)


def add_carton(here: Stand, rng: np.random.Generator) -> float:
    """A single cardboard box, shut or with open flaps; its half width, m."""
    half = [float(h) for h in rng.uniform(0.1, 0.3, 3)]
    colour = pick(rng, CARDBOARD, (0.36, 0.26, 0.15))
    here.box((0, 0, half[2]), (half[0], half[1], half[2]), colour, CARTON)
    if rng.random() < 0.3:
        for side in (-1, 1):
            here.box(
                (side * (half[0] + 0.05), 0, 2 * half[2] - 0.03), (0.05, half[1], 0.004), colour
            )
    return max(half[:2])


def add_barrel(here: Stand, rng: np.random.Generator) -> None:
    """A drum or a tall bin."""
    colour, tall = any_colour(rng, 0.03, 0.5), float(rng.uniform(0.55, 0.9))
    here.post((0, 0, tall / 2), float(rng.uniform(0.18, 0.3)), tall / 2, colour, SHINY)


def add_crates(here: Stand, rng: np.random.Generator) -> None:
    """A pile of plastic crates."""
    colour = any_colour(rng, 0.05, 0.5)
    for level in range(int(rng.integers(1, 6))):
        shift = float(rng.normal(0, 0.012))
        here.box(
            (shift, -shift, 0.14 + 0.28 * level), (0.2, 0.3, 0.135), colour, GRILLE, period=0.05
        )


def add_rack(here: Stand, rng: np.random.Generator, bays: int, levels: list[float]) -> None:
    """A pallet rack along x from its middle, 1 m deep: uprights, beams at heights, loads.

    levels: heights of the beams, m; loads stand on the floor too.
    """
    bay, deep, post = 2.7, 0.5, pick(rng, (0.03, 0.08, 0.3), (0.25, 0.25, 0.26), (0.05, 0.2, 0.08))
    beam, top = pick(rng, (0.55, 0.18, 0.02), (0.6, 0.45, 0.02)), levels[-1] + 1.2
    start = -bays * bay / 2
    for k in range(bays + 1):
        x = start + k * bay
        for y in (-deep, deep):
            here.box((x, y, top / 2), (0.05, 0.04, top / 2), post, GRILLE, period=0.08)
        for z in np.arange(0.3, top - 0.3, 1.1):
            here.box((x, 0, float(z)), (0.015, deep, 0.02), post)
        if rng.random() < 0.6:
            here.box((x, deep + 0.08, 0.2), (0.08, 0.03, 0.2), (0.6, 0.45, 0.02), HAZARD)
    for z in levels:
        for y in (-deep + 0.03, deep - 0.03):
            here.box((0, y, z), (-start, 0.025, 0.055), beam)
    tall = np.diff([0.0, *levels, top])
    fullness = float(rng.uniform(0.4, 1.0))
    for level, z in enumerate([0.0, *levels]):
        for k in range(bays):
            for slot in (-0.87, 0.0, 0.87):
                if rng.random() < fullness:
                    x, lift = start + (k + 0.5) * bay + slot, (0.055 if z else 0.0)
                    turned = here.on(x, float(rng.normal(0, 0.03)), z + lift, np.pi / 2)
                    add_load(turned, rng, float(min(tall[level] - 0.25, 1.7)))


def add_gondola(here: Stand, rng: np.random.Generator, half: float, height: float) -> None:
    """A shop's shelf along x with goods on both sides."""
    colour, deep = grey(rng, 0.3, 0.75), float(rng.uniform(0.35, 0.5))
    here.box((0, 0, height / 2), (half, 0.03, height / 2), colour)
    here.box((0, 0, 0.08), (half, deep, 0.08), colour)
    for side in (-half, half):
        here.box((side, 0, height / 2), (0.015, deep * 0.9, height / 2), colour)
    count = max(2, int(height / float(rng.uniform(0.3, 0.45))))
    gap = (height - 0.16) / count
    for level in range(count):
        z = 0.16 + gap * level
        here.box((0, 0, z), (half, deep * 0.95, 0.012), colour)
        for side in (-1, 1):
            x = -half
            while x < half - 0.2:
                long = float(min(rng.uniform(0.4, 1.4), half - x))
                tall = gap * float(rng.uniform(0.4, 0.85))
                thick = deep * float(rng.uniform(0.25, 0.42))
                if rng.random() < 0.93:
                    here.box((x + long / 2, side * (deep * 0.92 - thick), z + 0.012 + tall / 2),
                             (long / 2 - 0.01, thick, tall / 2), (0.3, 0.3, 0.3), GOODS,
                             period=float(rng.uniform(0.06, 0.22)))  # fmt: skip
                x += long
