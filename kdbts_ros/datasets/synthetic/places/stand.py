"""Where a thing stands, and solids in its own axes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kdbts_ros.datasets.synthetic.primitives import (
    BOX,
    CYLINDER,
    ELLIPSOID,
    PLAIN,
    WHEEL,
    Colour,
    PrimitiveTable,
)

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Stand:
    """A thing's place: x, y of its middle, z of its foot (m), yaw (rad); its front looks along x.

    The methods add solids given in its own axes, heights above its foot.
    """

    table: PrimitiveTable
    x: float
    y: float
    z: float = 0.0
    yaw: float = 0.0

    def at(self, p: Point) -> Point:
        """World position of a point of the thing."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return self.x + c * p[0] - s * p[1], self.y + s * p[0] + c * p[1], self.z + p[2]

    def on(self, x: float, y: float, z: float = 0.0, turn: float = 0.0) -> Stand:
        """Where another thing stands on or beside this one."""
        return Stand(self.table, *self.at((x, y, z)), self.yaw + turn)

    def box(
        self, centre: Point, half: Point, colour: Colour, material: int = PLAIN, turn: float = 0.0,
        taper: Point = (0.0, 0.0, 0.0), contrast: float = 0.08, period: float = 0.3,
        frequency: float = 3.0,
    ) -> None:  # fmt: skip
        """A box of half extents; see `PrimitiveTable.add`."""
        self.table.add(
            BOX, self.at(centre), half, self.yaw + turn, material, colour,
            taper=taper, contrast=contrast, period=period, frequency=frequency,
        )  # fmt: skip

    def post(
        self, centre: Point, radius: float, half: float, colour: Colour, material: int = PLAIN
    ) -> None:
        """An upright cylinder of half height."""
        self.table.add(
            CYLINDER, self.at(centre), (radius, radius, half), self.yaw, material, colour,
            contrast=0.06,
        )  # fmt: skip

    def ball(self, centre: Point, half: Point, colour: Colour, material: int = PLAIN) -> None:
        """An ellipsoid."""
        self.table.add(ELLIPSOID, self.at(centre), half, self.yaw, material, colour, contrast=0.1)

    def roll(
        self, centre: Point, radius: float, half: float, colour: Colour, material: int = PLAIN,
        turn: float = 0.0,
    ) -> None:  # fmt: skip
        """A lying cylinder along its y axis, of half width."""
        self.table.add(
            WHEEL, self.at(centre), (radius, half, radius), self.yaw + turn, material, colour,
            contrast=0.05,
        )  # fmt: skip

    def legs(self, x: float, y: float, height: float, thick: float, colour: Colour) -> None:
        """Four legs at the corners (±x, ±y) up to a height."""
        for i in (-x, x):
            for j in (-y, y):
                self.box((i, j, height / 2), (thick, thick, height / 2), colour)


def pick(rng: np.random.Generator, *choices: Colour) -> Colour:
    """One of some colours, a little lighter or darker."""
    r, g, b = np.array(choices[rng.integers(len(choices))]) * rng.uniform(0.8, 1.25)
    return float(r), float(g), float(b)


def any_colour(rng: np.random.Generator, low: float = 0.03, high: float = 0.6) -> Colour:
    """Any colour, mostly a muted one."""
    value, strength = rng.uniform(low, high), rng.uniform(0.0, 1.0) ** 2
    r, g, b = value * (1 - strength * rng.random(3))
    return float(r), float(g), float(b)


def grey(rng: np.random.Generator, low: float, high: float) -> Colour:
    """A shade of grey."""
    value = float(rng.uniform(low, high))
    return value, value, value


def wood(rng: np.random.Generator) -> Colour:
    """Light beech to dark walnut, or lacquered white."""
    if rng.random() < 0.2:
        return pick(rng, (0.6, 0.6, 0.58))
    return pick(rng, (0.42, 0.27, 0.15), (0.3, 0.17, 0.08), (0.12, 0.06, 0.03), (0.5, 0.36, 0.22))


def metal(rng: np.random.Generator) -> Colour:
    """Steel, black or aluminium."""
    return pick(rng, (0.03, 0.03, 0.03), (0.25, 0.25, 0.26), (0.5, 0.5, 0.5))
