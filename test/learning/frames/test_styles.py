"""Looks that no world has: shapes stay, what is spared stays, and scenes keep one look."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.clip_stages import ClipStage
from kdbts_ros.learning.config.config_file import parse_config
from kdbts_ros.learning.config.frames import JitterConfig
from kdbts_ros.learning.frames.augmentation import (
    BRIGHT,
    bloom,
    colour_filter,
    grain,
    jpeg,
    vignette,
)
from kdbts_ros.learning.frames.draws import Draws

PLACES = 40


def draws() -> Draws:
    return Draws(5, 0, 0, range(PLACES))


def scenes() -> torch.Tensor:
    rows = torch.linspace(0.1, 0.9, 24).reshape(24, 1)
    scene = torch.stack([rows.expand(24, 80), 1 - rows.expand(24, 80), torch.rand(24, 80)])
    return scene.expand(PLACES, 2, 3, 24, 80).clone()


def test_a_filter_keeps_the_mean_and_spread_of_every_colour_and_spares_some() -> None:
    images = scenes()
    filtered = colour_filter(images, 0.5, draws())
    spared = (filtered == images).flatten(1).all(-1)
    assert 0.3 < spared.float().mean() < 0.7
    axes = (1, 3, 4)
    torch.testing.assert_close(filtered.mean(axes), images.mean(axes), atol=1e-4, rtol=0)
    assert (filtered.std(axes) <= images.std(axes) * 1.001).all()
    # Some scenes take but a little of what their filter makes of them.
    assert ((filtered - images).abs().flatten(1).mean(-1)[~spared] > 0.01).float().mean() > 0.8


def test_a_filter_is_of_a_scene_not_of_a_view() -> None:
    images = scenes()
    filtered = colour_filter(images, 1.0, draws())
    torch.testing.assert_close(filtered[:, 0], filtered[:, 1])
    assert not torch.allclose(filtered[0], filtered[1], atol=1e-3)


def test_a_filter_knows_only_neighbours() -> None:
    images = torch.full((PLACES, 1, 3, 9, 9), 0.5)
    images[..., 4, 4] = 1.0
    filtered = colour_filter(images, 1.0, draws())
    corner = filtered[..., :2, :2]
    torch.testing.assert_close(corner, corner[..., :1, :1].expand_as(corner))


def test_grain_differs_between_images_and_is_bounded_by_its_strength() -> None:
    factors = grain(torch.full((PLACES, 2, 3, 24, 80), 0.5), 0.2, draws())
    assert factors.shape == (PLACES, 2, 1, 24, 80)
    deviation = factors.log().flatten(2).std(-1)
    assert 0.3 < (deviation < 1e-6).float().mean() < 0.7
    assert 0.02 < deviation.max() < 0.4
    assert not torch.equal(factors[:, 0], factors[:, 1])


def test_only_what_is_bright_blooms() -> None:
    dark = torch.full((PLACES, 1, 3, 16, 40), 0.9 * BRIGHT)
    torch.testing.assert_close(bloom(dark, 1.0, draws()), dark)
    dark[..., :8, :] = 1.0
    lit = bloom(dark, 1.0, draws())
    assert (lit >= dark).all()
    beside, away = (lit - dark)[..., 8, 20], (lit - dark)[..., 15, 20]
    assert (beside >= away).all() and (beside > 0.01).float().mean() > 0.5
    torch.testing.assert_close(bloom(dark, 0.0, draws()), dark)


@pytest.mark.parametrize("look", ["shade", "grain", "bloom"])
def test_photometric_learning_refuses_looks_that_differ_between_views(look: str) -> None:
    stage = {"kind": "photometric", "steps": 1, "jitter": {look: 0.1}}
    with pytest.raises(UserError, match="would be taken for geometry"):
        parse_config({"name": "t", "stages": [stage]})


def test_a_filter_of_the_whole_scene_is_no_obstacle_to_photometric_learning() -> None:
    stage = {"kind": "photometric", "steps": 1, "jitter": {"filter": 0.1}}
    config = parse_config({"name": "t", "stages": [stage]})
    assert isinstance(config.stages[0], ClipStage)


def test_looks_are_off_unless_asked_for() -> None:
    assert not JitterConfig().paints and JitterConfig().filter == 0
    with pytest.raises(ValidationError):
        JitterConfig(filter=1.5)


def test_corners_lack_light_as_through_one_lens() -> None:
    factors = vignette(scenes(), 0.4, draws())
    assert factors.shape == (PLACES, 1, 1, 24, 80)
    # Between the four middle pixels light is whole.
    assert factors[..., 12, 40].min() > 0.999
    corners = factors[..., 0, 0]
    assert corners.min() >= 0.6 and corners.max() <= 1.0 and corners.std() > 0.05
    assert (factors[..., 12, 0] < factors[..., 0, 40]).all(), "sides are farther from the middle"


def test_stored_images_lose_detail_and_some_are_spared() -> None:
    images = scenes()
    stored = jpeg(images, 0.5, draws())
    change = (stored - images).abs().flatten(2).amax(-1)
    spared = (change == 0).float().mean()
    assert 0.3 < spared < 0.7
    # Blocks keep their mean, and what is smooth keeps its values.
    assert (stored - images)[:, :, 0].mean().abs() < 0.01
    assert (stored - images)[:, :, 0].abs().mean() < (stored - images)[:, :, 2].abs().mean()
    # One scene, two cameras, two cards.
    assert not torch.equal(change[:, 0] > 0, change[:, 1] > 0)
