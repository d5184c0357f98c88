"""The same scenes through different cameras, with and without the canonical camera.

Each camera's depth is compared with the exact truth of the very pixels that it and the canonical
view share, and so is that of the training camera in the same place: what is left between the two is
the price of the other camera, not of other scenery. Maps are compared on the columns all of them
know.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.datasets.synthetic.raycast import exact_depth, render
from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.datasets.synthetic.truth import column_truth
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.birds_eye_map import map_around
from kdbts_ros.density.cameras.adapter import CameraAdapter
from kdbts_ros.density.cameras.canonical import Canonical
from kdbts_ros.density.cameras.lenses import Equidistant, Lens
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.engines.answers import DepthMap, Floats
from kdbts_ros.density.geometry.camera import Array, Camera, OwnCamera, View
from kdbts_ros.density.maps.grid import GridWindow, HeightBand
from kdbts_ros.density.maps.preview import map_with_robot
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.evaluation.columns import Box
from kdbts_ros.evaluation.depth_metrics import depth_metrics
from kdbts_ros.pictures import UNKNOWN_COLOUR, Rgb, captioned, depth_picture, fitted

Bools = npt.NDArray[np.bool_]
WAYS = ("off", "canonical", "training")
RESOLUTION = 0.2


@dataclass(frozen=True)
class Candidate:
    """A camera under test: its lens, its height in m and its pitch (down positive) in degrees."""

    name: str
    lens: Lens
    height: float = 1.65
    pitch: float = 0.0

    @property
    def T_base_cam(self) -> Array:
        """(4,4) over the base."""
        return mount((0.0, 0.0, self.height), pitch=float(np.radians(self.pitch)))


def candidates(training: TrainingCamera) -> list[Candidate]:
    """The training camera and six that differ from it, 640 pixels wide."""
    own = Lens(training.camera(640, 192))
    focal = own.camera.fx
    upright = Lens(Camera(640, 360, focal, focal, 320.0, 180.0))
    # 170 degrees along the middle row; a fisheye's corners are black.
    fisheye = Camera(640, 480, 640 / np.radians(170), 640 / np.radians(170), 320.0, 240.0)
    return [
        Candidate("training", own, training.height, float(np.degrees(training.pitch))),
        Candidate("wide 110 deg", Lens(Camera(640, 360, 224.0, 224.0, 320.0, 180.0))),
        Candidate("narrow 50 deg", Lens(Camera(640, 360, 686.0, 686.0, 320.0, 180.0))),
        Candidate("tilted 10 deg 16x9", upright, pitch=10.0),
        Candidate("tilted 10 deg", own, pitch=10.0),
        Candidate("fisheye 170 deg", Lens(fisheye, Equidistant())),
        Candidate("half height", own, training.height / 2),
    ]


@dataclass(frozen=True)
class Look:
    """What one way of looking gave: depth in the view's own pixels, and a map."""

    view: View
    whole: DepthMap
    probability: Floats

    def depth(self, own: OwnCamera) -> Floats:
        """The depth in the pixels of another camera in the same place, NaN where unseen.

        Every opacity counts, as in `evaluate_depth`: leaving out doubtful pixels must not pay.
        """
        return dataclasses.replace(self.whole, own=own).published(min_opacity=0.0)[0]


@dataclass
class CameraRow:
    """Measures of one camera, by way; `covered`: share of the canonical view that it sees."""

    covered: float
    abs_rel: dict[str, float]
    a1: dict[str, float]
    iou: dict[str, float]


@dataclass
class CameraReport:
    """One row per camera, and pictures of the first world."""

    rows: dict[str, CameraRow]
    worlds: int
    pictures: list[tuple[str, Rgb]] = field(default_factory=list)


@dataclass
class _Sums:
    metrics: dict[str, list[dict[str, float]]] = field(
        default_factory=lambda: {way: [] for way in WAYS}
    )
    hits: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WAYS, 0))
    unions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WAYS, 0))
    covered: float = 0.0

    def row(self) -> CameraRow:
        def mean(measure: str) -> dict[str, float]:
            return {
                way: float(np.mean([m[measure] for m in found]))
                for way, found in self.metrics.items()
            }

        iou = {way: self.hits[way] / max(1, self.unions[way]) for way in WAYS}
        return CameraRow(self.covered, mean("abs_rel"), mean("a1"), iou)


def evaluate_cameras(
    scene: SceneCompleter,
    seeds: Iterable[int],
    band: HeightBand,
    threshold: float,
    scale_height: bool = True,
    cameras: Sequence[Candidate] | None = None,
) -> CameraReport:
    """Look at one frame of each street through every camera.

    Args:
        seeds: of the streets.
        band: heights that count in the map.
        threshold: probability from which a column is occupied.
        scale_height: whether canonical views make up for the camera's height.
        cameras: by default `candidates`.
    """
    training = TrainingCamera.from_notes(scene.info.notes)
    size = (scene.spec.image_width, scene.spec.image_height)
    ways = {
        "off": CameraAdapter(training, size, "off"),
        "canonical": CameraAdapter(training, size, "on", scale_height),
    }
    cameras = cameras or candidates(training)
    sums = {camera.name: _Sums() for camera in cameras}
    pictures: list[tuple[str, Rgb]] = []
    worlds = 0
    for worlds, seed in enumerate(seeds, 1):
        drive = StreetDrive(seed, frames=1)
        scenery = _Scenery(drive.world, drive.T_world_base(0), band, threshold)
        reference = _look(scene, scenery, _training_view(scenery, training))
        for camera in cameras:
            picture = _compare(scene, scenery, camera, ways, reference, sums[camera.name])
            if worlds == 1:
                pictures.append((camera.name, picture))
    return CameraReport({name: found.row() for name, found in sums.items()}, worlds, pictures)


class _Scenery:
    """One street with the robot in it, and its true map."""

    def __init__(
        self, world: StreetWorld, T_world_base: Array, band: HeightBand, threshold: float
    ) -> None:
        self.world, self.T_world_base = world, T_world_base
        self.band, self.threshold = band, threshold
        box = Box()
        x, y = T_world_base[:2, 3]
        self.window = GridWindow.around(float(x), float(y), 2 * box.x[1], RESOLUTION)
        columns, rows = self.window.centres()
        self.occupied = column_truth(world, columns, rows, band.low, band.high)
        _, self.inside = box.cells(self.window, T_world_base)

    def trinary(self, probability: Floats) -> npt.NDArray[np.int8]:
        """-1, 0 or 100 as a map shows it."""
        cells = np.where(probability >= self.threshold, 100, 0)
        return np.where(np.isfinite(probability), cells, -1).astype(np.int8)


def _compare(
    scene: SceneCompleter,
    scenery: _Scenery,
    camera: Candidate,
    ways: dict[str, CameraAdapter],
    reference: Look,
    sums: _Sums,
) -> Rgb:
    """Add one world to the sums of a camera; its picture. reference: the training camera's look."""
    T_world_cam = scenery.T_world_base @ camera.T_base_cam
    pinhole = camera.lens if camera.lens.bends else camera.lens.camera
    image = render(scenery.world, pinhole, T_world_cam).image
    table = ways["canonical"].canonical(camera.lens, camera.T_base_cam)
    sums.covered = table.warp.covered
    own = table.own
    truth = exact_depth(scenery.world, own.camera, T_world_cam)
    looks = {
        way: _look(scene, scenery, adapter.view(image, camera.lens, camera.T_base_cam, T_world_cam))
        for way, adapter in ways.items()
    }
    looks["training"] = reference
    depths = {way: look.depth(own) for way, look in looks.items()}
    depths["off"] = looks["off"].depth(OwnCamera(own.camera, np.eye(3)))
    # From another height a pixel looks at something else: the training camera then has its own.
    same_place = np.allclose(reference.view.T_world_cam[:3, 3], T_world_cam[:3, 3])
    shared = np.isfinite(depths["canonical"]) & np.isfinite(depths["off"])
    known = scenery.inside & np.all([np.isfinite(k.probability) for k in looks.values()], axis=0)
    for way, look in looks.items():
        if way == "training" and not same_place:
            sums.metrics[way].append(_whole_metrics(scenery, look))
        else:
            compared = np.where(shared & np.isfinite(truth), truth, 0)
            sums.metrics[way].append(depth_metrics(depths[way], compared, crop="none"))
        occupied = look.probability >= scenery.threshold
        sums.hits[way] += int((occupied & scenery.occupied)[known].sum())
        sums.unions[way] += int((occupied | scenery.occupied)[known].sum())
    return _picture(image, table, truth, looks, depths, scenery)


def _training_view(scenery: _Scenery, training: TrainingCamera) -> View:
    camera = training.camera(640, 192)
    T_base_cam = mount((0.0, 0.0, training.height), pitch=training.pitch)
    T_world_cam = scenery.T_world_base @ T_base_cam
    return View(render(scenery.world, camera, T_world_cam).image, camera, T_world_cam)


def _whole_metrics(scenery: _Scenery, look: Look) -> dict[str, float]:
    truth = exact_depth(scenery.world, look.whole.camera, look.view.T_world_cam)
    compared = np.where(np.isfinite(truth), truth, 0)
    return depth_metrics(look.whole.depth, compared, crop="none")


def _look(scene: SceneCompleter, scenery: _Scenery, view: View) -> Look:
    scene.set_views([view])
    found = map_around(scene, scenery.T_world_base, scenery.window, scenery.band)
    return Look(view, scene.depth_map(), found.probability)


def _picture(
    image: Rgb,
    table: Canonical,
    truth: Floats,
    looks: dict[str, Look],
    depths: dict[str, Floats],
    scenery: _Scenery,
) -> Rgb:
    """Above: the image, what the network is shown of it (unseen parts grey), the true depth and
    those of each way. Below: the true map and those of each way."""
    shown = looks["canonical"].view.image.copy()
    shown[~table.warp.valid] = UNKNOWN_COLOUR
    above = [("camera", image), ("canonical", shown), ("true depth", depth_picture(truth))]
    above += [(f"depth, {way}", depth_picture(depths[way])) for way in WAYS]
    known = np.isfinite(looks["canonical"].probability)
    maps = [("true map", np.where(known, np.where(scenery.occupied, 100, 0), -1).astype(np.int8))]
    maps += [(f"map, {way}", scenery.trinary(looks[way].probability)) for way in WAYS]
    below = [
        (name, map_with_robot(scenery.window, cells, scenery.T_world_base)) for name, cells in maps
    ]
    rows = [_row(above, 130), _row(below, 300)]
    width = max(row.shape[1] for row in rows)
    padded = [
        np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=252)
        for row in rows
    ]
    return np.vstack(padded)


def _row(pictures: Sequence[tuple[str, Rgb]], height: int) -> Rgb:
    gap = np.full((height + 22, 6, 3), 252, np.uint8)
    parts = [part for name, p in pictures for part in (captioned(fitted(p, height), name), gap)]
    return np.hstack(parts[:-1])
