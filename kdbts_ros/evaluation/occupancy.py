"""Occupancy of networks and baselines against an exact world: the truth decides what is visible.

Columns of the published map are compared within a box ahead of the robot. Unlike the reference's
LiDAR protocol, neither the truth nor the set of hidden columns depends on the method's own depth,
and a density is judged by its opacity, not by its raw value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.places.kinds import STREET
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.density.maps.grid import HeightBand
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.evaluation.anchoring import set_views
from kdbts_ros.evaluation.baselines import (
    EXTRUSION,
    averaging_scene,
    surface_columns,
    weighs_views,
)
from kdbts_ros.evaluation.columns import Box, Columns, columns_of
from kdbts_ros.evaluation.error_map import occupancy_panel
from kdbts_ros.evaluation.gallery import Gallery
from kdbts_ros.evaluation.mapped import mapped
from kdbts_ros.evaluation.samples import Sample
from kdbts_ros.evaluation.scores import FrameScore, frame_measures, score
from kdbts_ros.evaluation.shown import adapter_of, shown

Floats = npt.NDArray[np.float32]
Scenes = Mapping[str, SceneCompleter]

# Columns of places that are no streets, in the base frame, m, and what stands in their way.
NEAR_BOX = Box((0.5, 8.0), (-4.0, 4.0))
STREET_BAND, NEAR_BAND = HeightBand(0.3, 2.0, 0.25), HeightBand(0.1, 1.5, 0.15)


@dataclass(frozen=True)
class OccupancySettings:
    """What is compared: height band, box, cells in m, and from which probability on.

    threshold: None takes each checkpoint's own. anchored: see `anchoring`.
    """

    band: HeightBand = field(default_factory=lambda: HeightBand(0.3, 2.0, 0.25))
    box: Box = field(default_factory=Box)
    resolution: float = 0.2
    threshold: float | None = None
    anchored: bool = False

    def threshold_of(self, scene: SceneCompleter) -> float:
        """Probability from which the map of the views in use says occupied."""
        if self.threshold is not None:
            return self.threshold
        completed = scene.completed_from(len(scene.views), scene.views[0].scale)
        return scene.curves.occupied_from if completed is None else completed


def compared(place: str, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    """Box, cells and band of `OccupancySettings`: where robots work, nearer columns, finer cells
    and the band of the indoor preset. low, high: of the band, m, instead."""
    usual = STREET_BAND if place == STREET else NEAR_BAND
    band = replace(usual, low=usual.low if low is None else low,
                   high=usual.high if high is None else high)  # fmt: skip
    return {"band": band} | ({} if place == STREET else {"box": NEAR_BOX, "resolution": 0.1})


@dataclass(frozen=True, eq=False)
class OccupancyScores:
    """Scores by method, the networks first, all on the same frames in the same order.

    certain: methods that say 0 or 1 only, whose probabilities mean nothing.
    """

    methods: dict[str, list[FrameScore]] = field(default_factory=dict)
    certain: set[str] = field(default_factory=set)


class OccupancyEvaluation:
    """Scores networks sample by sample; the baselines are those of the first network.

    Each sample is prepared once for all methods. Networks are shown what the node would show them
    of a camera, see `CameraAdapter`.
    """

    def __init__(
        self, scenes: Scenes, settings: OccupancySettings, gallery: Gallery | None = None
    ) -> None:
        self.scores = OccupancyScores({name: [] for name in scenes})
        self.gallery = gallery or Gallery(0)
        self._scenes = scenes
        self._settings = settings
        self._adapters = {name: adapter_of(scene) for name, scene in scenes.items()}
        self._first = next(iter(scenes))
        first = scenes[self._first]
        self._averaging = averaging_scene(first) if weighs_views(first) else None

    def run(self, samples: Iterable[Sample]) -> OccupancyScores:
        """All samples."""
        for sample in samples:
            self.add(sample)
        return self.scores

    def add(self, sample: Sample) -> None:
        """One sample."""
        settings = self._settings
        columns = columns_of(sample, settings.band, settings.box, settings.resolution)
        for name, scene in self._scenes.items():
            views = [shown(view, sample, self._adapters[name]) for view in sample.views]
            set_views(scene, views, sample.T_world_base, settings.anchored)
            probability = self._mapped(scene, sample, columns)
            latest = self._note(name, columns, probability, scene)
            if name == self._first:
                self._show(scene, sample, columns, probability, latest)
                surfaces = self._surfaces(scene, sample, columns, views[0])
                for baseline, solid in surfaces.items():
                    self.scores.certain.add(baseline)
                    self._note(baseline, columns, solid, scene)
        if self._averaging is not None and len(sample.views) > 1:
            views = [shown(view, sample, self._adapters[self._first]) for view in sample.views]
            set_views(self._averaging, views, sample.T_world_base, settings.anchored)
            averaged = self._mapped(self._averaging, sample, columns)
            self._note("view averaging", columns, averaged, self._averaging)

    def _mapped(self, scene: SceneCompleter, sample: Sample, columns: Columns) -> Floats:
        found = mapped(scene, sample.T_world_base, columns.window, self._settings.band)
        return np.asarray(found.probability[columns.compared])

    def _surfaces(
        self, scene: SceneCompleter, sample: Sample, columns: Columns, looked: View
    ) -> dict[str, Floats]:
        """The baselines that only know a depth: the network's own, and the true one.

        looked: the reference view as the network was shown it.
        """
        thin, points = self._settings.resolution, columns.points
        seen, view = scene.depth_map(), sample.view
        own = (seen.depth, seen.camera, looked.T_world_cam, points)
        true = (sample.depth, view.camera, view.T_world_cam, points)
        return {
            "visible surface": surface_columns(*own, thin),
            f"depth + {EXTRUSION:.0f} m": surface_columns(*own, EXTRUSION),
            "visible surface, true depth": surface_columns(*true, thin),
            f"true depth + {EXTRUSION:.0f} m": surface_columns(*true, EXTRUSION),
        }

    def _note(
        self, method: str, columns: Columns, probability: Floats, scene: SceneCompleter
    ) -> FrameScore:
        found = score(columns.name, columns.truth, probability, self._settings.threshold_of(scene))
        self.scores.methods.setdefault(method, []).append(found)
        return found

    def _show(
        self,
        scene: SceneCompleter,
        sample: Sample,
        columns: Columns,
        probability: Floats,
        latest: FrameScore,
    ) -> None:
        solid = probability >= self._settings.threshold_of(scene)
        self.gallery.offer(
            sample.name,
            frame_measures(latest)["O_acc"],
            lambda: occupancy_panel(sample, scene.depth_map().valid(), columns, probability, solid),
        )
