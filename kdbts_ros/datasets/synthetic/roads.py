"""Random carriageways: centre line, widths, kerbs, materials and patches of other ground."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from kdbts_ros.datasets.synthetic import ground as gr
from kdbts_ros.datasets.synthetic.primitives import PrimitiveTable
from kdbts_ros.density.geometry.camera import Array

# Half the width of the widest car and what it keeps from others, m.
HALF_LANE = 1.25


@dataclass
class Street:
    """A street while it is being laid out.

    traffic_rows are those of its standing traffic; clear_m: see `StreetWorld`.
    """

    ground: Array
    lane_d: float
    table: PrimitiveTable = field(default_factory=PrimitiveTable)
    flat: list[tuple[float, ...]] = field(default_factory=list)
    spots: list[tuple[float, ...]] = field(default_factory=list)
    traffic_rows: tuple[int, int] = (0, 0)
    clear_m: float = math.inf

    def place(self, x: float, d: float) -> tuple[tuple[float, float, float], float]:
        """The ground point at street coordinates (x, d), and the street's heading there."""
        wx, wy, angle = gr.street_to_world(self.ground, x, d)
        patches = np.array(self.flat, np.float64).reshape(-1, 6)
        return (wx, wy, gr.ground_height(self.ground, patches, wx, wy)), angle

    def patch_array(self) -> Array:
        """(M,6) patches, flat ones first."""
        return np.array(self.flat + self.spots, np.float64).reshape(-1, 6)

    def add_flat(self, x: tuple[float, float], d: tuple[float, float], material: int) -> None:
        """Ground without a kerb: a side street, drive or car park."""
        tone = self.ground[gr.ROAD_TONE if material == gr.ASPHALT else gr.PAVING_TONE]
        self.flat.append((*x, *d, float(material), float(tone)))
        self.ground[gr.FLAT_PATCHES] = len(self.flat)


def random_road(rng: np.random.Generator) -> Street:
    """A road without anything on it."""
    g = np.zeros(gr.PARAMETERS)
    if rng.random() < 0.65:
        for amplitude, wave, phase in (
            (gr.AMPLITUDE1, gr.WAVE1, gr.PHASE1),
            (gr.AMPLITUDE2, gr.WAVE2, gr.PHASE2),
        ):
            length = rng.uniform(25.0, 80.0)
            g[amplitude] = rng.uniform(0.0, 0.0022) * length**2
            g[wave], g[phase] = 1 / length, rng.uniform(0, 2 * math.pi)
    g[gr.BASE] = g[gr.AMPLITUDE1] * math.sin(g[gr.PHASE1])
    g[gr.BASE] += g[gr.AMPLITUDE2] * math.sin(g[gr.PHASE2])
    g[gr.LEFT] = rng.uniform(2.3, 6.5)
    g[gr.RIGHT] = rng.uniform(2.3, 6.5) if rng.random() < 0.4 else g[gr.LEFT]
    g[gr.KERB] = rng.uniform(0.03, 0.16) if rng.random() < 0.75 else 0.0
    for side in (gr.PAVEMENT_LEFT, gr.PAVEMENT_RIGHT):
        g[side] = rng.uniform(1.2, 4.5) if rng.random() < 0.85 else 0.2
    g[gr.ROAD] = gr.ASPHALT if rng.random() < 0.9 else gr.COBBLES
    g[gr.PAVING] = rng.choice([gr.SLABS, gr.COBBLES, gr.ASPHALT], p=[0.5, 0.3, 0.2])
    for side in (gr.BEYOND_LEFT, gr.BEYOND_RIGHT):
        kinds = [gr.GRASS, gr.SOIL, gr.GRAVEL, gr.SLABS, gr.ASPHALT]
        g[side] = rng.choice(kinds, p=[0.45, 0.12, 0.13, 0.18, 0.12])
    g[gr.MARKING] = rng.choice([0, 1, 2], p=[0.5, 0.4, 0.1])
    g[gr.EDGE_LINE] = rng.uniform(0.2, 0.5) if rng.random() < 0.3 else 0.0
    g[gr.DASH], g[gr.WHITE] = rng.uniform(4.0, 12.0), rng.uniform(0.45, 0.8)
    g[gr.ROAD_TONE] = rng.uniform(0.09, 0.26)
    g[gr.PAVING_TONE] = rng.uniform(0.16, 0.45)
    g[gr.GRASS_TONE], g[gr.GRASS_HUE] = rng.uniform(0.1, 0.3), rng.uniform(0.0, 0.8)
    g[gr.SEED] = rng.integers(1, 100000)
    # Right-hand traffic mostly, in the middle of the lane or of a narrow road.
    room = g[gr.RIGHT] - 1.1
    lane = -rng.uniform(0.15, 0.85) * room if rng.random() < 0.85 else rng.uniform(0, 0.5) * room
    return Street(g, float(lane))


def add_patches(street: Street, rng: np.random.Generator, length_m: float) -> None:
    """Side streets, drives, car parks, repaired asphalt, crossings, tree pits, drain covers."""
    g = street.ground
    for side in (-1, 1):
        edge = g[gr.LEFT] if side > 0 else g[gr.RIGHT]
        for _ in range(rng.poisson(length_m / 60.0)):
            x, width = rng.uniform(0, length_m), rng.uniform(3.0, 14.0)
            reach = edge + (rng.uniform(4, 15) if rng.random() < 0.5 else 60.0)
            d = (edge - 0.01, reach) if side > 0 else (-reach, -edge + 0.01)
            kind = gr.ASPHALT if rng.random() < 0.6 else int(g[gr.PAVING])
            street.add_flat((x, x + width), d, kind)
    for _ in range(rng.poisson(length_m / 15.0)):
        x, d = rng.uniform(0, length_m), rng.uniform(-g[gr.RIGHT], g[gr.LEFT] - 0.8)
        size = (rng.uniform(0.5, 12.0), rng.uniform(0.5, 2.0))
        if rng.random() < 0.3:
            size = (0.6, 0.6)
        top = min(d + size[1], g[gr.LEFT])
        tone = g[gr.ROAD_TONE] * rng.uniform(0.6, 1.35)
        street.spots.append((x, x + size[0], d, top, gr.ASPHALT, tone))
    if rng.random() < 0.2:
        _add_crossing(street, rng, rng.uniform(5, length_m))


def _add_crossing(street: Street, rng: np.random.Generator, x: float) -> None:
    """Zebra stripes across the road."""
    g = street.ground
    d = -g[gr.RIGHT] + 0.3
    while d < g[gr.LEFT] - 0.5:
        street.spots.append((x, x + 3.0, d, d + 0.5, gr.PAINT, g[gr.WHITE]))
        d += 1.0
