"""PixelNeRF and IBRNet as heads: sets of views, rays of samples, and the engine that answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kdbts_ros.density.checkpoints.checkpoint import load_network, save_network
from kdbts_ros.density.engines.plain_torch import TorchQueries
from kdbts_ros.density.geometry.camera import inverse
from kdbts_ros.density.network.baseline_heads import (
    RAY_SAMPLES,
    IbrnetHead,
    PixelNerfHead,
    fuse_along,
    points_on_rays,
    pooled,
    view_shares,
)
from kdbts_ros.density.network.network import build_head
from kdbts_ros.density.network.volume_rendering import composite, sample_distances
from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.training import TrainingConfig
from test.density.networks import forward_pose, thin_spec, tiny_network, tiny_scene, view

INPUTS, RAYS, SAMPLES = 12, 3, 5
WIDTHS = {"pixelnerf": (16, 8, 8), "ibrnet": (16, 8, 8)}
BOTH = sorted(WIDTHS)
Head = PixelNerfHead | IbrnetHead


def made(name: str) -> Head:
    torch.manual_seed(0)
    return {"pixelnerf": PixelNerfHead, "ibrnet": IbrnetHead}[name](INPUTS, *WIDTHS[name])


def density(head: Head, vectors: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return fuse_along(head, head.first_layers()(vectors), seen, SAMPLES)


def drawn(views: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(2, views, RAYS * SAMPLES, INPUTS, generator=generator)
    seen = torch.rand(2, views, RAYS * SAMPLES, generator=generator) < 0.6
    return vectors, seen


@pytest.mark.parametrize("name", BOTH)
@settings(max_examples=15, deadline=None)
@given(views=st.integers(2, 5), seed=st.integers(0, 1000))
def test_views_are_a_set_and_those_that_see_nothing_say_nothing(name, views, seed):
    head, (vectors, seen) = made(name), drawn(views, seed)
    seen[:, 0] = True
    expected = density(head, vectors, seen)
    order = torch.randperm(views, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(density(head, vectors[:, order], seen[:, order]), expected)
    changed = torch.where(seen.unsqueeze(-1), vectors, torch.full_like(vectors, 50.0))
    torch.testing.assert_close(density(head, changed, seen), expected)


@pytest.mark.parametrize("name", BOTH)
def test_where_no_view_sees_a_whole_ray_the_answer_is_finite(name):
    vectors, seen = drawn(3, 1)
    assert density(made(name), vectors, torch.zeros_like(seen)).isfinite().all()


@pytest.mark.parametrize("name", BOTH)
def test_twice_the_same_view_is_one_view(name):
    vectors, _ = drawn(1, 2)
    seen = torch.ones(2, 1, RAYS * SAMPLES, dtype=torch.bool)
    twice = density(made(name), vectors.repeat(1, 2, 1, 1), seen.repeat(1, 2, 1))
    torch.testing.assert_close(twice, density(made(name), vectors, seen))


def test_mean_and_variance_are_those_of_the_views_that_see():
    values = torch.tensor([[[[1.0]], [[3.0]], [[99.0]]]])
    mean, variance = pooled(values, view_shares(torch.tensor([[[True], [True], [False]]])))
    assert (mean.item(), variance.item()) == (2.0, 1.0)


@pytest.mark.parametrize(("name", "mixes"), [("pixelnerf", False), ("ibrnet", True)])
def test_one_sample_changes_its_ray_alone_and_only_where_rays_are_mixed(name, mixes):
    head, (vectors, _) = made(name), drawn(2, 3)
    seen = torch.ones(2, 2, RAYS * SAMPLES, dtype=torch.bool)
    other = vectors.clone()
    other[:, :, SAMPLES + 2] += 1
    moved = (density(head, vectors, seen) != density(head, other, seen)).unflatten(1, (RAYS, -1))
    assert moved[:, 1, 2].all() and not moved[:, [0, 2]].any()
    assert moved[:, 1].all() == mixes
    # A sample that nothing sees is not listened to by the others.
    seen[:, :, SAMPLES + 2] = False
    still = density(head, vectors, seen) != density(head, other, seen)
    assert not still.unflatten(1, (RAYS, -1))[:, 1, [0, 1, 3, 4]].any()


@settings(max_examples=40, deadline=None)
@given(st.floats(0.2, 200), st.floats(-1, 1), st.floats(-1, 1), st.integers(2, 30))
def test_a_point_takes_the_place_of_the_sample_whose_bin_it_lies_in(distance, x, y, samples):
    t = sample_distances(3.0, 80.0, torch.full((samples,), 0.5)).double()
    origin = torch.tensor([4.0, -2.0, 1.5]).double()
    direction = torch.tensor([x, y, 1.0]).double()
    direction /= direction.norm()
    point = origin + distance * direction
    rays, place = points_on_rays(point[None], origin, t)
    torch.testing.assert_close(rays[0, place[0]], point)
    along = (rays[0] - origin) @ direction
    assert (along.diff() > 0).all()
    torch.testing.assert_close(rays[0], origin + along[:, None] * direction)
    kept = torch.arange(samples) != place[0]
    torch.testing.assert_close(along[kept], t[kept])


@pytest.mark.parametrize("name", BOTH)
def test_the_engine_says_what_the_plain_formulation_says(name):
    scene = tiny_scene(name, widths=WIDTHS)
    assert f"do not know the head '{name}'" in scene.engine_note
    scene.check_engine()
    assert "refused" not in scene.engine_note
    scene.set_views([view(0), view(1, x=0.5, yaw=0.1)])
    assert type(scene.queries) is TorchQueries
    points = np.random.default_rng(0).uniform([4, -3, 0], [30, 3, 3], (500, 3))
    sigma, seen = scene.density(points)
    images = torch.stack([torch.from_numpy(v.image).permute(2, 0, 1) for v in scene.views])
    network = scene.network
    features = network.encode(images.float() / 255)[None]
    K = torch.from_numpy(np.stack([v.camera.ndc for v in scene.views])).float()[None]
    poses = [inverse(v.T_world_cam) for v in scene.views]
    T = torch.from_numpy(np.stack(poses)).float()[None]
    asked = features, K, T
    exact = network.density(*asked, torch.from_numpy(points).float()[None])[0][0].numpy()
    np.testing.assert_allclose(sigma[seen], exact[seen], rtol=1e-3)
    # Along the rays of a view its own samples are mixed.
    t = sample_distances(3.0, 80.0, torch.full((16,), 0.5))
    rays = view().camera.resized(8, 4).rays().reshape(-1, 3) @ forward_pose()[:3, :3].T
    on_rays = torch.from_numpy(forward_pose()[:3, 3] + rays[:, None] * t.numpy()[:, None]).float()
    along, visible = network.density_by(
        network.density_head, *asked, on_rays.reshape(1, -1, 3), samples=16
    )
    along = torch.where(visible.any(1), along, 0.0).view(-1, 16)
    expected = composite(along, t.expand_as(along), force_last=True).depth.view(4, 8)
    found = scene.queries.depths(0, t.numpy(), (4, 8), 0.0).expected
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3)


@pytest.mark.parametrize("name", BOTH)
def test_weights_come_back_from_a_file(name, tmp_path):
    network = tiny_network(name, widths=WIDTHS)
    loaded, info = load_network(save_network(tmp_path / "w.safetensors", network, {}, half=False))
    assert info.spec.head == name
    for key, value in network.head.state_dict().items():
        torch.testing.assert_close(loaded.head.state_dict()[key], value)


def test_every_weight_of_a_head_learns():
    for name in BOTH:
        head, (vectors, seen) = made(name), drawn(3, 5)
        fuse_along(head, head.first_layers()(vectors), seen, SAMPLES).square().sum().backward()
        silent = [k for k, p in head.named_parameters() if p.grad is None or not p.grad.any()]
        assert silent == []


def test_what_ibrnet_cannot_do_is_refused():
    with pytest.raises(UserError, match="ibrnet head must be a multiple of 4"):
        build_head(thin_spec("ibrnet", (8, 6, 8)))
    stages = [{"kind": "supervised", "steps": 1, "views": 2}]
    with pytest.raises(ValidationError, match="kind photometric"):
        TrainingConfig.model_validate(
            {"name": "x", "network": {"head": "ibrnet"}, "stages": stages}
        )
    assert RAY_SAMPLES > 8
