"""Maps against what a LiDAR scan itself saw free or occupied, on recorded drives.

Needs one scan of the frame; scans before and after it may tell what is hidden from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.geometry.camera import inverse, transform
from kdbts_ros.density.maps.grid import GridWindow, band_columns
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.evaluation.baselines import EXTRUSION, surface_columns
from kdbts_ros.evaluation.columns import mostly_in_image
from kdbts_ros.evaluation.intervals import FrameTable
from kdbts_ros.evaluation.lidar_columns import Verdict, column_evidence, together
from kdbts_ros.evaluation.mapped import mapped
from kdbts_ros.evaluation.occupancy import OccupancySettings
from kdbts_ros.evaluation.samples import Sample
from kdbts_ros.evaluation.scores import iou

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]

# Columns farther from the robot than this are not compared, m: beams lie too far apart there.
REACH = 20.0


@dataclass
class VisibleEvaluation:
    """Scores networks sample by sample; the baselines are those of the first network.

    counts: by method, a (2,2,2) table a frame: known by neighbouring scans alone or by the frame's
    own, predicted occupied, truly occupied. disputed: columns of each frame that scans disagree on.
    """

    scenes: Mapping[str, SceneCompleter]
    settings: OccupancySettings = field(default_factory=OccupancySettings)
    counts: dict[str, list[Counts]] = field(default_factory=dict)
    disputed: list[int] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        """One sample, with the scans that judge it in `around`."""
        settings = self.settings
        window = settings.box.window(sample.T_world_base, settings.resolution)
        verdict = together(
            [column_evidence(s, sample.T_world_base, window, settings.band) for s in sample.around]
        )
        inside, points = self._standing(sample, window)
        self.disputed.append(int((verdict.disputed & inside).sum()))
        judged = inside & (verdict.occupied | verdict.free)
        asked = points[:, judged[inside]]
        for index, (name, scene) in enumerate(self.scenes.items()):
            scene.set_views(sample.views)
            found = mapped(scene, sample.T_world_base, window, settings.band).probability
            # NaN, which is unknown, is not occupied.
            self._note(name, found[judged] >= settings.threshold_of(scene), verdict, judged)
            if index == 0:
                seen = scene.depth_map()
                shot = seen.depth, seen.camera, sample.view.T_world_cam, asked
                thin = surface_columns(*shot, settings.resolution) > 0
                self._note("visible surface", thin, verdict, judged)
                thick = surface_columns(*shot, EXTRUSION) > 0
                self._note(f"depth + {EXTRUSION:.0f} m", thick, verdict, judged)
                self._note("all free", np.zeros_like(thin), verdict, judged)

    def _standing(self, sample: Sample, window: GridWindow) -> tuple[Bools, Array]:
        """(H,W) columns that are compared if something is known of them, and their points (L,N,3).

        Inside the box, within reach, and with enough levels in the reference image.
        """
        box = self.settings.box
        grid, _ = band_columns(sample.T_world_base, window, self.settings.band)
        levels, rows, columns = grid.shape
        points = grid.points().reshape(levels, rows * columns, 3)
        base = transform(inverse(sample.T_world_base), points[0])
        inside = (base[:, 0] >= box.x[0]) & (base[:, 0] <= box.x[1])
        inside &= (base[:, 1] >= box.y[0]) & (base[:, 1] <= box.y[1])
        inside &= np.hypot(base[:, 0], base[:, 1]) <= REACH
        inside[inside] = mostly_in_image(sample, points[:, inside])
        return inside.reshape(rows, columns), points[:, inside]

    def _note(self, method: str, predicted: Bools, verdict: Verdict, judged: Bools) -> None:
        table = np.zeros((2, 2, 2), np.int64)
        where = (verdict.own[judged].astype(int), predicted.astype(int))
        np.add.at(table, (*where, verdict.occupied[judged].astype(int)), 1)
        self.counts.setdefault(method, []).append(table)


def visible_table(frames: Sequence[Counts]) -> FrameTable:
    """Measures of all frames' columns together; see docs/evaluation.md."""
    sums = np.stack(frames).reshape(len(frames), -1).astype(np.float64)
    return FrameTable((), np.zeros((len(frames), 0)), sums, visible_measures)


def visible_measures(sums: Array) -> dict[str, float]:
    """Of the added counts (8,) of `VisibleEvaluation.counts`."""
    tables = sums.reshape(2, 2, 2)
    every = tables.sum(0)
    # Free columns are the occupied ones of the table turned about.
    return {
        **_side("occ", every),
        **_side("free", every[::-1, ::-1]),
        "hidden_occ_iou": iou(tables[0]),
        "hidden_free_iou": iou(tables[0][::-1, ::-1]),
    }


def _side(name: str, table: Array) -> dict[str, float]:
    hits, called, true = table[1, 1], table[1].sum(), table[:, 1].sum()
    return {
        f"{name}_prec": float(hits / called) if called else float("nan"),
        f"{name}_rec": float(hits / true) if true else float("nan"),
        f"{name}_iou": iou(table),
    }
