"""A place while it is being laid out, and the lane along x that a robot drives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kdbts_ros.datasets.synthetic import ground as gr
from kdbts_ros.datasets.synthetic.interior import LAMP_COLUMNS
from kdbts_ros.datasets.synthetic.places.stand import Stand
from kdbts_ros.datasets.synthetic.primitives import PrimitiveTable
from kdbts_ros.density.geometry.camera import Array

# The robot's lane lies along y = 0, this far to either side and behind x = 0, m.
LANE_HALF, BEHIND = 0.5, 4.0


@dataclass
class Place:
    """Solids, floor and lamps of a place; nothing stands in the lane up to x = `free_m`.

    Attributes:
        rng: of everything in it.
        free_m: how far the lane is free, m.
        ground, spots: floor and rectangles of other floor, as streets have them.
        lamps: rows as interior.py reads them, of any unit of light.
        windows: the same for the day that comes in.
        taken: x, y, radius of what stands there.
        length_m: how far it reaches along x, m.
    """

    rng: np.random.Generator
    free_m: float
    table: PrimitiveTable = field(default_factory=PrimitiveTable)
    ground: Array = field(default_factory=lambda: np.zeros(gr.PARAMETERS))
    spots: list[tuple[float, ...]] = field(default_factory=list)
    lamps: list[tuple[float, ...]] = field(default_factory=list)
    windows: list[tuple[float, ...]] = field(default_factory=list)
    taken: list[tuple[float, float, float]] = field(default_factory=list)
    length_m: float = 20.0

    def stand(self, x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> Stand:
        """Where a thing is to stand."""
        return Stand(self.table, float(x), float(y), float(z), float(yaw))

    def is_free(self, x: float, y: float, radius: float) -> bool:
        """Whether a thing of a radius leaves the lane and what stands already alone."""
        if -BEHIND - radius < x < self.free_m + radius and abs(y) < LANE_HALF + radius:
            return False
        return all((x - a) ** 2 + (y - b) ** 2 > (radius + r) ** 2 for a, b, r in self.taken)

    def put(
        self, x: float, y: float, radius: float, yaw: float, add: Callable[..., Any], *more: Any
    ) -> bool:
        """Add a thing of a radius where it is free; whether it was."""
        if not self.is_free(x, y, radius):
            return False
        self.taken.append((x, y, radius))
        add(self.stand(x, y, 0.0, yaw), self.rng, *more)
        return True

    def scatter(
        self, count: int, x: tuple[float, float], y: tuple[float, float], radius: float,
        add: Callable[..., Any], *more: Any,
    ) -> None:  # fmt: skip
        """Up to `count` things anywhere in a rectangle, turned anyhow."""
        for _ in range(count):
            at = float(self.rng.uniform(*x)), float(self.rng.uniform(*y))
            self.put(*at, radius, float(self.rng.uniform(0, 2 * np.pi)), add, *more)

    def in_the_way(self, radius: float, add: Callable[..., Any], *more: Any) -> None:
        """A thing in the lane, right after its free part."""
        x = self.free_m + radius + float(self.rng.uniform(0.05, 0.8))
        self.put(x, float(self.rng.uniform(-0.6, 0.6)), radius, self.turn(), add, *more)

    def turn(self) -> float:
        """Any yaw, rad."""
        return float(self.rng.uniform(0, 2 * np.pi))

    def floor(self, material: int, tone: float) -> None:
        """One floor everywhere."""
        g = self.ground
        g[gr.LEFT] = g[gr.RIGHT] = 500.0
        g[gr.ROAD], g[gr.ROAD_TONE] = material, tone
        g[gr.PAVING], g[gr.PAVING_TONE] = material, tone
        g[gr.GRASS_TONE], g[gr.GRASS_HUE] = self.rng.uniform(0.1, 0.3), self.rng.uniform(0, 0.8)
        g[gr.SEED] = self.rng.integers(1, 100000)

    def spot(
        self, x: tuple[float, float], y: tuple[float, float], material: int, tone: float
    ) -> None:
        """A rectangle of other floor: a rug, a mat, a painted line."""
        self.spots.append((*x, *y, float(material), tone))

    def lamp_array(self) -> Array:
        """(L,LAMP_COLUMNS) lamps, then windows."""
        return np.array(self.lamps + self.windows, np.float64).reshape(-1, LAMP_COLUMNS)
