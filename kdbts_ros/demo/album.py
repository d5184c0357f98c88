"""Pictures and score of a recorded demo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kdbts_ros import pictures
from kdbts_ros.datasets.ros.pose_rules import NoPose
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.demo import moments
from kdbts_ros.demo.film import chosen_panels, film_at, playback_rate, save_panel
from kdbts_ros.demo.recording import Recording
from kdbts_ros.demo.results import Results
from kdbts_ros.demo.score import Agreement, TruthMap, compare, masked_truth
from kdbts_ros.density.geometry.camera import Array
from kdbts_ros.density.maps.grid import HeightBand
from kdbts_ros.density.maps.preview import map_with_robot

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Album:
    """Draws what was recorded.

    truth: None where nobody knows it. latency_ms: by image stamp, for the captions.
    """

    recording: Recording
    results: Results
    base_frame: str
    truth: TruthMap | None
    latency_ms: Mapping[int, float]

    def draw(self, progress: Progress) -> int:
        """Panels and film; returns the number of film frames."""
        poses = moments.poses(self.recording)
        stamps = [m.stamp_ns for m in moments.maps(self.results.outputs)]
        saved = chosen_panels(len(stamps))
        count = 0
        with film_at(self.results.film, playback_rate(stamps)) as film:
            for moment in moments.moments(self.results.outputs, self.recording):
                try:
                    T_fixed_base = moments.base_pose(poses, moment.map, self.base_frame)
                except NoPose:
                    continue  # the bag's transforms changed since; the map has no robot to show
                picture = self._panel(moment, T_fixed_base, stamps[0])
                film.add(picture)
                if count in saved:
                    save_panel(self.results.panels / f"frame_{count:04d}.png", picture)
                count += 1
                progress(count)
        return count

    def _panel(self, moment: moments.Moment, T_fixed_base: Array, start_ns: int) -> pictures.Rgb:
        shown, caption = moment.map, [f"{(moment.map.stamp_ns - start_ns) / 1e9:5.1f} s"]
        views = [("map", shown.grid)]
        if shown.stamp_ns in self.latency_ms:
            caption.append(f"{self.latency_ms[shown.stamp_ns]:.0f} ms from image to map")
        if self.truth is not None:
            truth = self.truth.at(shown.window)
            views.append(("true map of the same cells", masked_truth(truth, shown.grid)))
            iou = compare(shown.grid, truth).iou
            caption.append("IoU -" if iou is None else f"IoU {iou:.2f}")
        maps = [(n, map_with_robot(shown.window, cells, T_fixed_base)) for n, cells in views]
        picture = pictures.panel(moment.image, moment.depth, maps)
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
