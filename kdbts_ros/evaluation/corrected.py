"""The published map against accumulated LiDAR scans: the reference's protocol, its quirks off."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.evaluation.columns import Box
from kdbts_ros.evaluation.lidar_protocol import ReferenceGrid
from kdbts_ros.evaluation.mapped import mapped
from kdbts_ros.evaluation.occupancy import OccupancySettings
from kdbts_ros.evaluation.reference import ReferenceEvaluation
from kdbts_ros.evaluation.samples import Sample

Bools = npt.NDArray[np.bool_]


@dataclass
class CorrectedEvaluation(ReferenceEvaluation):
    """As its base, of the cells of the map and the height band that the map is about.

    The layer in which returns are looked for is the map's band, a point is occupied where its cell
    is, by the checkpoint's own threshold, and `settings.quirks` should be none.
    """

    maps: OccupancySettings = field(default_factory=OccupancySettings)

    def grid_of(self, sample: Sample) -> ReferenceGrid:
        """The band from the ground up, which is as far below the camera as the base."""
        normal = sample.T_world_base[:3, 2]
        height = float(normal @ (sample.view.T_world_cam[:3, 3] - sample.T_world_base[:3, 3]))
        band = self.maps.band
        return replace(self.settings.grid, y=(height - band.high, height - band.low), layers=1)

    def occupied_by(self, scene: SceneCompleter, sample: Sample, points: Array) -> Bools:
        """By the cell of the map over each point; unknown cells are not occupied."""
        grid = self.settings.grid
        box = Box((0.0, grid.z[1] + 1.0), (grid.x[0] - 1.0, grid.x[1] + 1.0))
        window = box.window(sample.T_world_base, self.maps.resolution)
        probability = mapped(scene, sample.T_world_base, window, self.maps.band).probability
        column, row = (
            np.floor((points[:, axis] - low) / window.resolution).astype(int).clip(0, most - 1)
            for axis, low, most in ((0, window.x0, window.width), (1, window.y0, window.height))
        )
        return np.asarray(probability[row, column] >= self.maps.threshold_of(scene))
