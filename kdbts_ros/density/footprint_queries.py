"""What a published map says of a robot's footprints, asked from any thread.

A `MapSnapshot` is made with each map and never changes. It holds the map as it is published, after
accumulation, marks and specks, so that an answer never contradicts what a costmap made of the map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.engines.answers import Bools
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.maps.footprints import touched
from kdbts_ros.density.maps.grid import CompletedCells, Int8s, OccupancyMap
from kdbts_ros.density.places import outline, world_outlines
from kdbts_ros.density.queries import (
    MAYBE,
    NO,
    STATE_COMPLETED,
    STATE_OBSERVED,
    STATE_UNKNOWN,
    YES,
    Answers,
)


@dataclass(frozen=True, eq=False)
class MapSnapshot:
    """One map and what was published of it. World: its fixed frame.

    Attributes:
        occupancy: the map, accumulated where maps are.
        trinary: (H,W) as published.
        completed: what is published of cells that nobody observes.
    """

    occupancy: OccupancyMap
    trinary: Int8s
    completed: CompletedCells

    def footprints(
        self,
        poses: npt.ArrayLike,
        corners: Array,
        threshold: float | None = None,
        T_world_frame: Array | None = None,
    ) -> Answers:
        """Of an outline (C,2), metres in x and y of a pose, at every pose (N,7), seen from above.

        Of the cells of the map that each touches: the highest probability that is known, the state
        of the least known, and YES if any is occupied, else MAYBE if any is unknown, as is what
        lies beyond the map.

        poses: in a frame, x, y, z and a quaternion x, y, z, w. threshold: probability from which a
        cell is occupied; None: what was published of it. T_world_frame (4,4): None for poses in the
        world.

        Raises:
            UserError: see `places.world_outlines`; or they touch too much of the map.
        """
        T = np.eye(4) if T_world_frame is None else T_world_frame
        said = self.occupancy
        cells, ends, beyond = touched(world_outlines(poses, corners, T), said.window)
        published = self.trinary
        if threshold is not None:
            published = said.trinary(threshold, self.completed)
        probability, observed = said.probability.ravel()[cells], said.observed.ravel()[cells]
        each = Answers.of(probability, observed, published.ravel()[cells])
        return _worst(each, ends, beyond)

    def rehearse(self) -> None:
        """Ask once, so that what compiles or allocates has done so before anybody waits."""
        x, y = self.occupancy.window.x0, self.occupancy.window.y0
        self.footprints([[x + 2.0, y + 2.0, 0, 0, 0, 0, 1]], outline((), 1.0))


def _worst(each: Answers, ends: npt.NDArray[np.int64], beyond: Bools) -> Answers:
    """Of footprints (N,): the worst of the cells (K,) they touch; see `Touched`."""
    found = Answers(
        np.full(len(ends), np.nan, np.float32),
        np.full(len(ends), STATE_UNKNOWN, np.uint8),
        np.full(len(ends), MAYBE, np.uint8),
    )
    begins = np.concatenate([[0], ends[:-1]])
    some = ends > begins
    starts = begins[some]
    if not starts.size:
        return found

    def any_of(cells: Bools) -> Bools:
        return np.asarray(np.logical_or.reduceat(cells, starts))

    found.probability[some] = np.fmax.reduceat(each.probability, starts)
    unknown = any_of(each.state == STATE_UNKNOWN) | beyond[some]
    completed = any_of(each.state == STATE_COMPLETED)
    found.state[some] = np.where(
        unknown, STATE_UNKNOWN, np.where(completed, STATE_COMPLETED, STATE_OBSERVED)
    )
    collides, doubtful = any_of(each.collision == YES), any_of(each.collision == MAYBE)
    found.collision[some] = np.where(collides, YES, np.where(doubtful | beyond[some], MAYBE, NO))
    return found
