"""Cars that drive along a street: where every one of them is at any time.

A street's own traffic stands still. `moving_traffic` takes its place: cars ahead in the robot's
lane, which the robot never reaches, and a stream of oncoming ones where a lane is free for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kdbts_ros.datasets.synthetic import ground as gr
from kdbts_ros.datasets.synthetic.ground import street_to_world
from kdbts_ros.datasets.synthetic.primitives import CONTRAST, COS, CX, CY, SIN, PrimitiveTable
from kdbts_ros.datasets.synthetic.roads import HALF_LANE
from kdbts_ros.datasets.synthetic.truth import occupied
from kdbts_ros.datasets.synthetic.vehicles import add_car, add_van
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.geometry.camera import Array


@dataclass(frozen=True, eq=False)
class Mover:
    """A car on its way.

    Attributes:
        rows: (n,COLUMNS) its solids around the origin, its front along x.
        x: place along the street at time 0, m.
        d: distance to the left of the centre line, m.
        speed: along the street, m/s; below zero it comes towards the robot.
    """

    rows: Array
    x: float
    d: float
    speed: float

    def at(self, ground: Array, seconds: float) -> Array:
        """(n,COLUMNS) its solids at a time."""
        wx, wy, angle = street_to_world(ground, self.x + self.speed * seconds, self.d)
        yaw = angle if self.speed >= 0 else angle + np.pi
        c, s = np.cos(yaw), np.sin(yaw)
        placed = self.rows.copy()
        x, y = self.rows[:, CX], self.rows[:, CY]
        placed[:, CX], placed[:, CY] = wx + c * x - s * y, wy + s * x + c * y
        cos, sin = self.rows[:, COS], self.rows[:, SIN]
        placed[:, COS], placed[:, SIN] = c * cos - s * sin, s * cos + c * sin
        return placed


def without_traffic(world: StreetWorld) -> StreetWorld:
    """The street with nothing standing in its lanes."""
    first, after = world.traffic_rows
    table = np.delete(world.table, np.s_[first:after], axis=0)
    return replace(world, table=table, traffic_rows=(first, first))


def with_movers(world: StreetWorld, movers: Sequence[Mover], seconds: float) -> StreetWorld:
    """The street with the cars where they are at a time; exact like any other street."""
    placed = [mover.at(world.ground, seconds) for mover in movers]
    return replace(world, table=np.concatenate([world.table, *placed]))


def moving_traffic(empty: StreetWorld, speed: float, seconds: float) -> tuple[Mover, ...]:
    """Cars for a drive of so many seconds at a speed in m/s; at least one where the street is long
    enough for it.

    Args:
        empty: the street, nothing standing in its lanes.
    """
    rng = np.random.default_rng([24, empty.seed])
    d = _oncoming_lane(empty, rng)
    movers = _oncoming(empty, rng, d, seconds, speed) if d is not None else []
    # Drawn in any case, so that the cars ahead do not depend on what comes towards them.
    if rng.random() < 0.6 or not movers:
        movers += _ahead(empty, rng, speed, seconds)
    return tuple(movers)


def _ahead(
    empty: StreetWorld, rng: np.random.Generator, speed: float, seconds: float
) -> list[Mover]:
    """One or two cars in the robot's lane, as fast or a little faster."""
    movers = []
    x, fastest = float(rng.uniform(11.0, 25.0)), 0.0
    for _ in range(int(rng.integers(1, 3))):
        fastest = max(fastest, max(speed, 3.0) * float(rng.uniform(1.0, 1.2)))
        if x + fastest * seconds > empty.length_m - 5.0:
            break
        movers.append(Mover(_car(rng), x, empty.lane_d, fastest))
        x += float(rng.uniform(12.0, 25.0))
    return movers


def _oncoming(
    empty: StreetWorld, rng: np.random.Generator, d: float, seconds: float, speed: float
) -> list[Mover]:
    """A stream of cars of one speed that lasts as long as the drive."""
    movers, pace = [], float(rng.uniform(6.0, 13.0))
    x, last = float(rng.uniform(12.0, 30.0)), (pace + speed) * seconds + 60.0
    while x < last:
        movers.append(Mover(_car(rng), x, d, -pace))
        x += float(rng.uniform(11.0, 35.0))
    return movers


def _oncoming_lane(empty: StreetWorld, rng: np.random.Generator) -> float | None:
    """A place d beside the robot's lane where nothing stands all along the street, or None."""
    left = float(empty.ground[gr.LEFT]) - HALF_LANE + 0.3
    candidates = np.arange(empty.lane_d + 2 * HALF_LANE + 0.2, left, 0.3)
    free = [float(d) for d in candidates if _is_free(empty, float(d))]
    return free[int(rng.integers(len(free)))] if free else None


def _is_free(empty: StreetWorld, d: float) -> bool:
    along = np.arange(0.0, empty.length_m, 0.75)
    across = np.linspace(-HALF_LANE, HALF_LANE, 5)
    flat = [street_to_world(empty.ground, x, d + a)[:2] for x in along for a in across]
    hill = empty.hill
    points = [(x, y, z + float(hill.rise(x))) for x, y in flat for z in (0.5, 1.2, 1.9)]
    return not occupied(empty, points).any()


def _car(rng: np.random.Generator) -> Array:
    table = PrimitiveTable()
    (add_van if rng.random() < 0.12 else add_car)(table, rng, (0.0, 0.0, 0.0), 0.0)
    rows = table.array()
    # The grain of a surface lies in the world, not on the solid: on a moving car it would swim.
    rows[:, CONTRAST] = 0.0
    return rows
