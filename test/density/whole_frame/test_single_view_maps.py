"""Which graphs a camera needs, what they are handed, and when they are refused; without a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.density.birds_eye_map import map_around
from kdbts_ros.density.cameras.adapter import CameraAdapter
from kdbts_ros.density.cameras.lenses import BrownConrady, Equidistant, Lens
from kdbts_ros.density.cameras.rectify import Warp
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.engines.answers import DepthImage, FrameGrids
from kdbts_ros.density.engines.cuda.frame_plan import (
    DepthPlan,
    FrameDepth,
    FrameEncoding,
    FramePlan,
)
from kdbts_ros.density.geometry.camera import Camera, View
from kdbts_ros.density.maps.grid import FrameMap, GridWindow, HeightBand, OccupancyMap
from kdbts_ros.density.maps.probability import Curve, ProbabilityCurves
from kdbts_ros.density.network.volume_rendering import begun
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.whole_frame.single_view import SingleViewMaps
from kdbts_ros.errors import UserError
from test.density import gpu_reference
from test.density.networks import base_pose, forward_pose, tiny_scene, view, with_numbers

SIZE = (128, 64)
BENT = Lens(Camera(200, 100, 120.0, 120.0, 101.0, 49.0), BrownConrady((-0.3, 0.1, 0.001, 0, 0)))
FISHEYE = Lens(Camera(180, 140, 64.0, 64.0, 90.0, 70.0), Equidistant((0.02, -0.003, 0.0, 0.0)))
WIDE = Lens(Camera(160, 30, 60.0, 60.0, 80.0, 15.0))
WINDOW, BAND = GridWindow.around(5.0, 0.0, 16, 0.5), HeightBand()


class PlainGraph:
    """A graph in numpy and torch: what a plan and its parameters must mean."""

    note = ""

    def __init__(self, scene: SceneCompleter, plan: FramePlan) -> None:
        self.plan, self._scene, self.head = plan, scene, scene.field.heads[0]
        self.uploads: list[tuple[int, ...]] = []
        self.depth_plans: list[DepthPlan] = []
        self.shown: list[FramePlan] = []

    def run(self, image: np.ndarray, params: np.ndarray) -> FrameGrids:
        self.uploads.append(image.shape)
        self._shown = np.floor(self.plan.sampling.apply(image) + 0.5).astype(np.uint8)
        images = torch.from_numpy(self._shown).permute(2, 0, 1)[None].float() / 255
        head, field = self.head, self._scene.field
        with torch.inference_mode():
            self.folded = field.encode(images)[0][0]
            samples = torch.from_numpy(self.plan.samples)
            median = head.own_depth(self.folded, samples, self.plan.visibility)[1].numpy()
            self._visibility = visibility = begun(median, self.plan.samples)
            found = gpu_reference.columns(
                head, self.folded, params, visibility, self.plan.shape, self.plan.valid
            )
        trinary, percent = (found[name].astype(np.int8) for name in ("trinary", "percent"))
        return FrameGrids(found["probability"], trinary, percent, found["observed"])

    def show(self, plan: FramePlan) -> None:
        self.plan = plan
        self.shown.append(plan)

    def device_times(self, repeats: int) -> tuple[float, ...]:
        return (0.0,) * repeats

    def visibility(self) -> np.ndarray:
        return np.asarray(self._visibility)

    def encoding(self) -> FrameEncoding:
        return FrameEncoding(self.folded, self._shown, self._visibility)

    def depths(self, plan: DepthPlan) -> PlainDepth:
        self.depth_plans.append(plan)
        return PlainDepth(self, plan)


class PlainDepth:
    """A depth image in numpy: what its plan must mean."""

    note = ""

    def __init__(self, graph: PlainGraph, plan: DepthPlan) -> None:
        self._graph, self.plan = graph, plan

    def show(self, plan: DepthPlan) -> None:
        self.plan = plan

    def run(self) -> FrameDepth:
        plan, head = self.plan, self._graph.head
        with torch.inference_mode():
            samples = torch.from_numpy(plan.samples)
            expected, _, opacity = head.own_depth(self._graph.folded, samples, plan.size)
        known = opacity.numpy() >= 0.5
        if plan.seen is not None:
            known &= plan.seen
        valid = np.where(known, expected.numpy() / plan.scale, np.float32(np.nan))
        if plan.own is None or plan.pixels is None:
            return FrameDepth(valid, None)
        pixel, z = plan.pixels
        own = np.where(pixel >= 0, valid.ravel()[np.maximum(pixel, 0)] / z, np.nan)
        return FrameDepth(valid, own.reshape(plan.own.camera.height, plan.own.camera.width))

    def device_times(self, repeats: int) -> tuple[float, ...]:
        return (0.0,) * repeats


class Graphs:
    """Captures plain graphs and keeps account of them."""

    def __init__(self, scene: SceneCompleter) -> None:
        self.scene, self.made = scene, list[PlainGraph]()

    def __call__(self, plan: FramePlan) -> PlainGraph:
        self.made.append(PlainGraph(self.scene, plan))
        return self.made[-1]


@pytest.fixture
def scene() -> SceneCompleter:
    made = with_numbers(tiny_scene("bts"), "floats")
    # So that its maps are of two kinds.
    made.curves = ProbabilityCurves(Curve(3.0, 2.0, 0.99), Curve(3.0, 2.0, 0.9), 0.4)
    return made


@pytest.fixture
def graphs(scene: SceneCompleter) -> Graphs:
    return Graphs(scene)


def taken(lens: Lens, mode: str, seed: int = 0) -> View:
    """What the network is shown of a picture that a camera in the middle of the ground took."""
    size = lens.camera.height // 10 + 1, lens.camera.width // 10 + 1
    coarse = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    image = coarse.repeat(10, 0).repeat(10, 1)[: lens.camera.height, : lens.camera.width]
    adapter = ADAPTERS[mode]
    return adapter.view(image, lens, forward_pose(z=1.3), forward_pose(z=1.3), deferred=True)


ADAPTERS = {mode: CameraAdapter(TrainingCamera(), SIZE, mode) for mode in ("on", "off")}


def map_of(engine: SingleViewMaps, posed: View, cells: float = 0.5) -> FrameMap | None:
    window = GridWindow.around(5.0, 0.0, 16, cells)
    return engine.map(posed, base_pose(), window, BAND, 0.4, "keep")


@pytest.mark.parametrize("mode", ["on", "off"])
@pytest.mark.parametrize("lens", [BENT, FISHEYE, Lens(BENT.camera)], ids=["bent", "fish", "none"])
def test_a_raw_image_and_its_table_make_the_map(
    scene: SceneCompleter, graphs: Graphs, lens: Lens, mode: str
) -> None:
    posed = taken(lens, mode)
    found = map_of(SingleViewMaps(scene, graphs), posed)
    assert found is not None
    assert graphs.made[0].uploads == [(lens.camera.height, lens.camera.width, 3)]
    scene.set_views([posed])
    expected: OccupancyMap = map_around(scene, base_pose(), WINDOW, BAND)
    assert min((expected.trinary(0.4, "keep") == kind).sum() for kind in (0, 100)) > 40
    np.testing.assert_allclose(found.occupancy.probability, expected.probability, atol=5e-3)
    assert (found.trinary == expected.trinary(0.4, "keep")).mean() > 0.99


def test_an_image_is_warped_on_the_cpu_to_check_a_graph_and_no_more(
    scene: SceneCompleter, graphs: Graphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, warped = SingleViewMaps(scene, graphs), list[Warp]()
    original = Warp.image
    monkeypatch.setattr(Warp, "image", lambda w, i: warped.append(w) or original(w, i))
    assert map_of(engine, taken(FISHEYE, "on")) is not None
    assert len(warped) == 1
    assert map_of(engine, taken(FISHEYE, "on", seed=1)) is not None
    assert len(warped) == 1 and len(graphs.made) == 1


def test_a_graph_belongs_to_a_calibration_and_a_grid(scene: SceneCompleter, graphs: Graphs) -> None:
    engine = SingleViewMaps(scene, graphs)
    for lens, cells in ((BENT, 0.5), (FISHEYE, 0.5), (BENT, 0.5), (BENT, 1.0), (FISHEYE, 0.5)):
        assert map_of(engine, taken(lens, "on"), cells) is not None
    assert len(graphs.made) == 3
    tables = [graph.plan.sampling.table for graph in graphs.made]
    assert tables[0] is not None and tables[1] is not None
    assert tables[0].source != tables[1].source


@pytest.mark.parametrize("lens", [BENT, WIDE], ids=["all seen", "part seen"])
def test_a_base_that_rocks_needs_one_graph(
    scene: SceneCompleter, graphs: Graphs, lens: Lens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables of another tilt go where the graph's are, and its maps and depths are theirs."""
    adapter, engine = CameraAdapter(TrainingCamera(), SIZE, "on"), SingleViewMaps(scene, graphs)
    checks, set_views = list[object](), scene.set_views
    monkeypatch.setattr(scene, "set_views", lambda views: checks.append(views) or set_views(views))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (lens.camera.height, lens.camera.width, 3), np.uint8)
    for degrees in (0.0, 1.0, 2.0, 1.0, 0.0):
        T_base_cam = mount((0.0, 0.0, 1.3), pitch=np.radians(5 + degrees))
        posed = adapter.view(image, lens, T_base_cam, T_base_cam, deferred=True)
        assert (posed.valid is None) == (lens is BENT)
        found = map_of(engine, posed)
        assert found is not None
        encoded = [engine.encoded(posed)]
        depth = engine.depth(posed, 2)
        assert depth is not None
        set_views([posed])
        expected: OccupancyMap = map_around(scene, base_pose(), WINDOW, BAND)
        np.testing.assert_allclose(found.occupancy.probability, expected.probability, atol=5e-3)
        straight = DepthImage.of(scene.depth_map(2))
        assert depth.camera == straight.camera
        np.testing.assert_allclose(depth.published, straight.published, rtol=1e-3)
        scene.use(encoded)
    assert adapter.tables_built == 3 and len(graphs.made) == 1
    assert len(graphs.made[0].shown) == 4 and len(graphs.made[0].depth_plans) == 1
    # The first map of the graph, and the first of exchanged tables.
    assert len(checks) == 2 and engine.note == ""


def test_every_graph_is_checked_when_old_ones_make_room(
    scene: SceneCompleter, graphs: Graphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, checks = SingleViewMaps(scene, graphs), list[object]()
    set_views = scene.set_views
    monkeypatch.setattr(scene, "set_views", lambda views: checks.append(views) or set_views(views))
    for cells in (0.5, 0.8, 1.0, 1.6, 2.0, 0.5):
        assert map_of(engine, view(), cells) is not None
    assert len(graphs.made) == len(checks) == 6


def test_a_map_unlike_the_scenes_own_is_refused(scene: SceneCompleter, graphs: Graphs) -> None:
    def upside_down(plan: FramePlan) -> PlainGraph:
        graph = graphs(plan)
        run = graph.run
        graph.run = lambda image, params: run(image[::-1], params)  # type: ignore[method-assign]
        return graph

    engine = SingleViewMaps(scene, upside_down)
    assert map_of(engine, taken(BENT, "on")) is None
    assert "several times slower: the CUDA graph was refused, 0." in engine.note
    assert map_of(engine, taken(BENT, "on")) is None and len(graphs.made) == 1


def test_what_cannot_be_prepared_is_refused_in_a_sentence(scene: SceneCompleter) -> None:
    def failing(plan: FramePlan) -> PlainGraph:
        raise RuntimeError("no kernel image\nis available")

    engine = SingleViewMaps(scene, failing)
    assert map_of(engine, taken(BENT, "on")) is None
    assert engine.note.endswith(
        "CUDA graph was refused, RuntimeError: no kernel image is available"
    )


@pytest.mark.parametrize("mode", ["on", "off"])
def test_a_deferred_image_is_the_same_image(mode: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
    asked = image, BENT, forward_pose(), forward_pose()
    eager, deferred = ADAPTERS[mode].view(*asked), ADAPTERS[mode].view(*asked, deferred=True)
    assert isinstance(eager.source, np.ndarray) and not isinstance(deferred.source, np.ndarray)
    np.testing.assert_array_equal(eager.image, deferred.image)
    assert deferred.image is deferred.image
    with pytest.raises(UserError, match=r"a lens needs a uint8 RGB image of shape \(100, 200, 3\)"):
        ADAPTERS[mode].view(image[1:], *asked[1:], deferred=True)


def test_a_camera_without_a_lens_is_uploaded_as_it_is() -> None:
    posed = taken(Lens(BENT.camera), "off")
    assert isinstance(posed.source, np.ndarray) and posed.image is posed.source


@pytest.mark.parametrize("mode", ["on", "off"])
@pytest.mark.parametrize("lens", [BENT, FISHEYE], ids=["bent", "fish"])
def test_depth_comes_of_the_frame_that_is_there(
    scene: SceneCompleter, graphs: Graphs, lens: Lens, mode: str
) -> None:
    engine, posed = SingleViewMaps(scene, graphs), taken(lens, mode)
    assert engine.depth(posed, 2) is None
    assert map_of(engine, posed) is not None
    for seed in (0, 1):
        posed = taken(lens, mode, seed)
        assert map_of(engine, posed) is not None
        found = engine.depth(posed, 2)
        assert found is not None
        scene.set_views([posed])
        expected = DepthImage.of(scene.depth_map(2))
        assert found.camera == expected.camera
        assert np.isfinite(expected.published).mean() > 0.05
        np.testing.assert_allclose(found.valid, expected.valid, rtol=1e-3)
        np.testing.assert_allclose(found.published, expected.published, rtol=1e-3)
    assert len(graphs.made[0].depth_plans) == 1
    assert engine.depth(posed, 4) is not None and engine.depth(posed, 2) is not None
    assert [plan.size for plan in graphs.made[0].depth_plans] == [(32, 64), (16, 32)]


def test_a_depth_image_unlike_the_scenes_own_is_refused_and_maps_go_on(
    scene: SceneCompleter, graphs: Graphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def further(depth: PlainDepth) -> FrameDepth:
        return FrameDepth(np.full(depth.plan.size, 5.0, np.float32), None)

    monkeypatch.setattr(PlainDepth, "run", further)
    engine, posed = SingleViewMaps(scene, graphs), view()
    assert map_of(engine, posed) is not None
    assert engine.depth(posed, 2) is None and engine.depth(posed, 2) is None
    assert engine.note.startswith("depth images take longer: their CUDA graph was refused, 0.")
    assert len(graphs.made[0].depth_plans) == 1
    assert map_of(engine, posed) is not None
    assert engine.encoded(posed).feature_maps[0].shape[1:] == (64, 128)
