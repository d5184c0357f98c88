"""What the views behind a map say of single points and of footprints, asked from any thread.

A `ViewSnapshot` is made with each map and never changes: what is asked of it is about the views of
that map, whatever has been seen since.

Points and footprints follow the rules of the map (`birds_eye_map`): what is nearer to every view
than depths were learnt is unknown, and what the newest view observes to be occupied stays so,
whatever earlier views say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.birds_eye_map import around, map_of_sums, no_less_than, within_range
from kdbts_ros.density.engines.answers import Bools, Floats
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.interface import ColumnSums, PointQueries, opacity
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.maps.footprints import touched
from kdbts_ros.density.maps.grid import (
    OCCUPIED,
    UNKNOWN,
    CellRule,
    MapArea,
    OccupancyMap,
    band_columns,
)
from kdbts_ros.density.maps.probability import ProbabilityCurves
from kdbts_ros.density.places import outline, world_outlines, world_points
from kdbts_ros.density.scene import OPACITY_LENGTH, SceneCompleter
from kdbts_ros.errors import UserError

Bytes = npt.NDArray[np.uint8]

# States, as srv/QueryOccupancy.srv has them.
STATE_UNKNOWN, STATE_OBSERVED, STATE_COMPLETED = 0, 1, 2
# Whether something collides; MAYBE: nobody knows.
NO, YES, MAYBE = 0, 1, 2
# Opacity of half a metre from which a point is called occupied: half the light is gone.
POINT_OCCUPIED_FROM = 0.5
# Points in the columns of footprints that are asked at once.
MOST_SAMPLES = 400_000


class Answers(NamedTuple):
    """By point or footprint (N,): probability 0..1, NaN unknown, state, collision."""

    probability: Floats
    state: Bytes
    collision: Bytes


class PointSpeaker(NamedTuple):
    """As `scene.Speaker`, about points alone and for any thread."""

    queries: PointQueries
    views: tuple[EncodedView, ...]
    visibility: list[Floats]
    curves: ProbabilityCurves


@dataclass(frozen=True, eq=False)
class ViewSnapshot:
    """The views behind one map. World: the fixed frame of the map.

    Attributes:
        together: the head that answers for all of them.
        alone: the head that answers for the newest; None where there is no other view.
        depth_near: z-depth m of the nearest that was learnt.
        area: of the map: its cells are those that footprints touch.
        rule: how columns of the map are published.
        occupied_from: probability from which a column is called occupied.
    """

    together: PointSpeaker
    alone: PointSpeaker | None
    depth_near: float
    area: MapArea
    rule: CellRule
    occupied_from: float

    @classmethod
    def of(cls, scene: SceneCompleter, area: MapArea, rule: CellRule) -> ViewSnapshot:
        """Of the views that a scene has in use; for the scene's own thread."""
        views, visibility = scene.views, scene.visibility()
        several = len(views) > 1
        return cls(
            _speaker(scene, views, visibility),
            _speaker(scene, views[:1], visibility[:1]) if several else None,
            scene.spec.depth_near,
            area,
            rule,
            scene.occupied_from(len(views)),
        )

    @property
    def views_used(self) -> int:
        """How many views answer."""
        return len(self.together.views)

    def points(
        self,
        points: npt.ArrayLike,
        threshold: float | None = None,
        T_world_frame: Array | None = None,
    ) -> Answers:
        """Of points (N,3) in a frame, metres: the opacity of `OPACITY_LENGTH` there.

        threshold: from which a point collides; None: `POINT_OCCUPIED_FROM`. T_world_frame (4,4):
        None for points in the world.

        Raises:
            UserError: see `places.world_points`.
        """
        xyz = world_points(points, np.eye(4) if T_world_frame is None else T_world_frame)
        probability, observed = _opacities(self.together, xyz, self.depth_near)
        if self.alone is not None:
            newest, own = _opacities(self.alone, xyz, self.depth_near)
            # As on the map: earlier views do not erase what the newest observes.
            probability = np.where(own, np.fmax(newest, probability), probability)
            observed = observed | own
        limit = POINT_OCCUPIED_FROM if threshold is None else threshold
        return self._answers(probability, observed, limit)

    def footprints(
        self,
        poses: npt.ArrayLike,
        corners: Array,
        threshold: float | None = None,
        T_world_frame: Array | None = None,
    ) -> Answers:
        """Of an outline (C,2), metres in x and y of a pose, at every pose (N,7), seen from above.

        Of the columns of the map that each touches: the highest probability that is known, the
        state of the least known, and YES if any collides, else MAYBE if any is unknown, as is what
        lies beyond the map.

        poses: in a frame, x, y, z and a quaternion x, y, z, w. threshold: from which a column
        collides; None: as on the map. T_world_frame (4,4): None for poses in the world.

        Raises:
            UserError: see `places.world_outlines`; or they touch too much of the map.
        """
        T = np.eye(4) if T_world_frame is None else T_world_frame
        cells, ends, beyond = touched(world_outlines(poses, corners, T), self.area.window)
        columns = self._columns(np.unique(cells))
        limit = self.rule.threshold if threshold is None else threshold
        probability, observed = columns.probability.reshape(-1), columns.observed.reshape(-1)
        return _worst(self._answers(probability[cells], observed[cells], limit), ends, beyond)

    def rehearse(self) -> None:
        """Ask once, so that what compiles or allocates has done so before anybody waits."""
        x, y = self.area.T_fixed_base[:2, 3]
        self.points([[x + 5.0, y, 1.0]])
        self.footprints([[x + 5.0, y, 0, 0, 0, 0, 1]], outline((), 1.0))

    def _answers(self, probability: Floats, observed: Bools, threshold: float) -> Answers:
        """Of points or columns (N,), by the rule of the map."""
        said = OccupancyMap(self.area.window, probability, observed)
        called = said.trinary(threshold, self.rule.completed)
        collision = np.where(called == OCCUPIED, YES, np.where(called == UNKNOWN, MAYBE, NO))
        state = np.where(observed, STATE_OBSERVED, STATE_COMPLETED)
        state[np.isnan(probability)] = STATE_UNKNOWN
        return Answers(probability, state.astype(np.uint8), collision.astype(np.uint8))

    def _columns(self, cells: npt.NDArray[np.int64]) -> OccupancyMap:
        """The map where these cells (K,) lie, without repetition; elsewhere unknown."""
        window = self.area.window
        flags = np.zeros(window.height * window.width, np.bool_)
        flags[cells] = True
        wanted: Bools = flags.reshape(window.height, window.width)
        if self.alone is None:
            return self._columns_by(self.together, wanted)
        # What the newest view says of a cell depends on cells around.
        wanted = around(wanted, window.resolution)
        newest = self._columns_by(self.alone, wanted)
        return no_less_than(newest, self._columns_by(self.together, wanted), self.occupied_from)

    def _columns_by(self, speaker: PointSpeaker, wanted: Bools) -> OccupancyMap:
        grid, thickness = band_columns(*self.area)
        levels, (rows, columns) = grid.shape[0], np.nonzero(wanted)
        if rows.size * levels > MOST_SAMPLES:
            raise UserError(
                f"these footprints touch {rows.size:,} columns of {levels} heights, more than "
                f"{MOST_SAMPLES:,} points: ask for fewer at once"
            )
        feet = grid.origin + columns[:, None] * grid.steps[0] + rows[:, None] * grid.steps[1]
        points = (feet[:, None] + np.arange(levels)[:, None] * grid.steps[2]).reshape(-1, 3)
        seen, sums = (
            speaker.queries.seen(points),
            ColumnSums(
                np.zeros(wanted.shape, np.float32),
                np.zeros(wanted.shape, np.int32),
                np.zeros(wanted.shape, np.int32),
            ),
        )
        sigma = np.where(seen, speaker.queries.point_densities(points), np.float32(0))
        light = speaker.queries.visible(points, speaker.visibility) & seen
        for into, values in zip(sums, (sigma, seen, light), strict=True):
            into[wanted] = values.reshape(-1, levels).sum(1)
        within = within_range(speaker.views, self.depth_near, grid)
        return map_of_sums(sums, within, speaker.curves, self.area.window, levels, thickness)


def _speaker(
    scene: SceneCompleter, views: Sequence[EncodedView], visibility: Sequence[Floats]
) -> PointSpeaker:
    head = scene.field.answering(len(views))
    curves = scene.curves_of(scene.field.heads[head].name)
    return PointSpeaker(scene.engine.points(head, views), tuple(views), list(visibility), curves)


def _opacities(speaker: PointSpeaker, points: Array, depth_near: float) -> tuple[Floats, Bools]:
    """(N,): opacity of points, NaN where unknown, and whether light reaches them."""
    known = speaker.queries.seen(points) & _far_enough(speaker.views, points, depth_near)
    sigma = speaker.queries.point_densities(points)
    sigma[~known] = np.nan
    observed = known & speaker.queries.visible(points, speaker.visibility)
    return opacity(sigma, OPACITY_LENGTH), observed


def _far_enough(views: Sequence[EncodedView], points: Array, depth_near: float) -> Bools:
    """(N,): points that are not nearer to every view than depths were ever learnt."""
    within = np.zeros(len(points), np.bool_)
    for view in views:
        axis, centre = view.T_world_cam[:3, 2], view.T_world_cam[:3, 3]
        within |= points @ axis >= depth_near / view.scale + centre @ axis
    return within


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
