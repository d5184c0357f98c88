"""What rooms have in common: a floor, things along the walls, and something in the way."""

from __future__ import annotations

import math

from kdbts_ros.datasets.synthetic.floors import (
    CARPET,
    COLOURED,
    CONCRETE,
    PARQUET,
    TERRAZZO,
    TILED,
    VINYL,
)
from kdbts_ros.datasets.synthetic.indoor_surfaces import PICTURE
from kdbts_ros.datasets.synthetic.places import decor, storage
from kdbts_ros.datasets.synthetic.places.place import Place
from kdbts_ros.datasets.synthetic.places.stand import any_colour

# How much a floor mirrors, by its material.
GLOSS = {PARQUET: 0.35, CARPET: 0.0, TILED: 0.6, CONCRETE: 0.15, VINYL: 0.5, TERRAZZO: 0.6,
         COLOURED: 0.5}  # fmt: skip


def choose_floor(place: Place, choices: tuple[int, ...]) -> float:
    """Lay one of some floors; how much it mirrors."""
    rng = place.rng
    material = int(rng.choice(choices))
    tone = float(rng.uniform(0.08, 0.5) if material != CARPET else rng.uniform(0.04, 0.3))
    place.floor(material, tone)
    shine = GLOSS[material] * float(rng.choice([0.2, rng.uniform(0.3, 1.0), 1.0]))
    return float(shine)


def along_wall(place: Place, x: tuple[float, float], side: int, wall: float) -> None:
    """Shelves, cupboards, plants, boards and radiators along an office's or room's wall."""
    rng, yaw = place.rng, (math.pi / 2 if side < 0 else -math.pi / 2)
    at = x[0] + float(rng.uniform(0.5, 2.0))
    while at < x[1] - 0.6:
        half, sort = float(rng.uniform(0.35, 0.9)), rng.random()
        y = wall - side * 0.38
        if sort < 0.3:
            place.put(at, y, half, yaw, storage.add_bookshelf, half, float(rng.uniform(0.8, 2.2)))
        elif sort < 0.5:
            place.put(at, y, half, yaw, storage.add_cupboard, half, float(rng.uniform(0.7, 2.0)))
        elif sort < 0.65:
            place.put(at, y - side * 0.1, 0.3, yaw, decor.add_plant)
        elif sort < 0.85:
            hang(place, at, wall - side * 0.14, yaw)
        else:
            place.put(at, wall - side * 0.2, 0.2, yaw, decor.add_radiator)
        at += half + float(rng.uniform(0.8, 2.2))


def hang(place: Place, x: float, y: float, yaw: float) -> None:
    """A picture or board on a wall."""
    rng = place.rng
    wide, tall = float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.2, 0.5))
    place.stand(x, y, 0.0, yaw).box((0, 0, 1.5), (0.015, wide, tall), any_colour(rng), PICTURE)


def in_lane(place: Place, choices: tuple[object, ...]) -> None:
    """Now and then something in the robot's way."""
    rng = place.rng
    if rng.random() < 0.45:
        place.in_the_way(0.6, choices[int(rng.integers(len(choices)))])  # type: ignore[arg-type]
    if rng.random() < 0.2:
        x, y = (
            float(rng.uniform(0.5, 4.0)),
            float(rng.choice([-1, 1])) * float(rng.uniform(0.55, 0.9)),
        )
        decor.add_cable(place.stand(x, y, 0.0, place.turn()), rng, float(rng.uniform(0.5, 3.0)))
    if rng.random() < 0.4:
        place.scatter(4, (0.5, 6.0), (-2.0, 2.0), 0.15, decor.add_clutter)
