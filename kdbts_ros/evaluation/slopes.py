"""Maps of streets whose slope changes ahead, with the height band on z = 0 and on the seen ground.

The same streets are drawn level, rising and falling from `BEGIN` on. A map is that of one image, as
the node makes it; what stands in the band is told above the true ground.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.datasets.synthetic.hill import LEVEL, STEEPEST, Hill
from kdbts_ros.datasets.synthetic.truth import column_truth
from kdbts_ros.density.frame_result import FrameResult
from kdbts_ros.density.geometry.camera import Array, View
from kdbts_ros.density.ground.anchor import Mode
from kdbts_ros.density.maps.grid import OCCUPIED, UNKNOWN, GridWindow
from kdbts_ros.density.maps.preview import map_with_robot
from kdbts_ros.density.pipeline import Pipeline
from kdbts_ros.density.settings import Wanted
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.columns import Bools, Box
from kdbts_ros.evaluation.intervals import FrameTable
from kdbts_ros.pictures import Rgb, panel

# Where the slope changes, and where the street is level again, m ahead.
BEGIN, END = 8.0, 60.0
# What a band may stand on: see the parameter `follow_ground`.
BANDS: tuple[Mode, ...] = ("off", "auto")
# A free cell nearer to a thing than this may be called occupied, m.
NEAR_A_THING = 0.4
# Half the width of what the robot drives through, m.
LANE_HALF = 2.0
_MAP_AND_DEPTH = Wanted(percent=False)


@dataclass(frozen=True)
class SlopeReport:
    """A table for each ground and band, its name says which; pictures of the first street."""

    tables: dict[str, FrameTable]
    pictures: list[tuple[str, Rgb]] = field(default_factory=list)


def evaluate_slopes(pipeline: Pipeline, seeds: Iterable[int], slope: float) -> SlopeReport:
    """Map each street level, rising by `slope` m a metre, and falling by it.

    The pipeline's settings are left as they were.

    Raises:
        UserError: a slope that is not above 0 or steeper than any street.
    """
    if not 0 < slope <= STEEPEST:
        raise UserError(f"a slope must be above 0 and at most {STEEPEST:g}, got {slope:g}")
    grounds = {"level": LEVEL, "up": Hill(BEGIN, END, slope), "down": Hill(BEGIN, END, -slope)}
    sums: dict[str, list[Array]] = {f"{g}, {band}": [] for g in grounds for band in BANDS}
    pictures: list[tuple[str, Rgb]] = []
    before = pipeline.settings
    try:
        for count, seed in enumerate(seeds):
            for name, hill in grounds.items():
                street = _Street.of(seed, hill, pipeline)
                maps = [street.mapped(pipeline, band) for band in BANDS]
                for band, found in zip(BANDS, maps, strict=True):
                    sums[f"{name}, {band}"].append(street.counts(found.trinary))
                if count == 0:
                    pictures.append((name, street.picture(maps)))
    finally:
        pipeline.update(before)
    tables = {
        name: FrameTable((), np.zeros((len(rows), 0)), np.array(rows), _measures)
        for name, rows in sums.items()
    }
    return SlopeReport(tables, pictures)


def _measures(sums: Array) -> dict[str, float]:
    """Of counts as `_Street.counts` gives them, added."""
    false, free, lane_false, lane_free, hits, called, obstacles = sums
    return {
        "false": float(false / max(free, 1)),
        "lane": float(lane_false / max(lane_free, 1)),
        "IoU": float(hits / max(called + obstacles - hits, 1)),
        "found": float(hits / max(obstacles, 1)),
    }


@dataclass(frozen=True, eq=False)
class _Street:
    """One street with the robot at its beginning, and its true map.

    Attributes:
        occupied: (H,W) columns of the map in which something stands in the band.
        inside: (H,W) those that are compared.
        lane: (H,W) those before the robot.
    """

    view: View
    T_world_base: Array
    window: GridWindow
    occupied: Bools
    inside: Bools
    lane: Bools

    @classmethod
    def of(cls, seed: int, hill: Hill, pipeline: Pipeline) -> _Street:
        settings, box = pipeline.settings, Box()
        drive = StreetDrive(seed, frames=1, hill=hill)
        T_world_base = drive.T_world_base(0)
        x, y = (float(value) for value in T_world_base[:2, 3])
        window = GridWindow.around(x, y, 2 * settings.range_m, settings.resolution)
        columns, rows = window.centres()
        band = settings.band
        occupied = column_truth(drive.world, columns, rows, band.low, band.high)
        base, inside = box.cells(window, T_world_base)
        lane = np.abs(base[..., 1]) <= LANE_HALF
        camera, T_base_cam = drive.rig["left"]
        view = View(drive.rendered(0, "left").image, camera, T_world_base @ T_base_cam)
        return cls(view, T_world_base, window, occupied, inside, lane)

    def mapped(self, pipeline: Pipeline, band: Mode) -> FrameResult:
        """Of the first image, without what other frames saw of the ground."""
        pipeline.update(replace(pipeline.settings, follow_ground=band))
        pipeline.forget()
        return pipeline.process(self.view, self.T_world_base, _MAP_AND_DEPTH)

    def counts(self, cells: npt.NDArray[np.int8]) -> Array:
        """(7,): false and free cells, those of the lane; hits, cells called occupied, obstacles."""
        called = (cells == OCCUPIED) & self.inside
        away = cv2.distanceTransform((~self.occupied).astype(np.uint8), cv2.DIST_L2, 5)
        free = self.inside & (away * self.window.resolution > NEAR_A_THING)
        obstacles = self.occupied & self.inside
        found = (
            called & free, free, called & free & self.lane, free & self.lane,
            called & obstacles, called, obstacles,
        )  # fmt: skip
        return np.array([np.count_nonzero(k) for k in found], np.float64)

    def picture(self, maps: Sequence[FrameResult]) -> Rgb:
        """The image, its depth, the true map, and those of each band."""
        true = np.where(self.occupied, OCCUPIED, 0).astype(np.int8)
        named = [("true map", true)]
        named += [(f"band: {b}", k.trinary) for b, k in zip(BANDS, maps, strict=True)]
        shown = [
            (name, map_with_robot(
                self.window,
                np.where(self.inside, cells, UNKNOWN).astype(np.int8),
                self.T_world_base,
            ))
            for name, cells in named
        ]  # fmt: skip
        depth = maps[-1].depth
        assert depth is not None
        return panel(self.view.image, depth, shown)
