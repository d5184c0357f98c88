"""The kinds of places beside streets, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from kdbts_ros.datasets.synthetic.interior import LAMP_COLUMNS
from kdbts_ros.datasets.synthetic.places.corridors import corridor
from kdbts_ros.datasets.synthetic.places.halls import shop, underground, warehouse
from kdbts_ros.datasets.synthetic.places.homes import living
from kdbts_ros.datasets.synthetic.places.kitchens import kitchen
from kdbts_ros.datasets.synthetic.places.light import light_up, open_sky
from kdbts_ros.datasets.synthetic.places.offices import office
from kdbts_ros.datasets.synthetic.places.outdoors import car_park, courtyard, path, yard
from kdbts_ros.datasets.synthetic.places.place import Place
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.errors import UserError

# A generator and how far the lane is free (m), to a place, what its floor mirrors for those inside.
Inside: TypeAlias = Callable[[np.random.Generator, float], tuple[Place, float]]
Outside: TypeAlias = Callable[[np.random.Generator, float], Place]

STREET = "street"
INSIDE: dict[str, Inside] = {
    "corridor": corridor,
    "office": office,
    "living": living,
    "warehouse": warehouse,
    "shop": shop,
    "underground": underground,
    "kitchen": kitchen,
}
OUTSIDE: dict[str, Outside] = {
    "parking": car_park,
    "courtyard": courtyard,
    "path": path,
    "yard": yard,
}
# A place's number is part of what its seeds draw: new kinds come last.
PLACES = (
    "corridor", "office", "living", "warehouse", "shop", "underground", "parking", "courtyard",
    "path", "yard", "kitchen",
)  # fmt: skip
# Kinds in turn, where many worlds are asked for: those there were when weights were first judged by
# them. A kind more would make every world after the tenth another one, and figures of other worlds.
ALL_PLACES = "places"
IN_TURN = PLACES[:10]


def check_place(name: str) -> str:
    """The name, if there is such a place.

    Raises:
        UserError: there is none.
    """
    if name not in PLACES:
        raise UserError(f"there is no place '{name}'; there are {', '.join(PLACES)}")
    return name


def place_of(seed: int, shares: Mapping[str, float]) -> str:
    """A place, drawn by its share; "street" by its own and where shares leave something over."""
    lot = float(np.random.default_rng([26, seed]).random())
    for name, share in shares.items():
        if lot < share:
            return name
        lot -= share
    return STREET


def lay_out_place(
    name: str, rng: np.random.Generator, free_m: float
) -> tuple[Place, Array, Array, Array]:
    """A place with the light of it: appearance, lamps and room (see interior.py)."""
    if check_place(name) in INSIDE:
        place, gloss = INSIDE[name](rng, free_m)
        lamps, room, light = light_up(place, gloss)
        return place, light, lamps, room
    place = OUTSIDE[name](rng, free_m)
    return place, open_sky(place), np.zeros((0, LAMP_COLUMNS)), np.zeros(0)
