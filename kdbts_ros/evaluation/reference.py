"""Networks and baselines by the reference's LiDAR protocol, on scans recorded or spun."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import Array, inverse, transform
from kdbts_ros.density.scene import OPACITY_LENGTH, SceneCompleter
from kdbts_ros.evaluation.baselines import (
    EXTRUSION,
    averaging_scene,
    surface_columns,
    weighs_views,
)
from kdbts_ros.evaluation.lidar_protocol import (
    ALL_QUIRKS,
    PosedScan,
    ReferenceGrid,
    before_own_depth,
    lidar_occupancy,
    reference_measures,
)
from kdbts_ros.evaluation.samples import Sample

Bools = npt.NDArray[np.bool_]
Rows = list[dict[str, float]]

_RAW_THRESHOLD = 0.5
_OPACITY_THRESHOLD = 0.5


@dataclass(frozen=True)
class ReferenceSettings:
    """grid: where. quirks: which oddities are on, see `lidar_protocol.QUIRKS`.

    pitch: of the camera against the road in rad, positive down. None takes it from the mount; the
    reference assumes 5 degrees on KITTI-360.
    """

    grid: ReferenceGrid = field(default_factory=ReferenceGrid)
    quirks: frozenset[str] = ALL_QUIRKS
    pitch: float | None = None


@dataclass
class ReferenceEvaluation:
    """Scores networks sample by sample; the depth baselines are those of the first network.

    scores: measures by method, one row a frame. windows: by sample, how many scans it had.
    """

    scenes: Mapping[str, SceneCompleter]
    settings: ReferenceSettings = field(default_factory=ReferenceSettings)
    scores: dict[str, Rows] = field(default_factory=dict)
    windows: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first = next(iter(self.scenes.values()))
        self._averaging = averaging_scene(first) if weighs_views(first) else None

    def run(self, samples: Iterable[Sample]) -> dict[str, Rows]:
        """All samples."""
        for sample in samples:
            self.add(sample)
        return self.scores

    def add(self, sample: Sample) -> None:
        """One sample; one without scans is left out."""
        if not sample.scans:
            return
        settings = self.settings
        self.windows[sample.name] = len(sample.scans)
        grid = self.grid_of(sample)
        T_world_level = level_frame(sample, settings.pitch)
        T_level_world = inverse(T_world_level)
        posed = [PosedScan(s.xyz, T_level_world @ s.T_world_velo) for s in sample.scans]
        occupied, visible = lidar_occupancy(grid, posed, settings.quirks)
        points = transform(T_world_level, grid.points().reshape(-1, 3))
        for index, (name, scene) in enumerate(self.scenes.items()):
            scene.set_views(sample.views)
            own = self._own_visible(scene, sample, points)
            predicted = {name: self.occupied_by(scene, sample, points)}
            if index == 0:
                predicted |= _surfaces(scene, sample, points, 1 / settings.grid.per_metre)
            for method, solid in predicted.items():
                self._note(method, reference_measures(solid, occupied, visible | own))
        if self._averaging is not None and len(sample.views) > 1:
            self._averaging.set_views(sample.views)
            own = self._own_visible(self._averaging, sample, points)
            solid = self.occupied_by(self._averaging, sample, points)
            self._note("view averaging", reference_measures(solid, occupied, visible | own))

    def _note(self, method: str, measures: dict[str, float]) -> None:
        self.scores.setdefault(method, []).append(measures)

    def grid_of(self, sample: Sample) -> ReferenceGrid:
        """The points that are compared, in the levelled frame of the camera."""
        return self.settings.grid

    def occupied_by(self, scene: SceneCompleter, sample: Sample, points: Array) -> Bools:
        """(N,) world points that the network calls occupied; what no view sees is not."""
        sigma = np.nan_to_num(scene.density(points)[0])
        if "raw_density" in self.settings.quirks:
            return np.asarray(sigma > _RAW_THRESHOLD)
        return np.asarray(1 - np.exp(-sigma * OPACITY_LENGTH) >= _OPACITY_THRESHOLD)

    def _own_visible(self, scene: SceneCompleter, sample: Sample, points: Array) -> Bools:
        if "own_depth" not in self.settings.quirks:
            return np.zeros(len(points), np.bool_)
        view = sample.view
        uv, z = view.camera.project(transform(inverse(view.T_world_cam), points))
        ndc = np.nan_to_num(uv) / [view.camera.width, view.camera.height] * 2 - 1
        return before_own_depth(scene.depth_map().depth, ndc, z)


def level_frame(sample: Sample, pitch: float | None = None) -> Array:
    """T_world_level (4,4): at the reference camera, x right, y down along the road's normal.

    pitch: the camera's, rad; None levels by the z axis of the base, which stands on the road.
    """
    T_world_cam = sample.view.T_world_cam
    level = T_world_cam.copy()
    if pitch is not None:
        c, s = np.cos(pitch), np.sin(pitch)
        level[:3, :3] = T_world_cam[:3, :3] @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        return level
    down = -sample.T_world_base[:3, 2]
    forward = T_world_cam[:3, 2] - down * (down @ T_world_cam[:3, 2])
    forward /= np.linalg.norm(forward)
    level[:3, :3] = np.stack([np.cross(down, forward), down, forward], axis=-1)
    return level


def _surfaces(
    scene: SceneCompleter, sample: Sample, points: Array, thin: float
) -> dict[str, Bools]:
    """The baselines that only know the first network's own depth."""
    seen = scene.depth_map()
    arguments = (seen.depth, seen.camera, sample.view.T_world_cam, points[None])
    return {
        "visible surface": surface_columns(*arguments, thin) > 0,
        f"depth + {EXTRUSION:.0f} m": surface_columns(*arguments, EXTRUSION) > 0,
    }
