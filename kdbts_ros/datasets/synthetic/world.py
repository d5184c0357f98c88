"""One procedural street with everything on it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from kdbts_ros.datasets.synthetic.appearance import SUN_X, SUN_Y, SUN_Z, random_appearance
from kdbts_ros.datasets.synthetic.hill import LEVEL, Hill
from kdbts_ros.datasets.synthetic.index import ShearedGrid
from kdbts_ros.datasets.synthetic.interior import LAMP_COLUMNS
from kdbts_ros.datasets.synthetic.kinds import STREETS, kind_of
from kdbts_ros.datasets.synthetic.layout import BEHIND
from kdbts_ros.datasets.synthetic.places.kinds import PLACES, check_place, lay_out_place
from kdbts_ros.datasets.synthetic.shading import SceneArrays
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.errors import UserError

# Table tops and shelves are thin.
COLUMN_STEP = 0.012
# Walls of rooms are 0.1 m thick, and would stand between the centres of cells of 0.2 m.
CELL_STEP = 0.07
HALF_WIDTH = 70.0  # m of world indexed to either side of the street


@dataclass(frozen=True, eq=False)
class StreetWorld:
    """A street in world coordinates (REP-103: x along the street, y left, z up, m).

    Attributes:
        seed: made from it; equal seeds give equal worlds.
        table: (N, COLUMNS) solids (see primitives.py).
        ground: parameters of the road (see ground.py).
        patches: (M,6) rectangles of other ground.
        light: sun, sky and camera response (see appearance.py).
        length_m: extent along x, beginning at 0.
        lane_d: distance d of the robot's lane to the left of the centre line, m.
        traffic_rows: first row of the cars that stand in the lanes, and the first one after them.
        clear_m: a camera further along the robot's lane than this may stand in something.
        hill: by which all of the above, which is level, is shifted upwards.
        lamps: (L, LAMP_COLUMNS) and room (ROOM_PARAMETERS,): what lights a place inside (see
            interior.py); both empty under open sky.
        cell_m: side of the cells of its look-up grids, m.
        column_step_m: how finely a column is looked at for what stands in it, m.
        cell_step_m: how finely sideways; infinite: at its centre alone.
    """

    seed: int
    table: Array
    ground: Array
    patches: Array
    light: Array
    length_m: float
    lane_d: float
    traffic_rows: tuple[int, int] = (0, 0)
    clear_m: float = math.inf
    hill: Hill = LEVEL
    lamps: Array = field(default_factory=lambda: np.zeros((0, LAMP_COLUMNS)))
    room: Array = field(default_factory=lambda: np.zeros(0))
    cell_m: float = 1.0
    column_step_m: float = 0.1
    cell_step_m: float = math.inf

    @classmethod
    def generate(
        cls,
        seed: int,
        length_m: float = 120.0,
        keep_clear_m: float = 8.0,
        streets: Mapping[str, float] | None = None,
        hill: Hill = LEVEL,
    ) -> StreetWorld:
        """Make the street of a seed.

        Args:
            seed: at least 0.
            length_m: how far the street reaches, m.
            keep_clear_m: nothing stands in the robot's lane up to this x, m.
            streets: chances that the street is of a kind of `STREETS` instead of the usual one,
                which is the same whatever the chances.
            hill: on which it lies.

        Raises:
            UserError: a negative seed, a street shorter than 20 m, or a hill no street has.
        """
        if seed < 0:
            raise UserError(f"a world's seed must be 0 or more, got {seed}")
        if not 20.0 <= length_m <= 5000.0:
            raise UserError(f"a street must be 20 m to 5000 m long, got {length_m:g} m")
        rng = np.random.default_rng([20, seed])
        kind = kind_of(seed, streets or {})
        street = STREETS[kind](rng, length_m, keep_clear_m)
        light = random_appearance(rng)
        return cls(
            seed, street.table.array(), street.ground, street.patch_array(), light, length_m,
            street.lane_d, street.traffic_rows, street.clear_m, hill.checked(),
        )  # fmt: skip

    @classmethod
    def of_place(cls, place: str, seed: int, free_m: float = 3.0) -> StreetWorld:
        """Make a place of a seed: rooms, halls, yards and paths, see `PLACES`.

        As along a street, the robot drives along x from 0, here along y = 0.

        Args:
            place: its name.
            seed: at least 0.
            free_m: nothing stands in the robot's lane up to this x, m.

        Raises:
            UserError: no such place, a negative seed, or a lane of less than 0 or over 200 m.
        """
        if seed < 0:
            raise UserError(f"a world's seed must be 0 or more, got {seed}")
        if not 0.0 <= free_m <= 200.0:
            raise UserError(f"a place's lane must be free for 0 m to 200 m, got {free_m:g} m")
        rng = np.random.default_rng([27, PLACES.index(check_place(place)), seed])
        made, light, lamps, room = lay_out_place(place, rng, free_m)
        patches = np.array(made.spots, np.float64).reshape(-1, 6)
        return cls(
            seed, made.table.array(), made.ground, patches, light, made.length_m, 0.0,
            clear_m=made.free_m, lamps=lamps, room=room, cell_m=0.5 if len(room) else 1.0,
            column_step_m=COLUMN_STEP, cell_step_m=CELL_STEP,
        )  # fmt: skip

    @cached_property
    def arrays(self) -> SceneArrays:
        """The world with its look-up grids, as the kernels take it."""
        y = self.table[:, 2] if len(self.table) else np.zeros(1)
        beside, before = (HALF_WIDTH, BEHIND + 20) if not len(self.room) else (2.0, 12.0)
        bounds = (-before, self.length_m + 40, y.min() - beside, y.max() + beside)
        light = self.light
        shear = (light[SUN_X] / light[SUN_Z], light[SUN_Y] / light[SUN_Z])
        sun = ShearedGrid.build(self.table, shear, bounds, self.cell_m)
        up = ShearedGrid.build(self.table, (0.0, 0.0), bounds, self.cell_m)
        return SceneArrays(
            self.table, self.ground, self.hill.array, self.patches, light,
            sun.frame, sun.starts, sun.items, up.frame, up.starts, up.items,
            self.lamps, self.room,
        )  # fmt: skip

    def digest(self) -> str:
        """SHA-256 of everything that defines the world."""
        hill = (self.hill.array,) if self.hill.slope else ()
        world = (self.table, self.ground, self.patches, self.light)
        parts = (*world, self.lamps, self.room, *hill)
        return hashlib.sha256(b"".join(p.tobytes() for p in parts)).hexdigest()
