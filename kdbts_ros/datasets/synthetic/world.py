"""One procedural street with everything on it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kdbts_ros.datasets.synthetic.appearance import SUN_X, SUN_Y, SUN_Z, random_appearance
from kdbts_ros.datasets.synthetic.hill import LEVEL, Hill
from kdbts_ros.datasets.synthetic.index import ShearedGrid
from kdbts_ros.datasets.synthetic.kinds import STREETS, kind_of
from kdbts_ros.datasets.synthetic.layout import BEHIND
from kdbts_ros.datasets.synthetic.shading import SceneArrays
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.errors import UserError

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

    @cached_property
    def arrays(self) -> SceneArrays:
        """The world with its look-up grids, as the kernels take it."""
        y = self.table[:, 2] if len(self.table) else np.zeros(1)
        bounds = (-BEHIND - 20, self.length_m + 40, y.min() - HALF_WIDTH, y.max() + HALF_WIDTH)
        light = self.light
        shear = (light[SUN_X] / light[SUN_Z], light[SUN_Y] / light[SUN_Z])
        sun = ShearedGrid.build(self.table, shear, bounds)
        up = ShearedGrid.build(self.table, (0.0, 0.0), bounds)
        return SceneArrays(
            self.table, self.ground, self.hill.array, self.patches, light,
            sun.frame, sun.starts, sun.items, up.frame, up.starts, up.items,
        )  # fmt: skip

    def digest(self) -> str:
        """SHA-256 of everything that defines the world."""
        hill = (self.hill.array,) if self.hill.slope else ()
        parts = (self.table, self.ground, self.patches, self.light, *hill)
        return hashlib.sha256(b"".join(p.tobytes() for p in parts)).hexdigest()
