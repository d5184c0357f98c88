"""Whole frames through the GPU's engine, where Triton can interpret its kernels on a CPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from kdbts_ros.density import pipeline as pipelines
from kdbts_ros.density.birds_eye_map import map_alone
from kdbts_ros.density.cameras.lenses import BrownConrady, Equidistant, Lens
from kdbts_ros.density.engines.folding import FoldedField
from kdbts_ros.density.engines.plain_torch import TorchQueries
from kdbts_ros.density.frame_result import FrameResult
from kdbts_ros.density.geometry.camera import Camera, View
from kdbts_ros.density.map_head import MapHeads
from kdbts_ros.density.maps.grid import GridWindow, HeightBand, band_columns
from kdbts_ros.density.maps.probability import Curve, ProbabilityCurves
from kdbts_ros.density.network.map_head import MapHeadNetwork, MapHeadSpec
from kdbts_ros.density.network.network import TRUNKS
from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.settings import FrameStamp, Wanted
from kdbts_ros.density.views.keyframes import BufferRules
from kdbts_ros.density.whole_frame import several_views as fused_maps
from kdbts_ros.density.whole_frame.beside import Beside
from test.density import fake_gpu
from test.density.engines.test_shared_hidden import scene as two_heads
from test.density.gpu_reference import interpreted
from test.density.networks import (
    WHOLE_VECTORS,
    against_torch,
    base_pose,
    camera,
    forward_pose,
    tiny_network,
    tiny_scene,
    varied,
    view,
    with_numbers,
)

pytestmark = interpreted

SETTINGS = PipelineSettings(range_m=6.0, resolution=0.5, mode="kdbts", depth_stride=4)
BENT = Lens(Camera(200, 100, 120.0, 120.0, 101.0, 49.0), BrownConrady((-0.3, 0.1, 0.001, 0, 0)))
FISHEYE = Lens(Camera(180, 140, 64.0, 64.0, 90.0, 70.0), Equidistant((0.02, -0.003, 0.0, 0.0)))
# Hidden layers that the kernels know.
POWERS = {**WHOLE_VECTORS, "simple_multiview": (16,)}
PLAIN = Lens(Camera(150, 80, 90.0, 90.0, 75.0, 40.0))


def some_scene(head: str = "bts", trunk: str = "resnet18") -> SceneCompleter:
    scene = with_numbers(tiny_scene(head, trunk=trunk), "floats")
    # So that its maps are of two kinds, and its depth of rays that meet something and others.
    scene.curves = ProbabilityCurves(Curve(3.0, 2.0, 0.99), Curve(3.0, 2.0, 0.9), 0.4)
    return scene


def loaded(
    patch: pytest.MonkeyPatch, scene: SceneCompleter, settings: PipelineSettings
) -> Pipeline:
    patch.setattr(pipelines.SceneCompleter, "load", lambda *_: scene)
    return Pipeline(settings)


def taken(pipeline: Pipeline, lens: Lens, wanted: Wanted, seed: int = 0) -> FrameResult:
    size = lens.camera.height // 10 + 1, lens.camera.width // 10 + 1
    coarse = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    image = coarse.repeat(10, 0).repeat(10, 1)[: lens.camera.height, : lens.camera.width]
    view = pipeline.view(image, lens, forward_pose(z=1.3), base_pose())
    return pipeline.process(view, base_pose(), wanted)


def headed(scene: SceneCompleter, views: int = 1) -> SceneCompleter:
    """With a map head that changes much, for maps of so many views."""
    torch.manual_seed(0)
    channels = len(scene.feature_map(scene.encode(view())))
    network = MapHeadNetwork(MapHeadSpec(channels, 0.25, (0.0, 1.0), 32, (8, 8, 8, 8), 4, 8))
    torch.nn.init.normal_(network.out.weight, std=2.0)
    scene.map_heads = MapHeads({scene.head_of(views): network}, scene.device)
    return scene


def test_a_map_head_completes_the_maps_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(SETTINGS, resolution=0.25)
    cpu = loaded(monkeypatch, headed(some_scene()), settings)
    plain = loaded(monkeypatch, some_scene(), settings)
    fake_gpu.install(monkeypatch)
    gpu = loaded(monkeypatch, headed(fake_gpu.scene_on_gpu(some_scene())), settings)
    expected, found, without = (taken(each, PLAIN, Wanted()) for each in (cpu, gpu, plain))
    assert gpu.describe()["engine"] == "fast"
    assert np.abs(expected.percent.astype(int) - without.percent).max() > 10, "the head has a say"
    assert np.abs(found.percent.astype(int) - expected.percent).max() <= 2
    assert (found.trinary == expected.trinary).mean() > 0.99


@pytest.mark.parametrize("trunk", TRUNKS)
@torch.inference_mode()
def test_the_maps_of_any_trunk_are_those_of_the_network(
    trunk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kdbts_ros.density.engines.cuda.trunk import CudaField

    fake_gpu.install(monkeypatch)
    network = varied(tiny_network(trunk=trunk))
    plain = FoldedField(network)
    images = torch.rand(2, 3, 64, 128, generator=torch.Generator().manual_seed(0))
    found = CudaField(network, plain.own, torch.float32).encode(images)
    for ours, expected in zip(found, plain.encode(images), strict=True):
        scale = expected.abs().max()
        torch.testing.assert_close(ours / scale, expected / scale, rtol=0, atol=2e-5)


CAMERAS = {
    "bent": (BENT, "resnet18"),
    "fisheye": (FISHEYE, "resnet18"),
    "plain": (PLAIN, "resnet18"),
    "lite": (PLAIN, "efficientnet_lite0"),
}
SOON = {("bent", "on"), ("lite", "off")}


# Each takes an interpreter half a minute: two of all kinds, and every other by night.
EACH = [
    pytest.param(name, canonical, marks=() if (name, canonical) in SOON else pytest.mark.nightly)
    for name in CAMERAS
    for canonical in ("on", "off")
]


@pytest.mark.parametrize(("name", "canonical"), EACH)
def test_a_camera_gives_the_map_and_the_depth_of_a_cpu(
    name: str, canonical: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lens, trunk = CAMERAS[name]
    settings = replace(SETTINGS, canonical_camera=canonical)  # type: ignore[arg-type]
    cpu = loaded(monkeypatch, some_scene(trunk=trunk), settings)
    fake_gpu.install(monkeypatch)
    gpu = loaded(monkeypatch, fake_gpu.scene_on_gpu(some_scene(trunk=trunk)), settings)
    assert gpu.describe()["engine"] == "fast" and gpu._single_view_maps is not None
    encode, encoded = gpu.scene.encode, list[object]()
    monkeypatch.setattr(gpu.scene, "encode", lambda view: encoded.append(view) or encode(view))
    for seed in (0, 1):
        wanted = Wanted(preview=seed == 1)
        expected, found = (taken(pipeline, lens, wanted, seed) for pipeline in (cpu, gpu))
        assert (found.trinary == expected.trinary).mean() > 0.99
        assert np.abs(found.percent - expected.percent).max() <= 1
        assert found.depth_camera == expected.depth_camera
        assert np.isfinite(expected.depth).mean() > 0.1
        np.testing.assert_allclose(found.depth, expected.depth, rtol=2e-3)
        if wanted.preview:
            assert np.abs(found.preview - expected.preview.astype(int)).mean() < 1
    # Once, to check the graph.
    assert len(encoded) == 1
    assert gpu.describe()["engine"] == "fast"


def test_tables_of_another_tilt_are_exchanged_on_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = replace(SETTINGS, canonical_camera="on", depth_stride=8)
    cpu = loaded(monkeypatch, some_scene(), settings)
    fake_gpu.install(monkeypatch)
    gpu = loaded(monkeypatch, fake_gpu.scene_on_gpu(some_scene()), settings)
    assert gpu._single_view_maps is not None
    rng, graphs = np.random.default_rng(0), gpu._single_view_maps._graphs
    image = rng.integers(0, 255, (80, 150, 3), np.uint8)
    kept = set[int]()
    for degrees in (0.0, 1.0, 2.0):
        posed = forward_pose(z=1.3) @ tilted(degrees)
        found, expected = (
            pipeline.process(pipeline.view(image, PLAIN, posed, base_pose()), base_pose(), Wanted())
            for pipeline in (gpu, cpu)
        )
        assert (found.trinary == expected.trinary).mean() > 0.99
        assert found.depth_camera == expected.depth_camera
        np.testing.assert_allclose(found.depth, expected.depth, rtol=2e-3)
        kept |= {id(graph.graph) for graph in graphs.values()}
    # That of the warm-up, and that of the camera.
    assert len(kept) == 2 and gpu.describe()["engine"] == "fast"


def tilted(degrees: float) -> np.ndarray:
    """T_camera_camera (4,4): one that looks down by so much."""
    T, (c, s) = np.eye(4), (np.cos(np.radians(degrees)), np.sin(np.radians(degrees)))
    T[1:3, 1:3] = [[c, s], [-s, c]]
    return T


def several_views(head: str, count: int) -> SceneCompleter:
    scene = with_numbers(tiny_scene(head, widths=POWERS), "floats")
    scene.curves = ProbabilityCurves(Curve(3.0, 2.0, 0.99), Curve(3.0, 2.0, 0.9), 0.4)
    half = np.arange(128)[None] < 100
    views = [
        View(view(i).image, camera(), forward_pose(x=2.0 * i, yaw=0.3 * i), scale=1 + 0.1 * i)
        for i in range(count)
    ]
    # One that saw part of its image.
    views[-1] = replace(views[-1], valid=half.repeat(64, 0))
    scene.set_views(views)
    return scene


@against_torch("cuda/kernels/columns_and_rays")
def test_columns_and_rays_of_one_view_are_those_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    from kdbts_ros.density.engines.cuda.single_view import CudaHead, CudaQueries

    fake_gpu.let_loops_run(monkeypatch)
    fake_gpu.few_programs(monkeypatch, cells=64, rays=64, pixels=1024)
    scene = with_numbers(tiny_scene("bts"), "floats")
    scene.set_views([View(view().image, camera(), forward_pose(), scale=1.2)])
    head, maps = scene.field.heads[0], [scene.views[0].feature_maps[0]]
    plain = TorchQueries(head, scene.views, maps)
    asked = CudaQueries(CudaHead(head), scene.views, maps)
    grid, _ = band_columns(base_pose(), GridWindow.around(6.0, 0.0, 12, 1.0), HeightBand())
    visibility = some_visibility(scene)
    expected, found = plain.column_sums(grid, visibility), asked.column_sums(grid, visibility)
    np.testing.assert_array_equal(found.seen, expected.seen)
    np.testing.assert_array_equal(found.visible, expected.visible)
    np.testing.assert_allclose(found.density, expected.density, rtol=1e-4, atol=1e-4)
    t = scene.depth_samples(1.2)
    rays = [each.depths(0, t, (8, 16), 0.0, 0.4) for each in (plain, asked)]
    np.testing.assert_allclose(rays[1].expected, rays[0].expected, rtol=2e-3)
    np.testing.assert_allclose(rays[1].opacity, rays[0].opacity, atol=1e-4)
    np.testing.assert_allclose(rays[1].surface, rays[0].surface, rtol=1e-3)


@against_torch("cuda/kernels/fused_columns")
@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("head", ["mvbts", "simple_multiview"])
def test_votes_of_several_views_are_fused_as_torch_fuses_them(
    head: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kdbts_ros.density.engines.cuda.multi_view import CudaFusedQueries, CudaFusion

    fake_gpu.let_loops_run(monkeypatch)
    fake_gpu.few_programs(monkeypatch, cells=64, rays=64, pixels=1024)
    scene = several_views(head, count)
    maps = [v.feature_maps[0] for v in scene.views]
    plain = TorchQueries(scene.field.heads[0], scene.views, maps)
    fused = CudaFusedQueries(CudaFusion(scene.field.heads[0]), scene.views, maps)
    grid, _ = band_columns(base_pose(), GridWindow.around(6.0, 0.0, 12, 1.0), HeightBand())
    visibility = some_visibility(scene)
    expected, found = plain.column_sums(grid, visibility), fused.column_sums(grid, visibility)
    assert (expected.seen > 0).sum() > 50 and 0 < expected.visible.sum() < expected.seen.sum()
    np.testing.assert_array_equal(found.seen, expected.seen)
    np.testing.assert_array_equal(found.visible, expected.visible)
    np.testing.assert_allclose(found.density, expected.density, rtol=1e-4, atol=1e-4)
    densities = plain.grid_densities(grid), fused.grid_densities(grid)
    np.testing.assert_allclose(densities[1], densities[0], rtol=1e-4, atol=1e-4)


def test_a_map_head_completes_maps_of_several_views(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(SETTINGS, mode="mvbts", views=BufferRules(min_overlap=0.0), resolution=0.25)
    scenes = [with_numbers(two_heads(), "floats") for _ in range(3)]
    cpu = loaded(monkeypatch, headed(scenes[0], views=2), settings)
    plain = loaded(monkeypatch, scenes[1], settings)
    fake_gpu.install(monkeypatch)
    gpu = loaded(monkeypatch, fake_gpu.scene_on_gpu(headed(scenes[2], views=2)), settings)
    for i in range(2):
        expected, found, without = (
            driven(each, i).percent.astype(int) for each in (cpu, gpu, plain)
        )
        assert (np.abs(expected - without).max() > 10) == (i > 0), "of several views alone"
        assert np.abs(found - expected).max() <= 2


def test_maps_of_several_views_are_those_of_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(SETTINGS, mode="mvbts", views=BufferRules(min_overlap=0.0), depth_stride=8)
    scenes = [with_numbers(two_heads(), "floats") for _ in range(2)]
    cpu = loaded(monkeypatch, scenes[0], settings)
    fake_gpu.install(monkeypatch)
    gpu = loaded(monkeypatch, fake_gpu.scene_on_gpu(scenes[1]), settings)
    assert gpu.describe()["engine"] == "fast" and gpu._single_view_maps is not None
    alone = list[object]()
    monkeypatch.setattr(fused_maps, "map_alone", lambda *a: alone.append(a) or map_alone(*a))
    for i in range(4):
        found, expected = (driven(pipeline, i) for pipeline in (gpu, cpu))
        assert found.views.used == expected.views.used == min(i + 1, 4)
        assert (found.trinary == expected.trinary).mean() > 0.99
        both = np.isfinite(found.occupancy.probability)
        np.testing.assert_array_equal(both, np.isfinite(expected.occupancy.probability))
        np.testing.assert_allclose(
            found.occupancy.probability[both], expected.occupancy.probability[both], atol=5e-3
        )
        np.testing.assert_allclose(found.depth, expected.depth, rtol=2e-3)
    # By the CPU's pipeline only: a GPU has made the newest view's map with its frame.
    assert len(alone) == 3
    assert gpu.describe()["engine"] == "fast"


def driven(pipeline: Pipeline, i: int) -> FrameResult:
    """The i-th frame of a fisheye that drives on, 2 m a second."""
    image = np.random.default_rng(i).integers(0, 255, (14, 18, 3), np.uint8)
    image = image.repeat(10, 0).repeat(10, 1)
    base = base_pose(2.0 * i)
    taken_by = pipeline.view(image, FISHEYE, forward_pose(x=2.0 * i, z=1.3), base)
    return pipeline.process(taken_by, base, Wanted(), FrameStamp("front", (100 + i) * 10**9))


@pytest.mark.parametrize("mode", ["kdbts", "mvbts"])
def test_who_listens_or_asks_waits_for_no_kernel(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = BufferRules(min_overlap=0.0)
    settings = replace(SETTINGS, mode=mode, views=views, resolution=1.0, depth_stride=8)
    rehearse = Beside.rehearse
    fake_gpu.install(monkeypatch)
    monkeypatch.setattr(Beside, "rehearse", rehearse)
    compiled = fake_gpu.compiled(monkeypatch)
    scene = with_numbers(two_heads(), "floats") if mode == "mvbts" else some_scene()
    gpu = loaded(monkeypatch, fake_gpu.scene_on_gpu(scene), settings)
    at_load = compiled.copy()
    assert {name for name, *_ in at_load} >= {"columns", "rays", "sample_image"}
    for i in range(2 if mode == "mvbts" else 1):
        found = driven(gpu, i)
        # Whose sizes are those of the camera, which no one knows before.
        assert {name for name, *_ in compiled - at_load} <= {"sample_image"}
        found.beside.rehearse()
        assert found.snapshot is not None or mode == "kdbts"
    assert {name for name, *_ in compiled - at_load} <= {"sample_image"}
    assert gpu.describe()["engine"] == "fast"


def some_visibility(scene: SceneCompleter) -> list[np.ndarray]:
    """Light that ends somewhere between 5 and 30 m, by view."""
    rng = np.random.default_rng(0)
    return [rng.uniform(5, 30, (8, 16)).astype(np.float32) for _ in scene.views]
