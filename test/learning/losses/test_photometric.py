"""The photometric step: right geometry explains images, wrong geometry does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from kdbts_ros.density.geometry.camera import inverse
from kdbts_ros.density.network.network import NetworkSpec
from kdbts_ros.learning.config.clip_stages import PhotometricStage
from kdbts_ros.learning.config.frames import JitterConfig
from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.frames.sampling import PATCH, draw_patches, frame_order, split_frames
from kdbts_ros.learning.losses import photometric
from kdbts_ros.learning.losses.photometric import collate_clips, photometric_step
from test.learning import plain_world

STILL = JitterConfig(
    gain=0, contrast=0, gamma=0, saturation=0, hue=0, channel_gain=0, noise=0, blur=0
)
SEED = 3


class ExactNetwork:
    """Answers with the plain world, its wall moved by `error` metres."""

    def __init__(self, T_world_first: np.ndarray, error: float) -> None:
        self._T = T_world_first
        self._wall = plain_world.wall_distance(SEED) + error

    multi_view = False
    spec = NetworkSpec()

    def vectors(
        self, features: Tensor, K_ndc: Tensor, T_cam_world: Tensor, points: Tensor
    ) -> tuple[Tensor, Tensor]:
        world = points.double().numpy() @ self._T[:3, :3].T + self._T[:3, 3]
        solid = plain_world.occupied(world.reshape(-1, 3), self._wall).reshape(points.shape[:2])
        pre_density = torch.where(torch.from_numpy(solid), 50.0, -50.0)
        return pre_density[:, None, :, None], torch.ones(1, 1, points.shape[1]) > 0

    def heads(self) -> dict[str, ExactNetwork]:
        return {"": self}

    def first_layers(self) -> Callable[[Tensor], Tensor]:
        return lambda vectors: vectors

    def fuse(self, per_view: Tensor, seen: Tensor) -> Tensor:
        return per_view[:, 0, :, 0]


def loss(error: float, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    monkeypatch.setattr(photometric, "encode_mirrored", lambda *_: torch.zeros(1, 1, 1, 1))
    clip = plain_world.PlainClips(0, 0)(SEED)
    draws = Draws(5, 0, 0, range(1))
    batch = collate_clips([clip], 60, draws.rngs)
    # Which of the two cameras was encoded follows from the relative pose of the third frame.
    right_first = batch.T_world_cam[0, 2, 0, 3] < 0
    T_world_first = clip.T_world_cam[2 if right_first else 0]
    stage = PhotometricStage(kind="photometric", steps=1, samples=128, jitter=STILL)
    network = ExactNetwork(T_world_first, error)
    values = photometric_step(network, batch, stage, draws, "float32")  # type: ignore[arg-type]
    return {name: float(value) for name, value in values.items()}


def test_true_geometry_explains_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    true = loss(0.0, monkeypatch)["photometric"]
    assert true < 0.06
    assert true < 0.5 * loss(-3.0, monkeypatch)["photometric"]
    assert true < 0.5 * loss(4.0, monkeypatch)["photometric"]


def test_the_first_frame_is_the_origin() -> None:
    clip = plain_world.PlainClips(0, 0)(0)
    batch = collate_clips([clip] * 8, 4, Draws(0, 0, 0, range(8)).rngs)
    torch.testing.assert_close(batch.T_world_cam[:, 0], torch.eye(4).expand(8, 4, 4))
    np.testing.assert_allclose(
        batch.T_cam_world[0, 3].numpy(),
        inverse(batch.T_world_cam[0, 3].double().numpy()),
        atol=1e-6,
    )
    baselines = batch.T_world_cam[:, 2, 0, 3]
    assert (baselines > 0).any() and (baselines < 0).any()


def test_frames_are_split_in_halves() -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(50):
        judged, render = split_frames(4, rng)
        assert sorted([*judged, *render]) == [0, 1, 2, 3]
        seen.add(tuple(judged))
    assert len(seen) == 6
    assert {tuple(frame_order(rng)) for _ in range(20)} == {(0, 1, 2, 3), (2, 3, 0, 1)}


def test_patches_lie_in_judged_frames() -> None:
    view, top, left = draw_patches(np.array([1, 3]), 500, 32, 64, np.random.default_rng(0))
    assert set(view) == {1, 3}
    assert top.min() == 0 and top.max() == 32 - PATCH and left.max() == 64 - PATCH
