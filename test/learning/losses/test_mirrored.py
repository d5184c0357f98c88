"""What a network says of the mirrored image, at the same points."""

from __future__ import annotations

import torch

from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.learning.config.stages import SupervisedStage
from kdbts_ros.learning.frames.augmentation import mirror_intrinsics, mirror_points, mirror_poses
from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.losses.supervised import (
    SupervisedBatch,
    _mirrored_vectors,
    collate,
    supervised_step,
)
from test.density.networks import thin_spec
from test.learning import plain_world


def batch(stage: SupervisedStage) -> tuple[SupervisedBatch, Draws]:
    draws = Draws(0, 0, 0, range(2))
    source = plain_world.PlainWorlds(plain_world.WIDTH_PX, plain_world.HEIGHT_PX, 80, 10, 1)
    return collate([source(1), source(2)], stage, draws.rngs), draws


def stage_of(**changes: float) -> SupervisedStage:
    settings = {"points": 20, "rays": 10, "columns": 4, "samples": 8, "views": 2, **changes}
    return SupervisedStage(kind="supervised", steps=1, **settings)


def network() -> DensityNetwork:
    torch.manual_seed(2)
    size = plain_world.WIDTH_PX, plain_world.HEIGHT_PX
    return DensityNetwork(thin_spec("mvbts", (16, 8, 8), size, student_widths=(16,))).eval()


def test_a_mirrored_world_is_read_where_the_world_is() -> None:
    net, (given, _) = network(), batch(stage_of())
    found = _mirrored_vectors(net, given.images, given, given.points, "float32")
    features = net.encode(given.images.flatten(0, 1).flip(-1)).unflatten(0, (2, 2))
    expected, seen = net.vectors(
        features,
        mirror_intrinsics(given.K_ndc),
        mirror_poses(given.T_cam_ref),
        mirror_points(given.points),
    )
    torch.testing.assert_close(found, expected)
    _, seen_before = net.vectors(features, given.K_ndc, given.T_cam_ref, given.points)
    assert (seen == seen_before).float().mean() > 0.99
    assert not found.requires_grad


def test_heads_learn_the_mean_of_both_and_nothing_unless_asked() -> None:
    net = network()
    terms = {}
    for weight in (0.0, 2.0):
        stage = stage_of(mirrored=weight)
        given, draws = batch(stage)
        terms[weight] = supervised_step(net, given, stage, draws, "float32")
    extra = terms[2.0].keys() - terms[0.0].keys()
    assert extra == {"mirrored", "student_mirrored"}
    assert all(terms[2.0][name] > 0 for name in extra)
    difference = terms[2.0]["loss"] - terms[0.0]["loss"]
    torch.testing.assert_close(difference, 2 * sum(terms[2.0][name] for name in extra))
