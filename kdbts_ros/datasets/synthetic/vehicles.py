"""Cars, vans, lorries and people, built of a few solids each."""

from __future__ import annotations

import math

import numpy as np

from kdbts_ros.datasets.synthetic.primitives import (
    BOX,
    CAR_BODY,
    CAR_CABIN,
    CAR_SHOULDER,
    CYLINDER,
    ELLIPSOID,
    PLAIN,
    TYRE,
    WHEEL,
    Colour,
    PrimitiveTable,
)

# length, width, height, cabin start and end (share of length from the rear), front and rear lean
_SHAPES = {
    "small": ((3.5, 4.0), (1.6, 1.72), (1.42, 1.55), (0.02, 0.74), (0.9, 0.25)),
    "hatch": ((4.0, 4.4), (1.72, 1.82), (1.42, 1.52), (0.02, 0.70), (0.95, 0.45)),
    "saloon": ((4.4, 4.9), (1.74, 1.88), (1.4, 1.5), (0.13, 0.70), (0.9, 0.8)),
    "estate": ((4.4, 4.9), (1.74, 1.86), (1.42, 1.55), (0.01, 0.70), (0.9, 0.35)),
    "suv": ((4.3, 4.9), (1.8, 1.95), (1.62, 1.85), (0.02, 0.72), (0.8, 0.35)),
    "minivan": ((4.4, 5.0), (1.8, 1.95), (1.7, 1.95), (0.01, 0.86), (0.9, 0.2)),
}


def car_colour(rng: np.random.Generator) -> Colour:
    """Mostly black, grey, silver and white, as on a European street."""
    kind = rng.random()
    if kind < 0.3:
        value = rng.uniform(0.008, 0.04)
    elif kind < 0.55:
        value = rng.uniform(0.1, 0.3)
    elif kind < 0.7:
        value = rng.uniform(0.5, 0.8)
    elif kind < 0.8:
        value = rng.uniform(0.04, 0.1)
    else:
        paints = [(0.4, 0.02, 0.02), (0.02, 0.05, 0.25), (0.03, 0.12, 0.35), (0.02, 0.12, 0.06)]
        paints += [(0.5, 0.35, 0.02), (0.35, 0.1, 0.03), (0.2, 0.18, 0.12)]
        r, g, b = np.array(paints[rng.integers(len(paints))]) * rng.uniform(0.6, 1.4)
        return float(r), float(g), float(b)
    tint = 1 + 0.05 * rng.standard_normal(3)
    return float(value * tint[0]), float(value * tint[1]), float(value * tint[2])


def _wheels(
    table: PrimitiveTable, rng: np.random.Generator, at: tuple[float, float, float], yaw: float,
    length: float, width: float, radius: float,
) -> None:  # fmt: skip
    rim = float(rng.uniform(0.05, 0.5))
    for along in (-0.31 * length, 0.31 * length):
        for across in (-0.5, 0.5):
            y = across * (width - 0.2)
            x0 = at[0] + math.cos(yaw) * along - math.sin(yaw) * y
            y0 = at[1] + math.sin(yaw) * along + math.cos(yaw) * y
            table.add(
                WHEEL, (x0, y0, at[2] + radius), (radius, 0.115, radius), yaw, TYRE, (rim, rim, rim)
            )


def add_car(
    table: PrimitiveTable, rng: np.random.Generator, at: tuple[float, float, float], yaw: float
) -> None:
    """A car on the ground point `at`, its front along yaw."""
    names = list(_SHAPES)
    shape = _SHAPES[names[rng.integers(len(names))]]
    length, width, height = (float(rng.uniform(*shape[i])) for i in range(3))
    (rear, front), (lean_front, lean_rear) = shape[3], shape[4]
    colour = car_colour(rng)
    clearance, belt = 0.17, height * float(rng.uniform(0.58, 0.64))
    bonnet = height * float(rng.uniform(0.44, 0.52))
    half_body = 0.5 * (bonnet - clearance)
    table.add(
        BOX, (at[0], at[1], at[2] + clearance + half_body), (length / 2, width / 2, half_body),
        yaw, CAR_BODY, colour, taper=(0.14, 0.06, 0.05), frequency=1.0, contrast=0.05,
    )  # fmt: skip
    # The shoulder: from the bonnet, rising towards the windscreen, to the boot or tail.
    half_shoulder = 0.5 * (belt - bonnet)
    table.add(
        BOX, (at[0], at[1], at[2] + bonnet + half_shoulder),
        (length / 2 - 0.1, width / 2 - 0.03, half_shoulder), yaw, CAR_SHOULDER, colour,
        taper=(float(rng.uniform(0.5, 1.1)), 0.05, 0.03), frequency=1.0, contrast=0.05,
    )  # fmt: skip
    half_cabin = 0.5 * (height - belt)
    along = length * (0.5 * (rear + front) - 0.5)
    centre = (at[0] + math.cos(yaw) * along, at[1] + math.sin(yaw) * along)
    table.add(
        BOX, (*centre, at[2] + belt + half_cabin),
        (0.5 * length * (front - rear), width / 2 - 0.06, half_cabin), yaw, CAR_CABIN, colour,
        taper=(lean_front, lean_rear, 0.2), frequency=1.0, contrast=0.05,
    )  # fmt: skip
    _wheels(table, rng, at, yaw, length, width, float(rng.uniform(0.29, 0.35)))


def add_van(
    table: PrimitiveTable, rng: np.random.Generator, at: tuple[float, float, float], yaw: float
) -> None:
    """A delivery van or a small lorry."""
    length, width = float(rng.uniform(4.8, 7.0)), float(rng.uniform(1.9, 2.3))
    height = float(rng.uniform(1.9, 3.2))
    colour = car_colour(rng) if rng.random() < 0.5 else (0.65, 0.65, 0.65)
    nose = float(rng.uniform(1.3, 1.9))
    clearance = 0.3
    for start, end, top, lean, material in (
        (-length / 2, length / 2 - nose, height, 0.05, PLAIN),
        (length / 2 - nose, length / 2, 1.1, 0.15, CAR_BODY),
        (length / 2 - nose, length / 2 - 0.15, min(height, 2.1), 0.9, CAR_CABIN),
    ):
        low = 1.1 if material == CAR_CABIN else clearance
        along, half = 0.5 * (start + end), 0.5 * (top - low)
        table.add(
            BOX,
            (at[0] + math.cos(yaw) * along, at[1] + math.sin(yaw) * along, at[2] + low + half),
            (0.5 * (end - start), width / 2, half), yaw, material, colour,
            taper=(lean if material != PLAIN else 0.0, 0.0, 0.06), frequency=1.0, contrast=0.06,
        )  # fmt: skip
    _wheels(table, rng, at, yaw, length, width, 0.36)


def add_person(
    table: PrimitiveTable, rng: np.random.Generator, at: tuple[float, float, float]
) -> None:
    """Somebody standing: legs, trunk and head."""
    height, yaw = float(rng.uniform(1.5, 1.9)), float(rng.uniform(0, math.pi))
    trousers = tuple(float(c) for c in rng.uniform(0.01, 0.2, 3))
    coat = tuple(float(c) for c in rng.uniform(0.02, 0.6) * rng.uniform(0.4, 1.0, 3))
    x, y, z = at
    for across in (-0.09, 0.09):
        table.add(
            CYLINDER,
            (x - math.sin(yaw) * across, y + math.cos(yaw) * across, z + 0.24 * height),
            (0.085, 0.085, 0.24 * height), yaw, PLAIN, (trousers[0], trousers[1], trousers[2]),
        )  # fmt: skip
    table.add(
        ELLIPSOID, (x, y, z + 0.65 * height), (0.17, 0.26, 0.2 * height), yaw, PLAIN,
        (coat[0], coat[1], coat[2]), contrast=0.3,
    )  # fmt: skip
    table.add(
        ELLIPSOID, (x, y, z + 0.92 * height), (0.1, 0.09, 0.125), yaw, PLAIN, (0.35, 0.22, 0.16)
    )
