"""What the views behind a map say of single points, asked from any thread.

A `ViewSnapshot` is made with each map and never changes: what is asked of it is about the views of
that map, whatever has been seen since. Footprints are asked of the map: `footprint_queries`.

Points follow the rules of the map (`birds_eye_map`): what is nearer to every view than depths were
learnt is unknown, and what the newest view observes to be occupied stays so, whatever earlier views
say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.engines.answers import Bools, Floats
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.engines.interface import PointQueries, opacity
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.maps.grid import (
    OCCUPIED,
    UNKNOWN,
    CompletedCells,
    Int8s,
    published_cells,
)
from kdbts_ros.density.places import world_points
from kdbts_ros.density.scene import OPACITY_LENGTH, SceneCompleter

Bytes = npt.NDArray[np.uint8]

# States, as srv/QueryOccupancy.srv has them.
STATE_UNKNOWN, STATE_OBSERVED, STATE_COMPLETED = 0, 1, 2
# Whether something collides; MAYBE: nobody knows.
NO, YES, MAYBE = 0, 1, 2
# Opacity of half a metre from which a point is called occupied: half the light is gone.
POINT_OCCUPIED_FROM = 0.5


class Answers(NamedTuple):
    """By point or footprint (N,): probability 0..1, NaN unknown, state, collision."""

    probability: Floats
    state: Bytes
    collision: Bytes

    @classmethod
    def of(cls, probability: Floats, observed: Bools, published: Int8s) -> Answers:
        """Of points or cells (N,); published: -1, 0 or 100, as on a map."""
        # Sums of bytes: choosing among integers of eight took a sixth of an answer's time.
        occupied, unknown = published == OCCUPIED, published == UNKNOWN
        collision = np.uint8(YES) * occupied + np.uint8(MAYBE) * unknown
        state = np.uint8(STATE_COMPLETED) - np.uint8(STATE_COMPLETED - STATE_OBSERVED) * observed
        state[np.isnan(probability)] = STATE_UNKNOWN
        return cls(probability, state, collision)


class PointSpeaker(NamedTuple):
    """As `scene.Speaker`, about points alone and for any thread."""

    queries: PointQueries
    views: tuple[EncodedView, ...]
    visibility: list[Floats]


@dataclass(frozen=True, eq=False)
class ViewSnapshot:
    """The views behind one map. World: the fixed frame of the map.

    Attributes:
        together: the head that answers for all of them.
        alone: the head that answers for the newest; None where there is no other view.
        depth_near: z-depth m of the nearest that was learnt.
        completed: what the map makes of what nobody observes.
    """

    together: PointSpeaker
    alone: PointSpeaker | None
    depth_near: float
    completed: CompletedCells

    @classmethod
    def of(cls, scene: SceneCompleter, completed: CompletedCells) -> ViewSnapshot:
        """Of the views that a scene has in use; for the scene's own thread."""
        views, visibility = scene.views, scene.visibility()
        several = len(views) > 1
        return cls(
            _speaker(scene, views, visibility),
            _speaker(scene, views[:1], visibility[:1]) if several else None,
            scene.spec.depth_near,
            completed,
        )

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
        published = published_cells(probability, observed, limit, self.completed)
        return Answers.of(probability, observed, published)

    def rehearse(self) -> None:
        """Ask once, so that what compiles or allocates has done so before anybody waits."""
        ahead = self.together.views[0].T_world_cam @ [0, 0, 5.0, 1]
        self.points(ahead[None, :3])


def _speaker(
    scene: SceneCompleter, views: Sequence[EncodedView], visibility: Sequence[Floats]
) -> PointSpeaker:
    head = scene.field.answering(len(views))
    return PointSpeaker(scene.engine.points(head, views), tuple(views), list(visibility))


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
