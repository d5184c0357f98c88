"""Packed convolutions: the same maps, and given up where PyTorch has others."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo
from kdbts_ros.density.engines.cpu import trunk
from kdbts_ros.density.engines.cpu.trunk import PackedField
from kdbts_ros.density.engines.folding import FoldedField
from kdbts_ros.density.engines.plain_torch import PlainTorch
from kdbts_ros.density.network.network import TRUNKS, DensityNetwork
from kdbts_ros.density.scene import SceneCompleter
from test.density.networks import against_torch, thin_spec, tiny_network, varied, view

needs_packing = pytest.mark.skipif(not trunk.supported(), reason="this PyTorch packs nothing")


@against_torch("cpu/trunk")
@needs_packing
@pytest.mark.parametrize("trunk_name", list(TRUNKS))
@pytest.mark.parametrize("size", [(64, 64), (320, 96)])
@torch.inference_mode()
def test_maps_are_those_of_the_network(trunk_name, size):
    torch.manual_seed(1)
    network = varied(DensityNetwork(thin_spec(size=size, trunk=trunk_name)))
    plain = FoldedField(network)
    fast = PackedField(network, plain.own)
    for count in (1, 2, 1):
        images = torch.rand(count, 3, size[1], size[0])
        images = images.contiguous(memory_format=torch.channels_last)
        for found, expected in zip(fast.encode(images), plain.encode(images), strict=True):
            assert found.is_contiguous(memory_format=torch.channels_last)
            assert found.shape == expected.shape
            scale = expected.abs().max()
            torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=2e-5)


@needs_packing
@pytest.mark.parametrize("trunk_name", ["resnet18", "efficientnet_lite0"])
def test_the_network_on_a_cpu_is_packed_and_passes_the_check(trunk_name):
    scene = scene_of(varied(tiny_network(trunk=trunk_name)))
    assert scene.engine.trunk is not None
    scene.check_engine()
    assert scene.engine_note == ""


@needs_packing
def test_packed_weights_that_differ_are_given_up_with_a_sentence():
    scene = scene_of(tiny_network())
    trunk = scene.engine.trunk.trunk
    trunk._levels[0][0]._convolution._bias += 3.0
    scene.check_engine()
    assert "refused" in scene.engine_note
    assert isinstance(scene.engine, PlainTorch)
    assert "compiled loops were refused" in scene.engine_note
    plain = FoldedField(scene.network)
    scene.set_views([view()])
    image = torch.from_numpy(scene.views[0].image).permute(2, 0, 1)[None].float() / 255
    np.testing.assert_allclose(
        scene.views[0].feature_maps[0], plain.encode(image)[0][0], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("missing", ["operation", "schema", "library"])
def test_another_pytorch_is_left_alone(monkeypatch, missing):
    if missing == "library":
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    elif missing == "operation":
        monkeypatch.setattr(trunk, "_ops", SimpleNamespace())
    else:
        monkeypatch.setattr(trunk, "_KNOWN", ("mkldnn::other() -> ()",) * 3)
    assert not trunk.supported()
    scene = scene_of(tiny_network())
    assert scene.engine.trunk is None
    scene.set_views([view()])
    assert np.isfinite(scene.depth()[0]).all()


def scene_of(network: DensityNetwork) -> SceneCompleter:
    info = CheckpointInfo("test", network.spec, "0" * 64)
    return SceneCompleter(network, info, torch.device("cpu"), "float32")
