"""The GPU's engine: what can be tested of it without one, and its kernels where Triton is."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch

from kdbts_ros.density.birds_eye_map import MIN_SEEN_SHARE, map_around
from kdbts_ros.density.cameras.lenses import BrownConrady, Equidistant, Lens
from kdbts_ros.density.cameras.rectify import Warp
from kdbts_ros.density.checkpoints.checkpoint import load_network
from kdbts_ros.density.engines.choose import choose_engine
from kdbts_ros.density.engines.cuda import frame_params, support
from kdbts_ros.density.engines.cuda.engine import CudaEngine
from kdbts_ros.density.engines.cuda.frame_plan import FramePlan
from kdbts_ros.density.engines.cuda.image_sampling import Sampling, Separable, Table
from kdbts_ros.density.engines.encoded_view import EncodedView, projection
from kdbts_ros.density.engines.interface import Engine, Queries
from kdbts_ros.density.engines.plain_torch import PlainTorch, TorchQueries
from kdbts_ros.density.geometry.camera import Camera, View
from kdbts_ros.density.maps.grid import GridWindow, HeightBand, band_columns
from kdbts_ros.density.maps.probability import Curve, ProbabilityCurves
from kdbts_ros.density.network.trunk import Activation
from kdbts_ros.density.scene import SceneCompleter
from test.density import fake_gpu, gpu_reference
from test.density.gpu_reference import interpreted
from test.density.networks import (
    WHOLE_VECTORS,
    against_torch,
    base_pose,
    camera,
    forward_pose,
    tiny_scene,
    view,
    with_numbers,
)

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")

SETTINGS = (
    ("keep", ProbabilityCurves()),
    ("discount", ProbabilityCurves(Curve(1.0, 1.2, 0.99), Curve(0.8, 1.3, 0.9), 0.4)),
    ("unknown", ProbabilityCurves(Curve(1.0, 1.2, 0.99), None, 0.4)),
)


@pytest.mark.parametrize("method", ["area", "linear"])
@pytest.mark.parametrize(
    "source", [(375, 1242), (192, 640), (384, 1280), (147, 900), (96, 320), (300, 500)]
)
def test_separable_weights_are_opencvs_resize(source: tuple[int, int], method: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*source, 3), np.uint8)
    shrinks = source[0] > 192 and source[1] > 640
    how = cv2.INTER_AREA if method == "area" and shrinks else cv2.INTER_LINEAR
    expected = cv2.resize(image, (640, 192), interpolation=how)
    found = Separable.resize(source, (192, 640), method).apply(image)
    assert np.abs(found - expected).max() <= 1.0


BENT = Lens(camera(100, 60), BrownConrady((-0.3, 0.1, 0.001, -0.002, -0.01)))
FISHEYE = Lens(Camera(90, 70, 32.0, 32.0, 45.0, 35.0), Equidistant((0.02, -0.003, 0.0, 0.0)))


@pytest.mark.parametrize("lens", [Lens(camera(100, 60)), BENT, FISHEYE], ids=lambda lens: "lens")
def test_a_table_is_opencvs_remap(lens: Lens) -> None:
    turn = cv2.Rodrigues(np.array([0.05, 0.1, 0.02]))[0]
    warp = Warp.build(lens, camera(128, 64), turn)
    size = lens.camera.height, lens.camera.width
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    table = Table.of_warp(warp)
    assert table.source == size
    # Five bits of a position and eight of a grey level leave nothing to rounding; another OpenCV
    # may go about it otherwise.
    apart = np.abs(table.apply(image).astype(int) - warp.image(image))
    assert apart.max() <= 1 and (apart > 0).mean() < 1e-3


@pytest.mark.parametrize("method", ["area", "linear"])
@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_a_sampling_is_remap_then_resize(factor: int, method: str) -> None:
    warp = Warp.build(BENT, camera(64 * factor, 32 * factor), np.eye(3))
    image = np.random.default_rng(0).integers(0, 256, (60, 100, 3), np.uint8)
    shrinks = method == "area" and factor > 1
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    expected = cv2.resize(warp.image(image), (64, 32), interpolation=how)
    found = np.floor(Sampling.of_warp(warp, (32, 64), method).apply(image) + 0.5)
    # OpenCV rounds the mean of four by four to an even level, where it lies between two.
    assert np.abs(found - expected).max() <= (1 if factor == 4 else 0)
    assert (found != expected).mean() < 0.05


@interpreted
@pytest.mark.parametrize("lens", [BENT, FISHEYE, None], ids=["bent", "fisheye", "none"])
@pytest.mark.parametrize("size", [(32, 64), (64, 128), (44, 90)])
def test_the_kernel_samples_as_the_plain_form(
    lens: Lens | None, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kdbts_ros.density.engines.cuda.frame_steps import sample_input, sampling_tables

    fake_gpu.let_loops_run(monkeypatch)
    fake_gpu.few_programs(monkeypatch, cells=512, rays=1024, pixels=1024)
    sampling = Sampling(Separable.resize(size, (32, 64), "area"))
    if lens is not None:
        warp = Warp.build(lens, camera(size[1], size[0]), np.eye(3))
        sampling = Sampling.of_warp(warp, (32, 64), "area")
    image = np.random.default_rng(0).integers(0, 256, (*sampling.source, 3), np.uint8)
    out = torch.zeros(1, 8, 32, 64).contiguous(memory_format=torch.channels_last)
    tables = sampling_tables(sampling, out.device)
    sample_input(torch.from_numpy(image), out, sampling, tables, (0.4, 0.3))
    grey = (out[0, :3].permute(1, 2, 0).numpy() * 0.3 + 0.4) * 255
    expected = np.floor(sampling.apply(image) + 0.5)
    difference = np.abs(grey - expected)
    # A mean halfway between two levels may be rounded to either.
    assert difference.max() < 1.01 and (difference > 0.01).mean() < 1e-3


@against_torch("cuda/kernels/image")
@interpreted
@pytest.mark.parametrize("activation", ["none", "relu", "relu6"])
@pytest.mark.parametrize("skipped", [True, False])
def test_what_lies_between_convolutions_is_what_torch_makes_of_it(
    skipped: bool, activation: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kdbts_ros.density.engines.cuda.trunk import finished, joined

    fake_gpu.let_loops_run(monkeypatch)

    def drawn(*size: int) -> torch.Tensor:
        return torch.randn(size).contiguous(memory_format=torch.channels_last)

    torch.manual_seed(0)
    x, bias = 4 * drawn(1, 70, 5, 6), torch.randn(70)
    beside = drawn(1, 70, 5, 6) if skipped else None
    close = {"rtol": 1e-5, "atol": 1e-5}
    expected = fake_gpu._finished(x, bias, activation, beside)
    found = finished(x.clone(), bias, activation, beside)
    torch.testing.assert_close(found, expected, **close)
    finer = drawn(1, 8, 10, 12) if skipped else None
    expected = fake_gpu._joined(x, bias, finer, up=2)
    torch.testing.assert_close(joined(x, bias, finer, up=2), expected, **close)
    torch.testing.assert_close(joined(x), fake_gpu._joined(x), **close)


def _frame(completed: str, calibration: ProbabilityCurves) -> tuple:
    scene = with_numbers(tiny_scene("bts"), "floats")
    scene.curves = calibration
    posed = View(view().image, camera(), forward_pose(x=1e5), scale=1.2)
    scene.set_views([posed])
    base = base_pose(x=1e5)
    window, band = GridWindow.around(1e5 + 5, 0.0, 16, 0.5), HeightBand()
    grid, thickness = band_columns(base, window, band)
    arrays = scene.field.heads[0].arrays
    params = frame_params.pack_grid(grid, projection(scene.views[0]), arrays, posed.scale)
    threshold = calibration.occupied_from
    frame_params.pack_map(
        params, grid.shape[0], thickness, scene.spec.depth_near, calibration, threshold,
        completed, MIN_SEEN_SHARE,
    )  # fmt: skip
    return scene, params, grid.shape, map_around(scene, base, window, band)


@pytest.mark.parametrize(("completed", "calibration"), SETTINGS)
def test_parameters_mean_the_map_of_a_scene(completed: str, calibration: ProbabilityCurves) -> None:
    """At odometry coordinates of a hundred kilometres."""
    scene, params, shape, expected = _frame(completed, calibration)
    visibility = scene.visibility()[0] * np.float32(1.2)
    found = gpu_reference.columns(
        scene.field.heads[0], scene.views[0].feature_maps[0], params, visibility, shape
    )
    known = np.isfinite(expected.probability)
    assert known.sum() > 100
    assert (np.isfinite(found["probability"]) != known).mean() < 0.005
    both = known & np.isfinite(found["probability"])
    np.testing.assert_allclose(found["probability"][both], expected.probability[both], atol=2e-3)
    threshold = calibration.occupied_from
    assert (found["trinary"] != expected.trinary(threshold, completed)).mean() < 0.01
    assert np.abs(found["percent"] - expected.percent(threshold, completed))[both].max() <= 1


@interpreted
@pytest.mark.parametrize(("completed", "calibration"), SETTINGS[1:2])
def test_steps_of_a_frame_make_the_map_of_a_scene(
    completed: str, calibration: ProbabilityCurves, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kdbts_ros.density.engines.cuda.frame_steps import FrameSteps, Slot
    from kdbts_ros.density.engines.cuda.single_view import CudaHead
    from kdbts_ros.density.engines.cuda.trunk import CudaField

    fake_gpu.let_loops_run(monkeypatch)
    fake_gpu.few_programs(monkeypatch, cells=512, rays=1024, pixels=4096)

    scene, params, shape, expected = _frame(completed, calibration)
    samples = scene.depth_samples(1.2) * np.float32(1.2)
    sampling = Sampling(Separable.resize((64, 128), (64, 128), "area"))
    plan = FramePlan(sampling, shape, samples, (32, 64))
    field = CudaField(scene.network, scene.field.own, torch.float32)
    slot = Slot(plan, pinned=False)
    slot.image[:], slot.params[:] = scene.views[0].image, params
    with torch.inference_mode():
        FrameSteps(field, 0, CudaHead(scene.field.heads[0]), plan).all(slot)
    found = slot.grids()
    np.testing.assert_allclose(found.probability, expected.probability, atol=2e-3)
    assert (found.trinary != expected.trinary(calibration.occupied_from, completed)).mean() < 0.01
    assert (found.observed == expected.observed).mean() > 0.99
    own = found.probability
    assert (found.percent[np.isfinite(own)] >= -1).all()


@on_gpu
def test_a_gpu_says_what_the_plain_formulation_says() -> None:
    network, info = load_network("kdbts")
    scene = SceneCompleter(network, info, torch.device("cuda"), "float16")
    scene.check_engine()
    assert scene.engine_note == ""
    assert scene.maps_in_one_go


class _Kernels(CudaEngine):
    """Kernels of a head of several views that say nonsense, or none at all."""

    def __init__(self, scene: SceneCompleter, error: str) -> None:
        self.field, self.precision, self.trunk, self._error = scene.field, "float32", None, error
        self._heads, self._fusions, self._refused = {}, {0: None}, ()  # type: ignore[dict-item]

    def queries(self, head: int, views: Sequence[EncodedView]) -> Queries:
        if head not in self._fusions:
            return super().queries(head, views)
        if self._error:
            raise RuntimeError(self._error)
        return TorchQueries(
            self.field.heads[head], views, [v.feature_maps[head] * 1.5 for v in views]
        )


@pytest.mark.parametrize("error", ["", "no kernel\nimage"])
def test_a_kernel_of_several_views_is_refused_where_it_is_wrong(error: str) -> None:
    scene = tiny_scene("mvbts")
    kernels = scene.engine = _Kernels(scene, error)
    scene.check_engine()
    assert scene.engine is kernels and not kernels._fusions
    assert scene.engine_note.startswith("several views take longer: their kernel was refused, ")
    assert not error or scene.engine_note.endswith("RuntimeError: no kernel image")
    scene.set_views([view(0), view(1, x=1.0)])
    assert type(scene.queries) is TorchQueries


def test_a_sentence_names_every_engine_that_was_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine: Engine = tiny_scene("mvbts").engine
    names, engines = ["16-bit integers", "compiled loops"], []
    while (below := engine.weaker(0, "a fault")) is not None:
        engine = below
        engines.append(engine)
    assert isinstance(engine, PlainTorch)
    # Without AVX2 there are no integers to refuse.
    told = [f"{name} were refused, a fault" for name in names[2 - len(engines) :]]
    assert engine.note == "slow but exact: " + "; ".join(told)
    monkeypatch.setattr(support.importlib.util, "find_spec", lambda _: None)
    plain = choose_engine(engine.field.network, torch.device("cuda"), "bfloat16")
    assert plain.note == "slow: CUDA kernels are not used, Triton is not installed"
    exact = plain.weaker(0, "grid IoU 0.9")
    assert exact is not None and exact.precision == "float32" and exact.weaker(0, "") is None
    assert exact.note == (
        "slow but exact: CUDA kernels are not used, Triton is not installed; "
        "convolutions in bfloat16 were refused, grid IoU 0.9"
    )


@pytest.mark.parametrize(
    ("head", "known"), [("mvbts", True), ("simple_multiview", True), ("bts", False)]
)
def test_heads_that_weigh_votes_have_a_kernel(head: str, known: bool) -> None:
    assert support.fuses(tiny_scene(head, widths=WHOLE_VECTORS).field.heads[0]) is known
    assert not support.fuses(tiny_scene("mvbts").field.heads[0])
