"""Pictures and score of a recorded demo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kdbts_ros import pictures
from kdbts_ros.datasets.ros.pose_rules import NoPose
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.demo import moments
from kdbts_ros.demo.film import chosen_panels, film_at, playback_rate, save_panel
from kdbts_ros.demo.recording import Recording
from kdbts_ros.demo.results import Results
from kdbts_ros.demo.score import Agreement, TruthMap, compare, masked_truth
from kdbts_ros.demo.session import NodeSettings
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.maps.grid import HeightBand
from kdbts_ros.density.maps.preview import map_with_robot

PANEL_HEIGHT, OVERVIEW_HEIGHT = 420, 600

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Album:
    """Draws what was recorded.

    truth: None where nobody knows it. latency_ms: by image stamp, for the captions.
    """

    recording: Recording
    results: Results
    node: NodeSettings
    truth: TruthMap | None
    latency_ms: Mapping[int, float]

    def draw(self, progress: Progress) -> int:
        """Panels, film and overview; returns the number of film frames."""
        poses = moments.poses(self.recording)
        stamps = [m.stamp_ns for m in moments.maps(self.results.outputs)]
        saved = chosen_panels(len(stamps))
        count = 0
        best: tuple[float, moments.Moment, Array] | None = None
        with film_at(self.results.film, playback_rate(stamps)) as film:
            for moment in moments.moments(self.results.outputs, self.recording):
                try:
                    T_fixed_base = moments.base_pose(poses, moment.map, self.node.base_frame)
                except NoPose:
                    continue  # the bag's transforms changed since; the map has no robot to show
                picture = self._panel(moment, T_fixed_base, stamps[0])
                worth = self._worth(moment, count, len(stamps))
                if best is None or worth > best[0]:
                    best = worth, moment, T_fixed_base
                film.add(picture)
                if count in saved:
                    save_panel(self.results.panels / f"frame_{count:04d}.png", picture)
                count += 1
                progress(count)
        if best is not None:
            large = self._panel(best[1], best[2], stamps[0], OVERVIEW_HEIGHT)
            save_panel(self.results.overview, large)
        return count

    def _worth(self, moment: moments.Moment, index: int, count: int) -> float:
        """How well a moment suits the overview: by its map where the truth is known, by its place
        in the middle elsewhere."""
        if self.truth is None:
            return -abs(index - count / 2)
        iou = compare(moment.map.grid, self.truth.at(moment.map.window)).iou
        # Before there is something to accumulate a map shows little.
        return -1.0 if iou is None or index < count / 4 else iou

    def _panel(
        self,
        moment: moments.Moment,
        T_fixed_base: Array,
        start_ns: int,
        height: int = PANEL_HEIGHT,
    ) -> pictures.Rgb:
        shown, caption = moment.map, [f"{(moment.map.stamp_ns - start_ns) / 1e9:5.1f} s"]
        accumulated = ", accumulated" if self.node.accumulate else ""
        views = [(f"map of {Path(self.node.checkpoint).stem}{accumulated}", shown.grid)]
        if shown.stamp_ns in self.latency_ms:
            caption.append(f"{self.latency_ms[shown.stamp_ns]:.0f} ms from image to map")
        if self.truth is not None:
            truth = self.truth.at(shown.window)
            views.append(("true map of the same cells", masked_truth(truth, shown.grid)))
            iou = compare(shown.grid, truth).iou
            caption.append("IoU -" if iou is None else f"IoU {iou:.2f}")
        maps = [(n, map_with_robot(shown.window, cells, T_fixed_base)) for n, cells in views]
        near = pictures.near_for(0.5 * shown.window.width * shown.window.resolution)
        picture = pictures.panel(moment.image, moment.depth, maps, height, near)
        return pictures.captioned(picture, "    ".join(caption))


def true_map(world: StreetWorld, results: Results, band: HeightBand) -> TruthMap:
    """The truth under all published maps."""
    windows = [m.window for m in moments.maps(results.outputs)]
    return TruthMap.covering(world, windows, band)


def agreement(truth: TruthMap, results: Results) -> Agreement:
    """All published maps against the truth, their cells counted together."""
    return sum(
        (compare(m.grid, truth.at(m.window)) for m in moments.maps(results.outputs)), Agreement()
    )
