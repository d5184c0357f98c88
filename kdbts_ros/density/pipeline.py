"""One frame from image to map, as the node and the commands run it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdbts_ros import pictures
from kdbts_ros.density.bev import CompletedCells, GridWindow, HeightBand, OccupancyMap, map_around
from kdbts_ros.density.camera import Camera, View, inverse
from kdbts_ros.density.camera_adapter import CameraAdapter, Mode
from kdbts_ros.density.lenses import Lens
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.training_camera import TrainingCamera
from kdbts_ros.errors import UserError

Pose = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PipelineSettings:
    """What is computed from a frame. Lengths in metres; the map is a square of side 2 range_m.

    `head` names the head of an original checkpoint that holds several; `canonical_camera` and
    `scale_height` are those of `CameraAdapter`, and fixed once loaded.
    """

    checkpoint: str = "bts"
    device: str = "auto"
    precision: str = "auto"
    range_m: float = 20.0
    resolution: float = 0.2
    height_min: float = 0.3
    height_max: float = 2.0
    height_step: float = 0.25
    occupied_threshold: float = 0.5
    completed_cells: CompletedCells = "keep"
    depth_stride: int = 1
    head: str | None = None
    canonical_camera: Mode = "auto"
    scale_height: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.occupied_threshold < 1:
            raise UserError(
                f"occupied_threshold must lie between 0 and 1, got {self.occupied_threshold:g}"
            )
        if self.completed_cells not in ("keep", "discount", "unknown"):
            raise UserError(
                f"completed_cells must be keep, discount or unknown, got '{self.completed_cells}'"
            )
        if not 0 < self.resolution <= self.range_m:
            raise UserError("resolution must be positive and no larger than range_m")

    @property
    def band(self) -> HeightBand:
        return HeightBand(self.height_min, self.height_max, self.height_step)


@dataclass(frozen=True)
class FrameResult:
    """What one frame gave; optional parts only when asked for.

    trinary and percent (H,W) int8 over `window`; depth (h,w) z-depth m, NaN invalid, with its
    camera, which is the real one without distortion; preview (h,w,3) uint8 RGB; times_ms per stage.
    """

    window: GridWindow
    trinary: npt.NDArray[np.int8]
    percent: npt.NDArray[np.int8]
    occupancy: OccupancyMap
    depth: npt.NDArray[np.float32] | None
    depth_camera: Camera | None
    preview: npt.NDArray[np.uint8] | None
    times_ms: dict[str, float]


class Pipeline:
    """Loads weights once, then turns posed views into maps. One thread owns it."""

    def __init__(self, settings: PipelineSettings) -> None:
        self.settings = settings
        self._band = settings.band
        self.scene = SceneCompleter.load(
            settings.checkpoint, settings.device, settings.precision, settings.head
        )
        spec = self.scene.spec
        self.adapter = CameraAdapter(
            TrainingCamera.from_notes(self.scene.info.notes),
            (spec.image_width, spec.image_height),
            settings.canonical_camera,
            settings.scale_height,
        )
        self._warm_up()

    def update(self, settings: PipelineSettings) -> None:
        """Take new thresholds, heights and extents; weights and device stay as loaded."""
        self._band = settings.band
        self.settings = settings

    def describe(self) -> dict[str, str]:
        """What runs, for logs and reports."""
        spec = self.scene.spec
        return {
            "head": spec.head,
            "checkpoint": self.settings.checkpoint,
            "sha256": self.scene.info.sha256[:12],
            "device": str(self.scene.device),
            "precision": self.scene.precision,
            "input": f"{spec.image_width}x{spec.image_height}",
        }

    def view(
        self, image: pictures.Rgb, lens: Lens, T_fixed_camera: Pose, T_fixed_base: Pose
    ) -> View:
        """What the network is shown of an image that a camera with this lens took.

        Raises:
            UserError: the camera sees nothing the network can be shown.
        """
        return self.adapter.view(
            image, lens, inverse(T_fixed_base) @ T_fixed_camera, T_fixed_camera
        )

    def concerns(self, lens: Lens, T_base_camera: Pose) -> list[str]:
        """Why the network may do badly with this camera, one sentence each, with numbers."""
        return self.adapter.concerns(lens, T_base_camera)

    def process(
        self, view: View, T_fixed_base: Pose, want_depth: bool = True, want_preview: bool = False
    ) -> FrameResult:
        """Map and, when wanted, depth of one view whose world is the fixed frame."""
        settings, times = self.settings, dict[str, float]()
        with _timed(times, "network"):
            self.scene.set_views([view])
        window = GridWindow.around(
            float(T_fixed_base[0, 3]),
            float(T_fixed_base[1, 3]),
            2 * settings.range_m,
            settings.resolution,
        )
        with _timed(times, "query"):
            occupancy = map_around(self.scene, T_fixed_base, window, self._band)
            trinary = occupancy.trinary(settings.occupied_threshold, settings.completed_cells)
            percent = occupancy.percent(settings.completed_cells)
        depth, depth_camera, preview = None, None, None
        if want_depth or want_preview:
            with _timed(times, "depth"):
                depth_map = self.scene.depth_map(settings.depth_stride)
                depth, depth_camera = depth_map.published()
        if want_preview:
            with _timed(times, "preview"):
                preview = self.preview(view, depth_map.valid(), window, trinary, T_fixed_base)
        return FrameResult(window, trinary, percent, occupancy, depth, depth_camera, preview, times)

    def preview(
        self,
        view: View,
        depth: npt.NDArray[np.float32],
        window: GridWindow,
        grid: npt.NDArray[np.int8],
        T_fixed_base: Pose,
        truth: npt.NDArray[np.int8] | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Camera, depth and map (and the true map) side by side."""
        maps = [("map", grid)] if truth is None else [("map", grid), ("true map", truth)]
        return pictures.panel(
            view.image,
            depth,
            [(name, map_with_robot(window, cells, T_fixed_base)) for name, cells in maps],
        )

    def _warm_up(self) -> None:
        # The first frame compiles kernels and allocates; it must not count as a dropped second.
        spec = self.scene.spec
        camera = Camera(
            spec.image_width,
            spec.image_height,
            0.6 * spec.image_width,
            0.6 * spec.image_width,
            spec.image_width / 2,
            spec.image_height / 2,
        )
        grey = np.full((camera.height, camera.width, 3), 128, np.uint8)
        # An optical frame 1.5 m up that looks along x.
        T_world_cam = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1.0]])
        self.process(View(grey, camera, T_world_cam), np.eye(4), want_depth=True)


def map_with_robot(
    window: GridWindow, grid: npt.NDArray[np.int8], T_fixed_base: Pose
) -> npt.NDArray[np.uint8]:
    """A map's picture (x up, y left) with the robot drawn on it."""
    picture = pictures.map_picture(grid)
    scale = max(1, round(400 / picture.shape[0]))
    picture = pictures.fitted(picture, picture.shape[0] * scale)
    column = (window.height - (T_fixed_base[1, 3] - window.y0) / window.resolution) * scale
    row = (window.width - (T_fixed_base[0, 3] - window.x0) / window.resolution) * scale
    heading = float(np.arctan2(T_fixed_base[1, 0], T_fixed_base[0, 0]))
    return pictures.robot_marker(picture, row, column, heading)


@contextmanager
def _timed(times: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    times[stage] = (time.perf_counter() - start) * 1e3
