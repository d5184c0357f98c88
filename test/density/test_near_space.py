"""Networks that know depths from 0.4 m: their rays, their densities and what their maps know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from kdbts_ros.density.birds_eye_map import map_around, map_together
from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo, load_network, save_network
from kdbts_ros.density.engines.folding import DEPTH_CODES, depth_mapping, table_ends
from kdbts_ros.density.engines.plain_torch import PlainTorch, TorchQueries
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.density.maps.grid import GridWindow, HeightBand, band_columns
from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec
from kdbts_ros.density.network.positional_encoding import map_depth
from kdbts_ros.density.network.volume_rendering import depth_samples, sample_distances
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from test.density import fake_gpu
from test.density.gpu_reference import interpreted
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
HEADS, SPACINGS = ["bts", "mvbts"], ["inverse", "log"]
# A low camera, and a band it sees from right before it on.
HEIGHT, BAND = 0.5, HeightBand(0.42, 0.58, 0.04)


def near_scene(
    head: str, spacing: str = "log", far: float = 80.0, near: float = NEAR
) -> SceneCompleter:
    # The first of these networks sees next to nothing, of which all would be equal.
    network = tiny_network(head, 1, WHOLE_VECTORS)
    spec = replace(network.spec, depth_near=near, depth_far=far, depth_spacing=spacing)
    fresh = DensityNetwork(spec).eval()
    fresh.load_state_dict(network.state_dict())
    return SceneCompleter(
        fresh, CheckpointInfo("near", spec, "0" * 64), torch.device("cpu"), "float32"
    )


def seen_from(scale: float, pitch: float = 0.0) -> View:
    pose = forward_pose(z=HEIGHT)
    pose[:3, :3] @= Rotation.from_euler("x", pitch).as_matrix()
    return View(view().image, camera(), pose, scale)


def assert_alike_ahead(scene: SceneCompleter, alone: SceneCompleter, ahead: np.ndarray) -> None:
    """Both tell the same densities so many metres straight ahead of the camera."""
    points = np.stack([ahead, np.zeros_like(ahead), np.full_like(ahead, HEIGHT)], -1)
    found = []
    for asked in (scene, alone):
        asked.set_views([seen_from(1.0)])
        found.append(asked.density(points)[0])
    np.testing.assert_allclose(*found, rtol=2e-2, atol=1e-3)


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


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("near", [0.4, 1.0, 3.0, 5.0])
def test_depths_are_mapped_as_if_all_stood_farther_off_where_steps_grow(
    spacing: str, near: float
) -> None:
    spec = NetworkSpec(depth_near=near, depth_spacing=spacing)
    z = torch.logspace(-1, 3, 200, dtype=torch.float64)
    mapped = map_depth(z, *spec.code_depths)
    ends = map_depth(torch.tensor([near, 80.0], dtype=torch.float64), *spec.code_depths)
    torch.testing.assert_close(ends, torch.tensor([1.0, -1.0], dtype=torch.float64))
    if spacing == "inverse" or near >= 3.0:
        assert torch.equal(mapped, map_depth(z, *spec.depths))
    else:
        shifted = map_depth(z + 3.0 - near, 3.0, 83.0 - near)
        torch.testing.assert_close(mapped, shifted)
    slope, shift, offset = depth_mapping(spec)
    torch.testing.assert_close(slope / (z + offset) + shift, mapped)


def test_the_table_reaches_from_infinity_to_where_the_code_ends() -> None:
    for spec in (
        NetworkSpec(depth_near=NEAR, depth_spacing="log"),
        NetworkSpec(depth_near=NEAR, depth_spacing="log", depth_far=8.0),
        NetworkSpec(depth_near=2.9, depth_spacing="log", depth_far=80.0),
    ):
        slope, shift, offset = depth_mapping(spec)
        low, high = table_ends(slope, shift, offset)
        assert low <= shift and high >= min(3.0, slope / offset + shift)
        assert (4 * low) % 1 == (4 * high) % 1 == 0, "the integers' table has every fourth row"
    usual = NetworkSpec()
    assert table_ends(*depth_mapping(usual)) == DEPTH_CODES, "as it has always been"
    short = NetworkSpec(depth_near=3.0, depth_far=3.0001)
    assert table_ends(*depth_mapping(short))[0] == -8.0, "no more memory than that"


# Before a pitched camera columns do not stand upright, for which there are loops of their own.
@pytest.mark.parametrize("pitch", [0.0, 0.05])
@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_columns_are_known_from_there_on_by_every_engine(
    head: str, numbers: str, scale: float, pitch: float
) -> None:
    window = GridWindow.around(0.0, 0.0, 6.0, 0.1)
    x, _ = window.centres()
    found = []
    for scene in (with_numbers(near_scene(head), numbers), plain(near_scene(head))):
        scene.set_views([seen_from(scale, pitch)])
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


@interpreted
@pytest.mark.parametrize("head", HEADS)
def test_the_gpus_columns_are_those_of_torch(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from kdbts_ros.density.engines.cuda.multi_view import CudaFusedQueries, CudaFusion
    from kdbts_ros.density.engines.cuda.single_view import CudaHead, CudaQueries

    fake_gpu.let_loops_run(monkeypatch)
    scene = with_numbers(near_scene(head), "floats")
    scene.set_views([seen_from(2.0, 0.05)])
    folded, maps = scene.field.heads[0], [scene.views[0].feature_maps[0]]
    asked = (
        CudaQueries(CudaHead(folded), scene.views, maps)
        if head == "bts"
        else CudaFusedQueries(CudaFusion(folded), scene.views, maps)
    )
    grid, _ = band_columns(base_pose(), GridWindow.around(2.0, 0.0, 4, 0.5), BAND)
    said = TorchQueries(folded, scene.views, maps).grid_densities(grid)
    assert np.nanstd(said) > 0.02
    np.testing.assert_allclose(asked.grid_densities(grid), said, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_depth_of_near_things_is_that_of_the_torch_formulation(head: str, scale: float) -> None:
    scene = near_scene(head)
    scene.set_views([seen_from(scale)])
    maps = [v.feature_maps[0] for v in scene.views]
    asked = (0, scene.depth_samples(scale), scene.depth_map(stride=4).depth.shape, 0.0)
    found = scene.queries.depths(*asked)
    expected = TorchQueries(scene.field.heads[0], scene.views, maps).depths(*asked)
    np.testing.assert_allclose(found.expected, expected.expected, rtol=5e-3)
    assert found.expected.min() < 3.0 / scale, "something nearer than 3 m"


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("head", HEADS)
def test_densities_nearer_than_the_tables_reach_are_computed(head: str, spacing: str) -> None:
    """The table of inverse depth ends at half of depth_near; rays of low cameras begin there."""
    scene, alone = near_scene(head, spacing), plain(near_scene(head, spacing))
    ahead = np.concatenate([np.linspace(0.1, 3.0, 80), np.geomspace(3.0, 1e4, 20)])
    assert_alike_ahead(scene, alone, ahead)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_what_lies_beyond_a_short_range_of_depth_is_in_the_table(spacing: str) -> None:
    """Beyond 8 m there is a large part of the code of a network that ends there."""
    far = {"inverse": 1.5, "log": 8.0}[spacing]
    scene, alone = near_scene("bts", spacing, far), plain(near_scene("bts", spacing, far))
    ahead = np.geomspace(1.0, 1e4, 50)
    assert_alike_ahead(scene, alone, ahead)


@pytest.mark.parametrize("head", HEADS)
def test_cells_behind_a_camera_by_the_codes_offset_break_nothing(head: str) -> None:
    """Cells of a snapped grid lie at exactly that depth, where the code would divide by nothing."""
    scene = near_scene(head, near=0.5)
    assert scene.spec.code_depths[2] == 2.5
    here = seen_from(1.0)
    scene.set_views([here, here] if head == "mvbts" else [here])
    found = map_together(scene, base_pose(), GridWindow.around(0.0, 0.0, 12.0, 1.0), BAND)
    assert np.isfinite(found.probability).any()
    points = np.array([[-2.5, 0.0, HEIGHT], [2.5, 0.0, HEIGHT]])
    told = scene.queries.point_densities(points)
    assert np.isnan(told[0]) and np.isfinite(told[1])


@pytest.mark.parametrize("spacing", SPACINGS)
def test_where_near_things_are_known_depth_is_the_median(spacing: str) -> None:
    scene = near_scene("bts", spacing)
    scene.set_views([seen_from(1.0)])
    told = scene.depth_map()
    size = told.depth.shape
    found = scene.queries.depths(0, scene.depth_samples(1.0), size, stop=0.0)
    assert np.abs(found.surface - found.expected).max() > 0.1
    np.testing.assert_array_equal(told.depth, found.surface if spacing == "log" else found.expected)


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
