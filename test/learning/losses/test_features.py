"""Features that are held to those of before, and disturbed features."""

from __future__ import annotations

import pytest
import torch

from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec
from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.losses.encoding import encode_views, feature_distance, taught_features
from kdbts_ros.learning.losses.feature_styles import disturbance, mix_style, noisy_detail
from test.density.networks import thin_spec

PLACES, VIEWS = 6, 2


def draws(seed: int = 3) -> Draws:
    return Draws(seed, 0, 0, range(PLACES))


def features(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    spread = torch.rand(PLACES, 1, 4, 1, 1, generator=generator) + 0.2
    mean = torch.randn(PLACES, 1, 4, 1, 1, generator=generator)
    return mean + spread * torch.randn(PLACES, VIEWS, 4, 12, 16, generator=generator)


@pytest.fixture(scope="module")
def network() -> DensityNetwork:
    torch.manual_seed(0)
    spec: NetworkSpec = thin_spec("bts", (16,), (64, 64), trunk="efficientnet_lite0")
    return DensityNetwork(spec).eval()


def test_disturbed_levels_are_the_first_two_and_what_follows_sees_them(
    network: DensityNetwork,
) -> None:
    images = torch.rand(1, 2, 3, 64, 64)
    asked = []

    def watched(level: int, x: torch.Tensor) -> torch.Tensor:
        asked.append((level, x.shape))
        return x * 2 if level == 1 else x

    plain, same = (encode_views(network, images, "float32", d) for d in (None, lambda _, x: x))
    torch.testing.assert_close(same.features, plain.features, rtol=0, atol=0)
    changed = encode_views(network, images, "float32", watched)
    assert [level for level, _ in asked] == [0, 1, 2, 3, 4]
    assert [int(shape[-1]) for _, shape in asked] == [32, 16, 8, 4, 2]
    equal = [torch.equal(a, b) for a, b in zip(changed.taps, plain.taps, strict=True)]
    assert equal == [True, False, False, False, False]


def test_the_distance_is_that_of_deep_features_and_pulls_them_back(network: DensityNetwork) -> None:
    images = torch.rand(2, 3, 64, 64)
    taps = network.encoder(images)
    assert feature_distance(taps, network.encoder, images) == 0
    shallow = [taps[0] + 1, taps[1] * 2, -taps[2], *taps[3:]]
    assert feature_distance(shallow, network.encoder, images) == 0
    doubled = [*taps[:3], 2 * taps[3], taps[4]]
    # One of two levels is off by its own size.
    assert feature_distance(doubled, network.encoder, images).item() == pytest.approx(0.5)
    away = (1.5 * taps[4].detach()).requires_grad_()
    feature_distance([*taps[:4], away], network.encoder, images).backward()
    assert ((away.grad * taps[4]).flatten(1).sum(1) > 0).all()


def test_nothing_asked_for_is_no_disturbance() -> None:
    assert disturbance(2, 0.0, 0.0, draws()) is None
    disturbed = disturbance(VIEWS, 0.5, 0.5, draws())
    assert disturbed is not None
    flat = features().flatten(0, 1)
    assert disturbed(2, flat) is flat
    assert disturbed(0, flat).shape == flat.shape and not torch.equal(disturbed(1, flat), flat)


def test_noise_is_on_detail_alone_and_in_proportion_to_it() -> None:
    slope = torch.linspace(0, 1, 16).expand(PLACES, VIEWS, 4, 12, 16)
    inner = (noisy_detail(slope, 1.0, draws()) - slope)[..., 3:-3]
    assert inner.abs().max() < 1e-5
    x = features()
    change = [noisy_detail(x * size, 0.5, draws()) - x * size for size in (1.0, 2.0)]
    torch.testing.assert_close(change[1], 2 * change[0])
    assert 0.01 < float(change[0].std() / x.std()) < 0.5


def test_styles_lie_between_two_scenes_and_shapes_stay() -> None:
    x = features()
    mixed = mix_style(x, 1.0, draws())
    own, new = (t.flatten(-2).mean(-1) for t in (x, mixed))
    least, most = own.amin(0, keepdim=True), own.amax(0, keepdim=True)
    assert ((new >= least - 1e-5) & (new <= most + 1e-5)).all()
    assert not torch.allclose(new, own, atol=1e-3)

    def shape(t: torch.Tensor) -> torch.Tensor:
        return (t - t.mean((-2, -1), keepdim=True)) / t.std((-2, -1), keepdim=True)

    torch.testing.assert_close(shape(mixed), shape(x), rtol=1e-3, atol=1e-3)


def test_scenes_are_spared_but_by_chance_and_draws_repeat() -> None:
    x = features()
    assert torch.allclose(mix_style(x, 0.0, draws()), x, atol=1e-5)
    first, again = (mix_style(x, 0.5, draws(7)) for _ in range(2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, mix_style(x, 0.5, draws(8)))


def test_a_teachers_features_are_the_goal_and_channels_count_alike(network: DensityNetwork) -> None:
    images, known = torch.rand(2, 2, 3, 64, 64), torch.tensor([True, True])
    with torch.no_grad():
        wanted = network.encode(images.flatten(0, 1)).reshape(2, 2, -1, 64, 64)
    assert taught_features(wanted, network, images, known) < 1e-9
    spread = wanted.var((0, 1, 3, 4), keepdim=True)
    # A standard deviation off in every channel, whatever that is in each.
    off = taught_features(wanted + spread.sqrt(), network, images, known)
    torch.testing.assert_close(off, torch.tensor(1.0), rtol=1e-3, atol=0)
    learner = wanted.clone().requires_grad_()
    network.zero_grad()
    taught_features(learner * 1.1, network, images, known).backward()
    assert learner.grad is not None and learner.grad.abs().sum() > 0
    assert all(p.grad is None for p in network.parameters())


def test_a_teacher_is_not_asked_about_what_it_has_not_been_taught(network: DensityNetwork) -> None:
    images, known = torch.rand(3, 1, 3, 64, 64), torch.tensor([True, False, True])
    features = torch.rand(3, 1, 8, 64, 64, requires_grad=True)
    apart = taught_features(features, network, images, known)
    alone = taught_features(features[known], network, images[known], torch.tensor([True, True]))
    torch.testing.assert_close(apart, alone)
    apart.backward()
    assert features.grad is not None and not features.grad[1].any() and features.grad[0].any()
    assert taught_features(features, network, images, torch.zeros(3, dtype=torch.bool)) == 0
