"""Networks that know depths from 0.4 m: their rays, their densities and what their maps know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kdbts_ros.density.birds_eye_map import map_around
from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo, load_network, save_network
from kdbts_ros.density.engines.plain_torch import PlainTorch, TorchQueries
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.density.maps.grid import GridWindow, HeightBand
from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec
from kdbts_ros.density.network.volume_rendering import depth_samples, sample_distances
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from test.density.networks import (
    NUMBERS,
    WHOLE_VECTORS,
    base_pose,
    camera,
    forward_pose,
    tiny_network,
    view,
    with_numbers,
)

NEAR = 0.4
HEADS = ["bts", "mvbts"]
# A low camera, and a band it sees from right before it on.
HEIGHT, BAND = 0.5, HeightBand(0.42, 0.58, 0.04)


def near_scene(head: str, spacing: str = "log") -> SceneCompleter:
    network = tiny_network(head, 0, WHOLE_VECTORS)
    spec = replace(network.spec, depth_near=NEAR, depth_spacing=spacing)
    fresh = DensityNetwork(spec).eval()
    fresh.load_state_dict(network.state_dict())
    return SceneCompleter(
        fresh, CheckpointInfo("near", spec, "0" * 64), torch.device("cpu"), "float32"
    )


def seen_from(scale: float) -> View:
    return View(view().image, camera(), forward_pose(z=HEIGHT), scale)


def plain(scene: SceneCompleter) -> SceneCompleter:
    """The same network asked by torch alone."""
    scene.engine = PlainTorch(scene.field, "float32", ())
    return scene


def test_samples_in_steps_that_grow_leave_more_for_the_distance() -> None:
    t = depth_samples((NEAR, 80.0), 1.0, 64, "log")
    assert NEAR < t[0] < 0.45 and 70 < t[-1] < 80
    assert np.allclose(t[1:] / t[:-1], 200 ** (1 / 64), rtol=1e-5)
    assert (t > 3).sum() == 40 and (depth_samples((NEAR, 80.0), 1.0, 64) > 3).sum() == 8
    half = depth_samples((NEAR, 80.0), 2.0, 64, "log")
    assert NEAR / 2 < half[0] < 0.25 and half[-1] < 80


def test_training_rays_end_at_their_own_distance() -> None:
    far = torch.tensor([80.0, 240.0])[:, None]
    t = sample_distances(NEAR, far, torch.zeros(2, 8), "log")
    assert torch.allclose(t[:, 0], torch.tensor(NEAR))
    assert torch.allclose(t[:, 1:] / t[:, :-1], (far / NEAR) ** (1 / 8))


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_columns_are_known_from_there_on_by_every_engine(
    head: str, numbers: str, scale: float
) -> None:
    window = GridWindow.around(0.0, 0.0, 6.0, 0.1)
    x, _ = window.centres()
    found = []
    for scene in (with_numbers(near_scene(head), numbers), plain(near_scene(head))):
        scene.set_views([seen_from(scale)])
        found.append(map_around(scene, base_pose(), window, BAND).probability)
    for probability in found:
        ahead = np.isfinite(probability).any(0)
        assert not ahead[x < NEAR / scale - 1e-6].any(), "nearer than ever learnt"
        assert ahead[(x > max(NEAR / scale, 0.2) + 0.1) & (x < 2.5)].all()
        assert ahead[np.argmin(np.abs(x - 0.55))]
    compiled, torch_alone = found
    assert (np.isfinite(compiled) == np.isfinite(torch_alone)).mean() > 0.995
    both = np.isfinite(compiled) & np.isfinite(torch_alone)
    assert torch_alone[both].std() > 0.02
    assert np.abs(compiled - torch_alone)[both].max() < 0.05


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_depth_of_near_things_is_that_of_the_torch_formulation(head: str, scale: float) -> None:
    scene = near_scene(head)
    scene.set_views([seen_from(scale)])
    depth = scene.depth_map(stride=4)
    maps = [v.feature_maps[0] for v in scene.views]
    expected = TorchQueries(scene.field.heads[0], scene.views, maps).depths(
        0, scene.depth_samples(scale), depth.depth.shape, 0.0
    )
    np.testing.assert_allclose(depth.depth, expected.expected, rtol=5e-3)
    assert depth.depth.min() < 3.0 / scale, "something nearer than 3 m"


@pytest.mark.parametrize("head", HEADS)
def test_densities_nearer_than_the_tables_reach_are_computed(head: str) -> None:
    """The look-up table of the code ends at half of depth_near; rays of low cameras begin there."""
    scene, alone = near_scene(head), plain(near_scene(head))
    points = np.stack([np.linspace(0.1, 3.0, 80), np.zeros(80), np.full(80, HEIGHT)], -1)
    found = []
    for asked in (scene, alone):
        asked.set_views([seen_from(1.0)])
        found.append(asked.density(points)[0])
    np.testing.assert_allclose(*found, rtol=2e-2, atol=1e-3)


def test_a_file_of_weights_keeps_how_its_rays_are_sampled(tmp_path: Path) -> None:
    file = save_network(tmp_path / "near.safetensors", near_scene("bts").network, {})
    spec = load_network(file)[0].spec
    assert (spec.depth_near, spec.depth_spacing) == (NEAR, "log")
    usual = save_network(tmp_path / "usual.safetensors", near_scene("bts", "inverse").network, {})
    assert b"depth_spacing" not in usual.read_bytes(), "earlier versions read it"
    assert load_network(usual)[0].spec.depth_spacing == "inverse"


def test_an_unknown_spacing_is_refused() -> None:
    with pytest.raises(UserError, match="unknown depth_spacing 'cubic', use inverse or log"):
        NetworkSpec(depth_spacing="cubic")
