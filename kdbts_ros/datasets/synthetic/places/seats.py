"""Chairs, sofas, tables, desks and beds: what stands on legs, with room beneath."""

from __future__ import annotations

import math

import numpy as np

from kdbts_ros.datasets.synthetic.indoor_surfaces import CLOTH, PANEL, SCREEN, SHINY, TIMBER
from kdbts_ros.datasets.synthetic.places.stand import Stand, any_colour, grey, metal, wood
from kdbts_ros.datasets.synthetic.primitives import PLAIN


def add_chair(here: Stand, rng: np.random.Generator) -> None:
    """A chair on four legs or on runners; its back is at -x."""
    seat, half = float(rng.uniform(0.43, 0.48)), float(rng.uniform(0.19, 0.24))
    wooden = rng.random() < 0.5
    frame = wood(rng) if wooden else metal(rng)
    cover, look = (frame, TIMBER) if wooden else (any_colour(rng), CLOTH)
    here.box((0, 0, seat), (half, half, float(rng.uniform(0.012, 0.035))), cover, look)
    here.legs(half - 0.025, half - 0.025, seat, float(rng.uniform(0.01, 0.02)), frame)
    top = float(rng.uniform(0.78, 0.95))
    low = seat + float(rng.uniform(0.05, 0.2))
    here.box((-half + 0.01, 0, (low + top) / 2), (0.015, half, (top - low) / 2), cover, look)
    for side in (-1, 1):
        here.box((-half + 0.01, side * (half - 0.02), (seat + low) / 2),
                 (0.012, 0.015, (low - seat) / 2), frame)  # fmt: skip


def add_office_chair(here: Stand, rng: np.random.Generator) -> None:
    """A swivel chair on a star of five feet with castors."""
    frame, cover = grey(rng, 0.02, 0.1), any_colour(rng, 0.02, 0.3)
    seat = float(rng.uniform(0.43, 0.54))
    for k in range(5):
        turn = 2 * math.pi * k / 5
        x, y = 0.16 * math.cos(turn), 0.16 * math.sin(turn)
        here.box((x, y, 0.09), (0.16, 0.02, 0.02), frame, turn=turn)
        here.roll((1.85 * x, 1.85 * y, 0.03), 0.03, 0.02, (0.02, 0.02, 0.02), turn=turn)
    here.post((0, 0, 0.1 + (seat - 0.1) / 2), 0.028, (seat - 0.1) / 2, frame)
    here.box((0, 0, seat), (0.23, 0.24, 0.045), cover, CLOTH, taper=(0.05, 0.05, 0.05))
    tall = float(rng.uniform(0.22, 0.36))
    here.box(
        (-0.22, 0, seat + 0.14 + tall), (0.03, 0.21, tall), cover, CLOTH, taper=(0.02, 0, 0.05)
    )
    here.box((-0.22, 0, seat + 0.08), (0.015, 0.03, 0.1), frame)
    if rng.random() < 0.6:
        for side in (-1, 1):
            here.box((0.0, side * 0.27, seat + 0.2), (0.13, 0.03, 0.015), frame)
            here.box((0.0, side * 0.27, seat + 0.09), (0.02, 0.012, 0.1), frame)


def add_stool(here: Stand, rng: np.random.Generator) -> None:
    """A round stool, low or as high as a bar."""
    high = float(rng.choice([rng.uniform(0.4, 0.5), rng.uniform(0.65, 0.8)]))
    colour = wood(rng)
    here.post((0, 0, high - 0.02), 0.18, 0.02, colour, TIMBER)
    here.legs(0.11, 0.11, high - 0.04, 0.015, metal(rng))


def add_sofa(here: Stand, rng: np.random.Generator, seats: int = 2) -> None:
    """A sofa or armchair of some seats across y, its back at -x."""
    cover, half = any_colour(rng, 0.04, 0.55), 0.34 * seats + 0.05
    feet, seat = float(rng.uniform(0.03, 0.14)), float(rng.uniform(0.36, 0.46))
    deep, arm = float(rng.uniform(0.38, 0.48)), float(rng.uniform(0.08, 0.14))
    here.legs(deep - 0.06, half + arm - 0.04, feet, 0.02, wood(rng))
    here.box((0, 0, (feet + seat - 0.14) / 2 + 0.02), (deep, half, (seat - 0.14 - feet) / 2 + 0.02),
             cover, CLOTH)  # fmt: skip
    for k in range(seats):
        y = (2 * k + 1 - seats) * half / seats
        here.box((0.06, y, seat - 0.06), (deep - 0.07, half / seats - 0.006, 0.07), cover, CLOTH,
                 taper=(0.04, 0.0, 0.02))  # fmt: skip
        here.box((-deep + 0.17, y, seat + 0.18), (0.1, half / seats - 0.01, 0.2), cover, CLOTH,
                 taper=(0.1, 0.0, 0.03))  # fmt: skip
    top = seat + float(rng.uniform(0.3, 0.45))
    here.box((-deep + 0.05, 0, (feet + top) / 2), (0.06, half, (top - feet) / 2), cover, CLOTH)
    for side in (-1, 1):
        here.box((0, side * (half + arm / 2), (feet + seat + 0.16) / 2),
                 (deep, arm / 2, (seat + 0.16 - feet) / 2), cover, CLOTH)  # fmt: skip
    if rng.random() < 0.5:
        pillow = any_colour(rng, 0.1, 0.7)
        here.ball((-deep + 0.32, float(rng.uniform(-0.6, 0.6)) * half, seat + 0.16),
                  (0.09, 0.19, 0.17), pillow, CLOTH)  # fmt: skip


def add_table(
    here: Stand, rng: np.random.Generator, half: tuple[float, float], height: float
) -> None:
    """A table on four legs, a column or two trestles; its top stands over."""
    colour, sort = wood(rng), rng.random()
    thick = float(rng.uniform(0.012, 0.025))
    look = TIMBER if rng.random() < 0.7 else SHINY
    frame = colour if rng.random() < 0.5 else metal(rng)
    if sort < 0.2 and abs(half[0] - half[1]) < 0.3:
        radius = min(half)
        here.post((0, 0, height - thick), radius, thick, colour, look)
        here.post((0, 0, height / 2), 0.04, height / 2 - thick, frame)
        here.post((0, 0, 0.012), 0.55 * radius, 0.012, frame)
        return
    here.box((0, 0, height - thick), (half[0], half[1], thick), colour, look)
    over = float(rng.uniform(0.03, 0.18))
    if sort < 0.75:
        leg = float(rng.uniform(0.015, 0.04))
        here.legs(half[0] - over * 0.6, half[1] - over, height - 2 * thick, leg, frame)
        if rng.random() < 0.5:
            for side in (-1, 1):
                here.box((side * (half[0] - over), 0, height - 0.07),
                         (0.012, half[1] - over, 0.045), colour, TIMBER)  # fmt: skip
    else:
        for side in (-1, 1):
            y = side * (half[1] - over - 0.1)
            here.box((0, y, height / 2), (0.03, 0.03, height / 2 - thick), frame)
            here.box((0, y, 0.02), (half[0] * 0.8, 0.035, 0.02), frame)


def add_on_table(
    here: Stand, rng: np.random.Generator, half: tuple[float, float], height: float, count: int
) -> None:
    """Cups, books, papers, boxes and bottles on a top."""
    for _ in range(count):
        x, y = rng.uniform(-0.8, 0.8, 2) * half
        spot, sort = here.on(float(x), float(y), height, float(rng.uniform(0, 3))), rng.random()
        if sort < 0.3:
            spot.post((0, 0, 0.045), 0.04, 0.045, any_colour(rng, 0.1, 0.8))
        elif sort < 0.5:
            spot.box((0, 0, 0.015), (0.09, 0.12, 0.015), any_colour(rng, 0.05, 0.6))
        elif sort < 0.7:
            spot.box((0, 0, 0.002), (0.105, 0.148, 0.002), (0.8, 0.8, 0.8))
        elif sort < 0.85:
            spot.post((0, 0, 0.12), 0.035, 0.12, any_colour(rng, 0.03, 0.4), SHINY)
        else:
            spot.box((0, 0, 0.08), (0.1, 0.14, 0.08), any_colour(rng))


def add_desk(here: Stand, rng: np.random.Generator, chair: bool = True) -> None:
    """A desk 1.2 to 1.8 m wide across y with screens, drawers and a chair at +x."""
    half = float(rng.uniform(0.35, 0.42)), float(rng.uniform(0.6, 0.9))
    height = float(rng.uniform(0.7, 0.78))
    add_table(here, rng, half, height)
    if rng.random() < 0.5:
        here.box((0.0, 0.68 * half[1], 0.3), (0.3, 0.2, 0.27), grey(rng, 0.1, 0.7), PANEL)
    count = int(rng.integers(0, 3))
    for k in range(count):
        y = (k - (count - 1) / 2) * 0.58 + float(rng.normal(0, 0.04))
        screen = here.on(-0.15, y, height, float(rng.normal(0, 0.15)))
        screen.box((0, 0, 0.01), (0.09, 0.11, 0.01), (0.03, 0.03, 0.03))
        screen.box((-0.02, 0, 0.12), (0.015, 0.025, 0.12), (0.03, 0.03, 0.03))
        screen.box((0, 0, 0.31), (0.012, 0.27, 0.165), (0.03, 0.03, 0.03), SCREEN)
    if count:
        here.box((0.15, 0, height + 0.01), (0.06, 0.2, 0.01), grey(rng, 0.02, 0.5))
    add_on_table(here, rng, (half[0] * 0.9, half[1]), height, int(rng.integers(0, 4)))
    if chair:
        turn = math.pi + float(rng.normal(0, 0.5))
        spot = here.on(half[0] + float(rng.uniform(0.1, 0.45)), float(rng.normal(0, 0.1)), 0, turn)
        add_office_chair(spot, rng)


def add_dining(here: Stand, rng: np.random.Generator) -> None:
    """A table with chairs around it."""
    half = float(rng.uniform(0.38, 0.5)), float(rng.uniform(0.5, 1.1))
    height = float(rng.uniform(0.72, 0.77))
    add_table(here, rng, half, height)
    add_on_table(here, rng, half, height, int(rng.integers(0, 5)))
    # The chairs of a table are of one make.
    make = int(rng.integers(2**31))
    for side in (-1, 1):
        count = max(1, int(half[1] / 0.33))
        for k in range(count):
            y = (2 * k + 1 - count) * half[1] / count
            out = half[0] + float(rng.choice([rng.uniform(0.0, 0.12), rng.uniform(0.2, 0.6)]))
            turn = (math.pi if side > 0 else 0.0) + float(rng.normal(0, 0.15))
            add_chair(here.on(side * out, y, 0, turn), np.random.default_rng(make))


def add_bed(here: Stand, rng: np.random.Generator) -> None:
    """A bed 0.9 to 1.8 m wide, its head at -x."""
    wide, cover = float(rng.uniform(0.45, 0.9)), any_colour(rng, 0.15, 0.8)
    frame = wood(rng)
    here.legs(0.95, wide - 0.05, 0.25, 0.03, frame)
    here.box((0, 0, 0.28), (1.02, wide, 0.05), frame, TIMBER)
    here.box((0, 0, 0.42), (1.0, wide - 0.02, 0.1), cover, CLOTH, taper=(0.03, 0, 0.04))
    here.box((-1.03, 0, 0.5), (0.03, wide, 0.5), frame, TIMBER)
    here.box(
        (-0.75, 0, 0.55), (0.2, wide * 0.8, 0.06), (0.7, 0.7, 0.7), CLOTH, taper=(0.1, 0.1, 0.1)
    )


def add_bench(here: Stand, rng: np.random.Generator) -> None:
    """A park bench of planks, across y, its back at -x."""
    colour, half = wood(rng), float(rng.uniform(0.6, 1.0))
    frame = metal(rng)
    for k in range(4):
        here.box((-0.18 + 0.12 * k, 0, 0.44), (0.05, half, 0.018), colour, TIMBER)
    back = rng.random() < 0.7
    for side in (-1, 1):
        y = side * (half - 0.15)
        here.box((0, y, 0.21), (0.2, 0.03, 0.21), frame if rng.random() < 0.8 else (0.4, 0.4, 0.4))
        if back:
            here.box((-0.24, y, 0.62), (0.02, 0.025, 0.22), frame)
    for k in range(3 * back):
        here.box((-0.22, 0, 0.55 + 0.13 * k), (0.015, half, 0.045), colour, PLAIN)
