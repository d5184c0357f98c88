"""One frame from image to map, as the node and the commands run it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from kdbts_ros import pictures
from kdbts_ros.density.birds_eye_map import completed, map_around
from kdbts_ros.density.cameras.adapter import CameraAdapter
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.engines.answers import DepthMap
from kdbts_ros.density.footprint_queries import MapSnapshot
from kdbts_ros.density.frame_result import FrameResult as FrameResult
from kdbts_ros.density.geometry.camera import View, inverse
from kdbts_ros.density.ground.anchor import GroundAccount
from kdbts_ros.density.maps.grid import CellRule, FrameMap, GridWindow, MapArea, Pose
from kdbts_ros.density.maps.marks import Marks
from kdbts_ros.density.maps.preview import preview_panel
from kdbts_ros.density.maps.rolling_map import LocalMap
from kdbts_ros.density.queries import ViewSnapshot
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.settings import MAP_AND_DEPTH, FrameStamp, Wanted
from kdbts_ros.density.settings import PipelineSettings as PipelineSettings
from kdbts_ros.density.views.keyframes import KeptView
from kdbts_ros.density.views.novelty import probe_points
from kdbts_ros.density.views.policy import ViewAccount, ViewUse
from kdbts_ros.density.views.static_world import ConsistencyGate, stride_for
from kdbts_ros.density.whole_frame.anchored import AnchoredFrames
from kdbts_ros.density.whole_frame.beside import Beside
from kdbts_ros.density.whole_frame.frame import Frame
from kdbts_ros.density.whole_frame.rehearsal import grey_view, rehearse_several_views
from kdbts_ros.density.whole_frame.several_views import MultiViewMaps
from kdbts_ros.density.whole_frame.single_view import SingleViewMaps
from kdbts_ros.errors import UserError


class Pipeline:
    """Loads weights once, then turns posed views into maps. One thread owns it."""

    def __init__(self, settings: PipelineSettings) -> None:
        self.settings = settings
        self._band = settings.band
        self.scene = SceneCompleter.load(
            settings.checkpoint,
            settings.device,
            settings.precision,
            settings.head,
            settings.convolutions,
        )
        self.scene.map_heads.used = settings.map_head == "auto"
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
        self._local = LocalMap(settings.accumulation) if settings.accumulate else None
        self._single_view_maps = self._make_single_view_maps()
        self._frames = AnchoredFrames(self.scene, self._single_view_maps)
        self._ground = GroundAccount()
        self._multi_view_maps = MultiViewMaps(self.scene)
        self._marks = Marks()
        self._warm_up()

    def update(self, settings: PipelineSettings) -> None:
        """Take new thresholds, heights and extents; weights and device stay as loaded."""
        self._band = settings.band
        self.scene.map_heads.used = settings.map_head == "auto"
        if self._views is not None:
            self._views.update(settings.views)
        self._gate.rules = settings.consistency
        if self._local is not None:
            self._local.settings = settings.accumulation
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
        return [
            self.scene.engine_note,
            self._single_view_maps.note if self._single_view_maps else "",
            self._multi_view_maps.note,
        ]

    def view(
        self, image: pictures.Rgb, lens: Lens, T_fixed_camera: Pose, T_fixed_base: Pose
    ) -> View:
        """What the network is shown of an image that a camera with this lens took.

        Raises:
            UserError: the camera sees nothing the network can be shown.
        """
        T_base_camera = inverse(T_fixed_base) @ T_fixed_camera
        # What a GPU warps by itself is warped here only for those who want to see it.
        deferred = self._single_view_maps is not None
        return self.adapter.view(image, lens, T_base_camera, T_fixed_camera, deferred)

    def concerns(self, lens: Lens, T_base_camera: Pose) -> list[str]:
        """Why the network may do badly with the last frame's camera, one sentence each, with
        numbers."""
        return [
            *self.adapter.concerns(lens, T_base_camera),
            *filter(None, [self._ground.concern()]),
        ]

    def process(
        self,
        view: View,
        T_fixed_base: Pose,
        wanted: Wanted = MAP_AND_DEPTH,
        frame_stamp: FrameStamp | None = None,
    ) -> FrameResult:
        """Map and, when wanted, more of a view whose world is the fixed frame.

        With a `frame_stamp` the view joins those kept of earlier frames, and the map may use
        several and be accumulated with earlier maps.
        """
        settings, times = self.settings, dict[str, float]()
        x, y, ground = (float(T_fixed_base[k, 3]) for k in range(3))
        window = GridWindow.around(x, y, 2 * settings.range_m, settings.resolution)
        area = MapArea(T_fixed_base, window, self._band)
        with _timed(times, "network"):
            frame, self._ground, area = self._frames.look(
                view, area, self._rule_for(1, view.scale), frame_stamp, settings.ground_use
            )
        with _timed(times, "views"):
            account = self._choose_views(frame, frame_stamp, window, ground)
            chosen = () if self._views is None or frame_stamp is None else self.scene.views
        rule = self._rule_for(account.used, view.scale)
        with _timed(times, "query"):
            answer = self._ask(frame, account.used, rule, area)
            snapshot = self._snapshot(frame, bool(chosen), wanted.queries)
            if self._local is not None and frame_stamp is not None:
                answer = FrameMap(self._local.accumulate(answer.occupancy, frame_stamp.stamp_ns))
            occupancy = answer.occupancy
            stamp_ns = None if frame_stamp is None else frame_stamp.stamp_ns
            trinary, percent = self._marks.published(
                answer, rule, settings.marks, wanted.percent, stamp_ns
            )
        depth, depth_camera, preview = None, None, None
        if wanted.depth or wanted.preview:
            with _timed(times, "depth"):
                image = frame.depth(settings.depth_stride)
                depth, depth_camera = image.published, image.camera
        if wanted.preview:
            with _timed(times, "preview"):
                maps = [(_map_caption(account), trinary)]
                preview = preview_panel(view, image.valid, occupancy.window, maps, T_fixed_base)
        stride = settings.depth_stride
        beside = Beside(self.scene, frame, chosen, area, T_fixed_base, trinary, stride)
        return FrameResult(
            occupancy.window, trinary, percent, occupancy, depth, depth_camera, preview, times,
            rule.threshold, beside, MapSnapshot(occupancy, trinary, rule.completed), account,
            self._ground, snapshot,
        )  # fmt: skip

    def remember(self, view: View, frame_stamp: FrameStamp) -> None:
        """Encode a view of another camera for the maps to come, without a map of its own.

        It is anchored by what earlier maps of that camera found of the ground.
        """
        self._ground = GroundAccount()
        if self._views is not None:
            anchor = self._frames.anchor_of(frame_stamp.camera, self.settings.ground_use)
            encoded = self.scene.encode(view).anchored(anchor)
            kept = KeptView(encoded, frame_stamp.camera, frame_stamp.stamp_ns)
            self._views.add(kept, frame_stamp.pose_faults)

    def forget(self) -> None:
        """Drop what earlier frames left: time has jumped."""
        if self._views is not None:
            self._views.clear()
        self._frames.forget()
        self._marks.forget()
        self.scene.forget_votes()
        if self._local is not None:
            self._local.clear()

    def _rule_for(self, views: int, scale: float = 1.0) -> CellRule:
        """How columns of a map of so many views are published, the newest of this scale."""
        threshold = self.settings.occupied_threshold or self.scene.occupied_from(views, scale)
        return CellRule(threshold, self.settings.completed_cells)

    def _ask(self, frame: Frame, views: int, rule: CellRule, area: MapArea) -> FrameMap:
        """The map of so many views: those the scene has in use, the frame's the newest."""
        if views > 1:
            newest = None if frame.finished_map is None else frame.finished_map.occupancy
            return FrameMap(self._multi_view_maps.map(*area, *rule, newest=newest))
        if frame.finished_map is None:
            return FrameMap(map_around(self.scene, *area))
        if self.scene.map_head(1) is None:
            return frame.finished_map
        alone = frame.finished_map.occupancy
        return FrameMap(completed(self.scene, (frame.encoded(),), alone, area))

    def _snapshot(self, frame: Frame, chosen: bool, wanted: bool) -> ViewSnapshot | None:
        """None where a GPU would have to copy a view that nobody wants to ask about.

        chosen: the scene has views of this frame in use.
        """
        if frame.finished_map is not None and not chosen:
            if not wanted:
                return None
            self.scene.use([frame.encoded()])
        return ViewSnapshot.of(self.scene, self.settings.completed_cells)

    def _make_single_view_maps(self) -> SingleViewMaps | None:
        """None where there is no GPU with kernels, or one map of a view is not enough."""
        several_maps = self._views is not None and len(self.scene.field.own) > 1
        if several_maps or not self.scene.maps_in_one_go:
            return None
        return SingleViewMaps(self.scene)

    def _choose_views(
        self, frame: Frame, frame_stamp: FrameStamp | None, window: GridWindow, ground: float
    ) -> ViewAccount:
        """Let the scene's queries be about this frame's view and, where it helps, others."""
        if self._views is None or frame_stamp is None:
            return ViewAccount(note=self._single_because)
        kept = KeptView(frame.encoded(), frame_stamp.camera, frame_stamp.stamp_ns)
        self._views.add(kept, frame_stamp.pose_faults)
        points = probe_points(
            (window.x0, window.x0 + window.width * window.resolution),
            (window.y0, window.y0 + window.height * window.resolution),
            ground,
            (self._band.low, self._band.high),
        )
        self._gate.ground_z = ground
        chosen, account = self._views.choose(frame_stamp.camera, points)
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
        # It must not count as a dropped second, nor must the first listener of anything wait.
        grey = grey_view(self.scene.spec)
        result = self.process(grey, np.eye(4), Wanted(preview=True, queries=True))
        assert result.snapshot is not None
        result.snapshot.rehearse()
        result.map_snapshot.rehearse()
        result.beside.rehearse()
        if self._views is not None:
            window = GridWindow.around(0.0, 0.0, 2 * self.settings.range_m, 1.0)
            area = MapArea(np.eye(4), window, self._band)
            rehearse_several_views(
                self.scene, self._multi_view_maps, self.scene.encode(grey), area,
                self._rule_for(2), self.settings.depth_stride,
            )  # fmt: skip


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
