"""Maps along synthetic drives: one image, several views, and what a rolling map adds to either."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.datasets.synthetic.rig import Rig, front_stereo
from kdbts_ros.datasets.synthetic.truth import column_truth
from kdbts_ros.density.birds_eye_map import map_around
from kdbts_ros.density.geometry.camera import Array, View
from kdbts_ros.density.maps.grid import UNKNOWN, GridWindow, HeightBand, OccupancyMap
from kdbts_ros.density.maps.preview import map_with_robot
from kdbts_ros.density.maps.rolling_map import AccumulationSettings, LocalMap
from kdbts_ros.density.pipeline import depth_from
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.views.keyframes import BufferRules, KeptView, ViewBuffer, ViewGate
from kdbts_ros.density.views.novelty import probe_points
from kdbts_ros.density.views.static_world import ConsistencyGate, ConsistencyRules
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation import drive_score as score
from kdbts_ros.pictures import Rgb, panel

# Frames of a drive before its maps count: earlier there is neither history nor anything passed.
SETTLING = 8


@dataclass(frozen=True)
class Method:
    """A way to make a map: at most `views` views, fused over time or not."""

    views: int
    accumulate: bool = False

    @property
    def name(self) -> str:
        views = "single frame" if self.views == 1 else f"{self.views} views"
        return f"{views}, accumulated" if self.accumulate else views


def methods_for(multi_view: bool) -> tuple[Method, ...]:
    """What weights can do: several views only with a head that fuses them."""
    counts = (1, 2, 3, 4) if multi_view else (1,)
    plain = tuple(Method(n) for n in counts)
    return (*plain, *(Method(n, True) for n in (counts[0], counts[-1])[: min(2, len(counts))]))


@dataclass(frozen=True)
class DriveSettings:
    """What is driven and how maps are made; lengths in metres, as in PipelineSettings.

    threshold: probability from which a column is occupied; None takes that of the weights.
    cameras: of the rig; the first one's newest image is what is mapped, the others only add views.
    """

    frames: int = 40
    rate_hz: float = 5.0
    moving: bool = False
    range_m: float = 20.0
    resolution: float = 0.2
    band: HeightBand = field(default_factory=lambda: HeightBand(0.3, 2.0, 0.25))
    threshold: float | None = None
    rules: BufferRules = field(default_factory=BufferRules)
    accumulation: AccumulationSettings = field(default_factory=AccumulationSettings)
    rig: Rig = field(default_factory=front_stereo)
    cameras: tuple[str, ...] = ("left",)

    def __post_init__(self) -> None:
        if not self.cameras or not set(self.cameras) <= set(self.rig):
            raise UserError(
                f"a drive has the cameras {', '.join(self.rig)}, got {', '.join(self.cameras)}"
            )
        if self.frames <= SETTLING:
            raise UserError(
                f"a drive needs more than {SETTLING} frames, got {self.frames}: the first ones "
                "have no history to judge"
            )


@dataclass(frozen=True, eq=False)
class DriveResult:
    """What each method by name reached on the counted frames of a drive.

    counts: (F,4,2,BINS), see drive_score.py. known: (F,4) shares. thresholds: probability from
    which a column is occupied. views_used: mean number by the number allowed.
    """

    seed: int
    counts: dict[str, score.Counts]
    known: dict[str, Array]
    thresholds: dict[str, float]
    views_used: dict[str, float]
    picture: Rgb


@dataclass(frozen=True, eq=False)
class _Moment:
    """One frame of a drive with its truth; others: what further cameras see, by name."""

    view: View
    others: dict[str, View]
    T_world_base: Array
    stamp_ns: int
    window: GridWindow
    truth: score.Bools


class DriveEvaluation:
    """Runs methods over drives. `single` makes the maps of one view, `fused` those of several.

    least_share: of consistent surfaces an earlier view must have (consistency.py); 0 takes any.
    """

    def __init__(
        self,
        settings: DriveSettings,
        single: SceneCompleter,
        fused: SceneCompleter | None = None,
        least_share: float = 0.0,
    ) -> None:
        self.settings = settings
        self.single = single
        self.fused = fused
        self._least_share = least_share
        self.methods = methods_for(fused is not None)

    def run(self, seed: int, progress: Callable[[], None] = lambda: None) -> DriveResult:
        """All methods over the drive of a seed."""
        runner = _Run(self)
        settings = self.settings
        drive = StreetDrive(
            seed, settings.frames, settings.rig, rate_hz=settings.rate_hz, moving=settings.moving
        )
        for index, moment in enumerate(_moments(drive, settings)):
            runner.step(moment, drive, index)
            progress()
        return runner.result(seed)

    @property
    def thresholds(self) -> dict[str, float]:
        """Of every method by name, on the grid of `drive_score.BINS`."""
        given = self.settings.threshold
        found = {}
        for method in self.methods:
            scene = self.single if method.views == 1 or self.fused is None else self.fused
            own = scene.completed_from(method.views)
            if own is None:
                own = scene.curves_of(scene.head_of(method.views)).occupied_from
            value = own if given is None else given
            found[method.name] = round(value * score.BINS) / score.BINS
        return found

    def gate(self) -> ViewGate | None:
        """Of the views of a drive."""
        if self._least_share <= 0 or self.fused is None:
            return None
        return ConsistencyGate(
            depth_from(self.fused), rules=ConsistencyRules(least_share=self._least_share)
        )


class _Run:
    """One drive: buffers, rolling maps and counts so far."""

    def __init__(self, owner: DriveEvaluation) -> None:
        self._owner = owner
        self._settings = owner.settings
        self._buffer = ViewBuffer(owner.settings.rules, owner.gate())
        self._local = {
            m: LocalMap(owner.settings.accumulation) for m in owner.methods if m.accumulate
        }
        self._passed = score.PassedCells()
        self._counts: dict[str, list[score.Counts]] = {m.name: [] for m in owner.methods}
        self._known: dict[str, list[Array]] = {m.name: [] for m in owner.methods}
        self._used: dict[int, list[int]] = {m.views: [] for m in owner.methods}
        self._last: tuple[_Moment, dict[str, OccupancyMap], score.Bools] | None = None

    def step(self, moment: _Moment, drive: StreetDrive, index: int) -> None:
        """Map one frame by every method and count."""
        maps = self._maps(moment)
        alone = maps[Method(1).name]
        seen = np.isfinite(alone.probability)
        passed = self._passed.add(seen, moment.window)
        if index < SETTLING:
            return
        view, world = moment.view, drive.world_at(index)
        band = self._settings.band
        hidden = score.hidden_columns(
            world, view.camera, view.T_world_cam, moment.window, band, seen
        )
        sets = score.cell_sets(seen, hidden, passed)
        for name, found in maps.items():
            self._counts[name].append(score.count(found.probability, moment.truth, sets))
            self._known[name].append(score.known_shares(found.probability, sets))
        self._last = moment, maps, sets[-1]

    def result(self, seed: int) -> DriveResult:
        """Counts of the drive and the picture of its last frame."""
        return DriveResult(
            seed,
            {name: np.stack(counts) for name, counts in self._counts.items()},
            {name: np.stack(shares) for name, shares in self._known.items()},
            self._owner.thresholds,
            {str(n): float(np.mean(used)) for n, used in self._used.items()},
            self._picture(),
        )

    def _maps(self, moment: _Moment) -> dict[str, OccupancyMap]:
        """The map of every method by name."""
        plain = {1: self._single_map(moment)}
        self._keep_others(moment)
        for count in sorted({m.views for m in self._owner.methods} - {1}):
            plain[count] = self._fused_map(moment, count)
        maps = {}
        for method in self._owner.methods:
            found = plain[method.views]
            if method.accumulate:
                found = self._local[method].accumulate(found, moment.stamp_ns)
            maps[method.name] = found
        return maps

    def _single_map(self, moment: _Moment) -> OccupancyMap:
        scene = self._owner.single
        encoded = scene.encode(moment.view)
        scene.use([encoded])
        self._used[1].append(1)
        fused = self._owner.fused
        if fused is not None:
            kept = encoded if fused is scene else fused.encode(moment.view)
            self._buffer.add(KeptView(kept, self._settings.cameras[0], moment.stamp_ns))
        return map_around(scene, moment.T_world_base, moment.window, self._settings.band)

    def _keep_others(self, moment: _Moment) -> None:
        fused = self._owner.fused
        if fused is not None:
            for camera, view in moment.others.items():
                self._buffer.add(KeptView(fused.encode(view), camera, moment.stamp_ns))

    def _fused_map(self, moment: _Moment, count: int) -> OccupancyMap:
        fused, band, window = self._owner.fused, self._settings.band, moment.window
        assert fused is not None
        side = window.width * window.resolution
        points = probe_points(
            (window.x0, window.x0 + side), (window.y0, window.y0 + side), 0.0, (band.low, band.high)
        )
        chosen = self._buffer.select(self._settings.cameras[0], points, limit=count)
        fused.use([kept.view for kept in chosen])
        self._used[count].append(len(chosen))
        return map_around(fused, moment.T_world_base, window, band)

    def _picture(self) -> Rgb:
        assert self._last is not None
        moment, maps, cells = self._last
        thresholds = self._owner.thresholds
        shown = [(name, found.trinary(thresholds[name])) for name, found in maps.items()]
        truth = np.where(moment.truth, 100, 0).astype(np.int8)
        shown.append(("true map", np.where(cells, truth, UNKNOWN).astype(np.int8)))
        keep = {Method(1).name, "true map", *list(maps)[-2:]}
        if self._owner.fused is not None:
            keep.add(Method(4).name)
        drawn = [
            (name, map_with_robot(moment.window, grid, moment.T_world_base))
            for name, grid in shown
            if name in keep
        ]
        scene = self._owner.single
        scene.set_views([moment.view])
        return panel(moment.view.image, scene.depth_map(2).valid(), drawn)


def _moments(drive: StreetDrive, settings: DriveSettings) -> Iterator[_Moment]:
    for i in range(len(drive)):
        T = drive.T_world_base(i)
        reference, *others = (_view(drive, i, camera) for camera in settings.cameras)
        window = GridWindow.around(
            float(T[0, 3]), float(T[1, 3]), 2 * settings.range_m, settings.resolution
        )
        x, y = window.centres()
        truth = column_truth(drive.world_at(i), x, y, settings.band.low, settings.band.high)
        by_name = dict(zip(settings.cameras[1:], others, strict=True))
        yield _Moment(reference, by_name, T, drive.stamp_ns(i), window, truth)


def _view(drive: StreetDrive, index: int, camera: str) -> View:
    intrinsics, T_base_cam = drive.rig[camera]
    image = drive.rendered(index, camera).image
    return View(image, intrinsics, drive.T_world_base(index) @ T_base_cam)


def pooled(results: Sequence[DriveResult], method: str) -> score.Counts:
    """(4,2,BINS) counts of all frames of all drives."""
    return np.asarray(sum(r.counts[method].sum(0) for r in results))
