"""One frame from image to map, as the node and the commands run it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kdbts_ros import pictures
from kdbts_ros.density.birds_eye_map import map_around
from kdbts_ros.density.cameras.adapter import CameraAdapter
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.engines.answers import DepthImage, DepthMap
from kdbts_ros.density.engines.encoded_view import EncodedView
from kdbts_ros.density.geometry.camera import Camera, View, inverse
from kdbts_ros.density.maps.grid import GridWindow, OccupancyMap
from kdbts_ros.density.maps.preview import preview_panel
from kdbts_ros.density.maps.rolling_map import LocalMap
from kdbts_ros.density.request import MAP_AND_DEPTH, Moment, Wanted
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.settings import PipelineSettings as PipelineSettings
from kdbts_ros.density.views.keyframes import KeptView
from kdbts_ros.density.views.novelty import probe_points
from kdbts_ros.density.views.policy import ViewAccount, ViewUse
from kdbts_ros.density.views.static_world import ConsistencyGate, stride_for
from kdbts_ros.density.whole_frame.finished_map import FrameMap
from kdbts_ros.density.whole_frame.several_views import FusedMaps
from kdbts_ros.density.whole_frame.single_view import FrameEngine
from kdbts_ros.errors import UserError

Pose = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FrameResult:
    """What one frame gave; optional parts only when asked for.

    trinary and percent (H,W) int8 over `window`; depth (h,w) z-depth m, NaN invalid, with its
    camera, which is the real one without distortion; preview (h,w,3) uint8 RGB; times_ms per stage;
    threshold: probability from which a column was called occupied; views: those behind the map.
    """

    window: GridWindow
    trinary: npt.NDArray[np.int8]
    percent: npt.NDArray[np.int8] | None
    occupancy: OccupancyMap
    depth: npt.NDArray[np.float32] | None
    depth_camera: Camera | None
    preview: npt.NDArray[np.uint8] | None
    times_ms: dict[str, float]
    threshold: float
    views: ViewAccount = field(default_factory=ViewAccount)


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
        self._single_because = ""
        self._gate = ConsistencyGate(depth_from(self.scene), settings.consistency)
        self._views = self._make_view_use()
        self._local = LocalMap(settings.fusion) if settings.accumulate else None
        self._frames = self._make_frames()
        self._fused = FusedMaps(self.scene)
        self._warm_up()

    def update(self, settings: PipelineSettings) -> None:
        """Take new thresholds, heights and extents; weights and device stay as loaded."""
        self._band = settings.band
        if self._views is not None:
            self._views.update(settings.views)
        self._gate.rules = settings.consistency
        if self._local is not None:
            self._local.settings = settings.fusion
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
            "engine": "; ".join(filter(None, self._notes())) or "fast",
            "input": f"{spec.image_width}x{spec.image_height}",
        }

    def _notes(self) -> list[str]:
        return [self.scene.engine_note, self._frames.note if self._frames else "", self._fused.note]

    def view(
        self, image: pictures.Rgb, lens: Lens, T_fixed_camera: Pose, T_fixed_base: Pose
    ) -> View:
        """What the network is shown of an image that a camera with this lens took.

        Raises:
            UserError: the camera sees nothing the network can be shown.
        """
        T_base_camera = inverse(T_fixed_base) @ T_fixed_camera
        # What a GPU warps by itself is warped here only for those who want to see it.
        deferred = self._frames is not None
        return self.adapter.view(image, lens, T_base_camera, T_fixed_camera, deferred)

    def concerns(self, lens: Lens, T_base_camera: Pose) -> list[str]:
        """Why the network may do badly with this camera, one sentence each, with numbers."""
        return self.adapter.concerns(lens, T_base_camera)

    def process(
        self,
        view: View,
        T_fixed_base: Pose,
        wanted: Wanted = MAP_AND_DEPTH,
        moment: Moment | None = None,
    ) -> FrameResult:
        """Map and, when wanted, more of a view whose world is the fixed frame.

        With a `moment` the view joins those kept of earlier moments, and the map may use several
        and be fused with earlier maps.
        """
        settings, times = self.settings, dict[str, float]()
        window = GridWindow.around(
            float(T_fixed_base[0, 3]),
            float(T_fixed_base[1, 3]),
            2 * settings.range_m,
            settings.resolution,
        )
        with _timed(times, "network"):
            whole = self._whole_frame(view, T_fixed_base, window)
            still_there = whole is not None
            encoded = self._encoded(view, moment, still_there)
        account = ViewAccount(note=self._single_because)
        if encoded is not None:
            with _timed(times, "views"):
                account = self._use(encoded, moment, window, float(T_fixed_base[2, 3]))
        threshold = self._threshold_of(account.used)
        with _timed(times, "query"):
            occupancy = None if whole is None else whole.occupancy
            asked = T_fixed_base, window, self._band
            if account.used > 1:
                told = threshold, settings.completed_cells
                occupancy, whole = self._fused.map(*asked, *told, newest=occupancy), None
            elif occupancy is None:
                occupancy = map_around(self.scene, *asked)
            if self._local is not None and moment is not None:
                occupancy = self._local.fuse(occupancy, moment.stamp_ns)
                window, whole = occupancy.window, None
            trinary, percent = self._published(occupancy, whole, threshold, wanted)
        depth, depth_camera, preview = None, None, None
        if wanted.depth or wanted.preview:
            with _timed(times, "depth"):
                image = self._depth_image(view, still_there)
                depth, depth_camera = image.published, image.camera
        if wanted.preview:
            with _timed(times, "preview"):
                maps = [(_map_caption(account), trinary)]
                preview = preview_panel(view, image.valid, window, maps, T_fixed_base)
        return FrameResult(
            window, trinary, percent, occupancy, depth, depth_camera, preview, times, threshold,
            account,
        )  # fmt: skip

    def remember(self, view: View, moment: Moment) -> None:
        """Encode a view of another camera for the maps to come, without a map of its own."""
        if self._views is not None:
            kept = KeptView(self.scene.encode(view), moment.camera, moment.stamp_ns)
            self._views.add(kept, moment.pose_faults)

    def forget(self) -> None:
        """Drop what earlier frames left: time has jumped."""
        if self._views is not None:
            self._views.clear()
        self.scene.forget_votes()
        if self._local is not None:
            self._local.clear()

    def _threshold_of(self, views: int) -> float:
        """Probability from which a column of a map of so many views is called occupied."""
        return self.settings.occupied_threshold or self.scene.occupied_from(views)

    def _whole_frame(self, view: View, T_fixed_base: Pose, window: GridWindow) -> FrameMap | None:
        """The map as the GPU computes it in one go; None where it does not."""
        if self._frames is None:
            return None
        completed = self.settings.completed_cells
        threshold = self._threshold_of(1)
        return self._frames.map(view, T_fixed_base, window, self._band, threshold, completed)

    def _published(
        self, occupancy: OccupancyMap, whole: FrameMap | None, threshold: float, wanted: Wanted
    ) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8] | None]:
        """trinary and, when wanted, percent (H,W); whole: a map that brought them along."""
        if whole is not None:
            return whole.trinary, whole.percent if wanted.percent else None
        completed = self.settings.completed_cells
        percent = occupancy.percent(threshold, completed) if wanted.percent else None
        return occupancy.trinary(threshold, completed), percent

    def _encoded(self, view: View, moment: Moment | None, still_there: bool) -> EncodedView | None:
        """The view for queries; None where the frame in one go has answered all of them."""
        if not still_there or self._frames is None:
            return self.scene.encode(view)
        return None if self._views is None or moment is None else self._frames.encoded(view)

    def _depth_image(self, view: View, still_there: bool) -> DepthImage:
        """Of the views in use; of the frame that is still there, where its map came in one go."""
        stride = self.settings.depth_stride
        if still_there and self._frames is not None:
            if (found := self._frames.depth(view, stride)) is not None:
                return found
            self.scene.use([self._frames.encoded(view)])
        return DepthImage.of(self.scene.depth_map(stride, by_student=True))

    def _make_frames(self) -> FrameEngine | None:
        """None where there is no GPU with kernels, or one map of a view is not enough."""
        several_maps = self._views is not None and len(self.scene.field.own) > 1
        if several_maps or not self.scene.maps_in_one_go:
            return None
        return FrameEngine(self.scene)

    def _use(
        self, encoded: EncodedView, moment: Moment | None, window: GridWindow, ground: float
    ) -> ViewAccount:
        """Let the scene's queries be about this view and, where it helps, others."""
        if self._views is None or moment is None:
            self.scene.use([encoded])
            return ViewAccount(note=self._single_because)
        self._views.add(KeptView(encoded, moment.camera, moment.stamp_ns), moment.pose_faults)
        points = probe_points(
            (window.x0, window.x0 + window.width * window.resolution),
            (window.y0, window.y0 + window.height * window.resolution),
            ground,
            (self._band.low, self._band.high),
        )
        self._gate.ground_z = ground
        chosen, account = self._views.choose(moment.camera, points)
        self.scene.use([kept.view for kept in chosen])
        return account

    def _make_view_use(self) -> ViewUse | None:
        """None where every map is of one view."""
        settings, head = self.settings, self.scene.spec.head
        if settings.mode == "kdbts":
            return None
        if self.scene.network.density_head.multi_view:
            return ViewUse(settings.mode, settings.views, self._gate)
        if settings.mode == "mvbts":
            raise UserError(
                f"mode mvbts needs weights that fuse views, but '{settings.checkpoint}' has the "
                f"head '{head}': set mode to auto or kdbts, or checkpoint to mvbts"
            )
        self._single_because = f"the head '{head}' reads one view"
        return None

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
        self.process(View(grey, camera, T_world_cam), np.eye(4))
        if self._views is not None:
            # Several views take other kernels than one.
            encoded = self.scene.encode(View(grey, camera, T_world_cam))
            self.scene.use([encoded, encoded])
            window = GridWindow.around(0.0, 0.0, 2 * self.settings.range_m, 1.0)
            told = self._threshold_of(2), self.settings.completed_cells
            self._fused.map(np.eye(4), window, self._band, *told)
            self.scene.depth_map(self.settings.depth_stride, by_student=True)


def depth_from(scene: SceneCompleter) -> Callable[[KeptView], DepthMap]:
    """Renders the depth of a view alone; the scene is about that view afterwards."""

    def depth_of(kept: KeptView) -> DepthMap:
        scene.use([kept.view])
        return scene.depth_map(stride_for(scene.spec.image_width))

    return depth_of


def _map_caption(account: ViewAccount) -> str:
    return "map" if account.used == 1 else f"map of {account.used} views"


@contextmanager
def _timed(times: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    times[stage] = (time.perf_counter() - start) * 1e3
