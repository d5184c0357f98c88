"""A map head beside the columns alone, on worlds with a truth."""

from __future__ import annotations

from kdbts_ros.density.map_head import MapHead
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.evaluation.calibrate import threshold_of_best_iou
from kdbts_ros.evaluation.columns import columns_of
from kdbts_ros.evaluation.mapped import mapped
from kdbts_ros.evaluation.occupancy import Floats, OccupancySettings
from kdbts_ros.evaluation.report import Rows
from kdbts_ros.evaluation.samples import Sample
from kdbts_ros.evaluation.scores import ColumnTruth, frame_table, score
from kdbts_ros.evaluation.shown import adapter_of, shown


class JudgedMaps:
    """Collects what a scene says of samples, with a head in the place of its own and without."""

    def __init__(self, scene: SceneCompleter, head: MapHead, settings: OccupancySettings) -> None:
        self._scene, self._head, self._settings = scene, head, settings
        self._adapter = adapter_of(scene)
        self._with: list[tuple[str, ColumnTruth, Floats]] = []
        self._without: list[tuple[str, ColumnTruth, Floats]] = []

    def add(self, sample: Sample) -> None:
        """One sample, all its images."""
        settings, scene = self._settings, self._scene
        columns = columns_of(sample, settings.band, settings.box, settings.resolution)
        scene.set_views([shown(view, sample, self._adapter) for view in sample.views])
        for head, kept in ((self._head, self._with), (None, self._without)):
            with scene.map_heads.instead(scene.head_in_use, head):
                found = mapped(scene, sample.T_world_base, columns.window, settings.band)
            kept.append((columns.name, columns.truth, found.probability[columns.compared]))

    def best_threshold(self) -> float:
        """Of the maps with the head: the probability of best IoU."""
        return threshold_of_best_iou([score(*each, 0.5) for each in self._with])

    def rows(self, threshold: float) -> Rows:
        """Measures without the head at its curves' threshold, and with it at this one."""
        usual = self._scene.curves.occupied_from
        return {
            f"columns alone, from {usual:.2f}": frame_table(
                [score(*each, usual) for each in self._without]
            ).measures(),
            f"with the map head, from {threshold:.2f}": frame_table(
                [score(*each, threshold) for each in self._with]
            ).measures(),
        }
