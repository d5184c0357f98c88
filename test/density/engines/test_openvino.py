"""Convolutions by OpenVINO: the same maps, chosen by name, and given up where they differ."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo
from kdbts_ros.density.engines.choose import (
    choose_engine,
    chosen_convolutions,
    inference_precision,
    proven,
)
from kdbts_ros.density.engines.cpu import openvino_trunk
from kdbts_ros.density.engines.cpu.engine import CpuEngine
from kdbts_ros.density.engines.cpu.openvino_trunk import OpenVinoField
from kdbts_ros.density.engines.cpu.trunk import PackedField
from kdbts_ros.density.engines.folding import FoldedField
from kdbts_ros.density.network.activation_ranges import NOTE, observe, write_note
from kdbts_ros.density.network.network import TRUNKS, DensityNetwork
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from test.density.networks import against_torch, thin_spec, tiny_network, varied, view

CPU = torch.device("cpu")
needs_openvino = pytest.mark.skipif(
    not openvino_trunk.installed(), reason="needs the extra `openvino`"
)


def network(
    trunk: str = "efficientnet_lite0", size: tuple[int, int] = (64, 64), rows: bool = False
) -> DensityNetwork:
    torch.manual_seed(1)
    made = varied(DensityNetwork(thin_spec(size=size, trunk=trunk, ground_rows=rows)))
    for lines in made.decoder.rows:
        torch.nn.init.normal_(lines.lines, 0, 0.5)
    return made.requires_grad_(False)


def images(size: tuple[int, int] = (64, 64), count: int = 1) -> torch.Tensor:
    torch.manual_seed(2)
    made = torch.rand(count, 3, size[1], size[0])
    return made.contiguous(memory_format=torch.channels_last)


@against_torch("cpu/openvino_trunk", "cpu/openvino_graph")
@needs_openvino
@pytest.mark.parametrize(
    ("trunk", "size", "rows"),
    [*((name, (64, 64), False) for name in TRUNKS), ("efficientnet_lite0", (320, 96), True)],
)
@torch.inference_mode()
def test_maps_are_those_of_the_network(trunk, size, rows):
    plain = FoldedField(network(trunk, size, rows))
    fast = OpenVinoField(plain.network, plain.own)
    for count in (1, 2):
        asked = images(size, count)
        for found, expected in zip(fast.encode(asked), plain.encode(asked), strict=True):
            assert found.is_contiguous(memory_format=torch.channels_last)
            assert found.shape == expected.shape and found.dtype == torch.float32
            scale = expected.abs().max()
            torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=2e-5)


@needs_openvino
@torch.inference_mode()
def test_a_map_that_is_kept_is_not_written_again():
    plain = FoldedField(network())
    fast = OpenVinoField(plain.network, plain.own)
    (kept,) = fast.encode(images())
    before = kept.clone()
    fast.encode(1 - images())
    assert torch.equal(kept, before)


@against_torch("cpu/openvino_trunk", "cpu/openvino_graph")
@needs_openvino
@pytest.mark.parametrize("trunk", ["resnet18", "efficientnet_lite0"])
@torch.inference_mode()
def test_eight_bits_say_nearly_the_same(trunk):
    plain = FoldedField(network(trunk))
    ranges = observe(plain.network, images(count=4).split(1))
    fast = OpenVinoField(plain.network, plain.own, ranges)
    (found,), (expected,) = fast.encode(images()), plain.encode(images())
    spread = (expected - expected.mean((2, 3), keepdim=True)).norm()
    # Rounded, and by no more than steps of a byte make of sixty layers.
    assert 1e-3 < (found - expected).norm() / spread < 0.15


@needs_openvino
def test_by_name_it_is_used_and_passes_the_check():
    scene = scene_of(varied(tiny_network()), "float32", "openvino")
    scene.check_engine()
    assert isinstance(scene.engine.trunk, OpenVinoField)
    assert scene.engine_note == "" and scene.precision == "float32"


@needs_openvino
def test_its_import_tells_nobody(tmp_path):
    """OpenVINO's own module for that would note here that it was asked."""
    (tmp_path / "openvino_telemetry").mkdir()
    (tmp_path / "openvino_telemetry/__init__.py").write_text("raise SystemExit('told')")
    asked = (
        "import sys\n"
        "from kdbts_ros.density.engines.cpu.openvino_trunk import unheard\n"
        "with unheard():\n"
        "    import openvino\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", asked],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_one_that_does_not_work_gives_way_to_torch_with_a_sentence(monkeypatch, precision):
    monkeypatch.setitem(sys.modules, "openvino", None)
    made = varied(tiny_network())
    field = FoldedField(made)
    engine = CpuEngine(field, precision, OpenVinoField(made, field.own))
    found = proven(engine, made, CPU)
    assert isinstance(found, CpuEngine) and not isinstance(found.trunk, OpenVinoField)
    assert found.precision == "float32"
    assert f"OpenVINO's convolutions in {precision} were refused" in found.note
    assert "\n" not in found.note


def test_convolutions_that_differ_are_given_up_with_a_sentence(monkeypatch):
    made = varied(tiny_network())
    field = FoldedField(made)
    wrong = PackedField(made, field.own)
    monkeypatch.setattr(
        OpenVinoField, "encode", lambda self, asked: [3 + m for m in wrong.encode(asked)]
    )
    found = proven(CpuEngine(field, "int8", OpenVinoField(made, field.own)), made, CPU)
    assert "OpenVINO's convolutions in int8 were refused, grid IoU" in found.note
    assert found.precision == "float32"


@pytest.mark.parametrize(
    ("convolutions", "precision", "chosen"),
    [
        ("auto", "float32", "torch"),
        ("auto", "bfloat16", "torch"),
        ("auto", "int8", "openvino"),
        ("torch", "float32", "torch"),
        ("openvino", "float32", "openvino"),
        ("openvino", "int8", "openvino"),
    ],
)
def test_auto_takes_openvino_for_what_torch_has_not(monkeypatch, convolutions, precision, chosen):
    monkeypatch.setattr(openvino_trunk, "installed", lambda: True)
    assert chosen_convolutions(convolutions, CPU, precision) == chosen


@pytest.mark.parametrize(
    ("convolutions", "device", "precision", "sentence"),
    [
        ("openvino", "cpu", "float32", "convolutions openvino needs OpenVINO: pip install"),
        ("auto", "cpu", "int8", "precision int8 needs OpenVINO: pip install"),
        ("torch", "cpu", "int8", "int8 needs convolutions openvino or auto"),
        ("openvino", "cpu", "bfloat16", "float32 or int8, not bfloat16"),
        ("openvino", "cuda", "float16", "are for a CPU, not for device cuda"),
        ("onnx", "cpu", "float32", "unknown convolutions 'onnx', use one of auto, torch"),
    ],
)
def test_what_does_not_go_is_one_sentence(monkeypatch, convolutions, device, precision, sentence):
    monkeypatch.setattr(openvino_trunk, "installed", lambda: False)
    with pytest.raises(UserError, match=sentence) as told:
        chosen_convolutions(convolutions, torch.device(device), precision)
    assert "\n" not in str(told.value)


def test_eight_bits_are_for_a_cpu_and_asked_for_by_name():
    assert inference_precision("int8", CPU) == "int8"
    with pytest.raises(UserError, match="int8 is for a CPU, not for device cuda"):
        inference_precision("int8", torch.device("cuda"))
    with pytest.raises(UserError, match=r"'int4', use one of auto, float32.*int8"):
        inference_precision("int4", CPU)


def test_eight_bits_need_weights_that_know_what_is_read(monkeypatch):
    monkeypatch.setattr(openvino_trunk, "installed", lambda: True)
    with pytest.raises(UserError, match="kdbts quantise CHECKPOINT --out FILE"):
        choose_engine(tiny_network(), CPU, "int8")
    with pytest.raises(UserError, match="those of another network"):
        choose_engine(tiny_network(), CPU, "int8", "auto", {NOTE: "{}"})
    ranges = write_note(observe(tiny_network(), [torch.rand(1, 3, 64, 128)]))
    engine = choose_engine(tiny_network(), CPU, "int8", "auto", {NOTE: ranges})
    assert isinstance(engine, CpuEngine) and isinstance(engine.trunk, OpenVinoField)


@needs_openvino
def test_a_scene_in_eight_bits_answers_as_in_thirty_two():
    made = varied(tiny_network())
    exact = scene_of(made, "float32")
    seen = view()
    exact.set_views([seen])
    shown = torch.from_numpy(exact.views[0].image).permute(2, 0, 1)[None].float() / 255
    fast = scene_of(made, "int8", notes={NOTE: write_note(observe(made, [shown]))})
    fast.set_views([seen])
    ratio = fast.depth()[0] / exact.depth()[0]
    assert 1e-5 < abs(ratio - 1).mean() < 0.05


def scene_of(
    made: DensityNetwork,
    precision: str,
    convolutions: str = "auto",
    notes: dict[str, str] | None = None,
) -> SceneCompleter:
    info = replace(CheckpointInfo("test", made.spec, "0" * 64), notes=notes or {})
    return SceneCompleter(made, info, CPU, precision, convolutions)
