"""Bent colours stay colours, and mirrored cameras see mirrored points."""

from __future__ import annotations

import math

import torch

from kdbts_ros.learning.config.frames import JitterConfig
from kdbts_ros.learning.frames.augmentation import (
    LIGHTS,
    blur3,
    jitter_colours,
    mirror_intrinsics,
    patches_of_light,
    turn_hue,
)
from kdbts_ros.learning.frames.draws import Draws


def test_no_jitter_changes_nothing() -> None:
    still = JitterConfig(
        gain=0, contrast=0, gamma=0, saturation=0, hue=0, channel_gain=0, noise=0, blur=0
    )
    images = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(jitter_colours(images, still, Draws(0, 0, 0, range(2))), images)


def test_frames_of_a_clip_share_their_paint() -> None:
    frame = torch.rand(3, 1, 3, 8, 8)
    jitter = JitterConfig(noise=0)
    bent = jitter_colours(frame.expand(3, 4, 3, 8, 8), jitter, Draws(1, 0, 0, range(3)))
    assert bent.shape == (3, 4, 3, 8, 8)
    assert bent.min() >= 0 and bent.max() <= 1
    torch.testing.assert_close(bent[:, 0], bent[:, 3])
    assert (bent[:, 0] - frame[:, 0]).abs().mean() > 0.01


def test_a_third_of_a_turn_swaps_channels() -> None:
    red = torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1)
    turned = turn_hue(red, torch.tensor(2 * math.pi / 3)).flatten()
    torch.testing.assert_close(turned, torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0)
    grey = torch.full((3, 1, 1), 0.4)
    torch.testing.assert_close(turn_hue(grey, torch.tensor(1.0)), grey)


def test_blur_keeps_flat_images() -> None:
    torch.testing.assert_close(blur3(torch.full((2, 3, 5, 6), 0.3)), torch.full((2, 3, 5, 6), 0.3))


def test_patches_of_light_differ_between_images_and_spare_some() -> None:
    images = torch.full((40, 2, 3, 24, 80), 0.5)
    factors = patches_of_light(images, 0.5, Draws(3, 0, 0, range(40)))
    assert factors.shape == (40, 2, 1, 24, 80)
    assert factors.min() > 0.99 * LIGHTS[0] and factors.max() < 1.01 * LIGHTS[1]
    spared = (factors == 1).flatten(2).all(-1)
    assert 0.3 < spared.float().mean() < 0.7
    assert not torch.equal(factors[:, 0], factors[:, 1])
    # An area in another light, not an image that is brighter or darker throughout.
    spread = factors.flatten(2).std(-1)[~spared]
    assert (spread > 0.05).float().mean() > 0.6


def test_mirrored_intrinsics_project_the_mirrored_point() -> None:
    K = torch.tensor([[1.2, 0, -0.1], [0, 3.8, -0.08], [0, 0, 1]])
    point = torch.tensor([2.0, 0.5, 10.0])
    u = (K @ point)[0] / point[2]
    mirrored = mirror_intrinsics(K) @ (point * torch.tensor([-1.0, 1, 1]))
    torch.testing.assert_close(mirrored[0] / point[2], -u)
