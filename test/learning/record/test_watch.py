"""Watching a network: figures and pictures, and a network that stays as it was."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.config_file import parse_config
from kdbts_ros.learning.config.training import NetworkConfig
from kdbts_ros.learning.record.run_folder import RunFolder
from kdbts_ros.learning.record.watch import LATTICE, Watcher, held_out, held_out_place, overlap
from kdbts_ros.learning.weights.building import build_network

SMALL = {"image_width": 160, "image_height": 64, "decoder_channels": (8, 8, 8, 16, 16)}


def test_a_look_leaves_the_network_alone_and_draws(tmp_path: Path) -> None:
    config = parse_config(
        {
            "name": "seen",
            "out": str(tmp_path),
            "network": SMALL,
            "stages": [{"kind": "supervised", "steps": 1}],
            "watch": {"worlds": 1, "pictures": 1},
        }
    )
    network = build_network(NetworkConfig(**SMALL))
    before = copy.deepcopy(network.state_dict())
    network.eval()
    figures = Watcher(config, RunFolder(config)).look(network, 12)
    assert set(figures) == {"world_abs_rel", "map_iou", "cell_iou", "hidden_iou"}
    assert all(np.isfinite(value) for value in figures.values())
    assert (tmp_path / "seen/pictures/world0_0000012.png").stat().st_size > 1000
    assert all(p.requires_grad for p in network.parameters())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_held_out_world_knows_what_is_hidden() -> None:
    world = held_out(1_000_000_003, 160, 64)
    assert world.shape == LATTICE.shape and len(world.points) == np.prod(world.shape)
    assert world.occupied.any() and world.hidden.any()
    # What is occupied and in front of every surface cannot be: the surface would be there.
    assert world.hidden[world.occupied].mean() > world.hidden[~world.occupied].mean()


def test_overlap_counts() -> None:
    predicted = np.array([True, True, False, False])
    true = np.array([True, False, True, False])
    assert overlap(predicted, true) == (1, 1, 1)


def test_a_drive_that_is_not_there_is_told_before_the_first_step(tmp_path: Path) -> None:
    stages = [{"kind": "supervised", "steps": 1}]
    watch = {"kitti_root": str(tmp_path / "nowhere")}
    config = parse_config({"name": "a", "out": str(tmp_path), "stages": stages, "watch": watch})
    with pytest.raises(UserError, match="is not a folder"):
        Watcher(config, RunFolder(config))


def test_a_network_of_another_camera_is_watched_in_places() -> None:
    camera = TrainingCamera.looking(81, 0.38, 0.2, (160, 96))
    for seed in range(1_000_000_000, 1_000_000_003):
        world = held_out_place(seed, 160, 96, camera)
        assert world.view.image.shape == (96, 160, 3)
        np.testing.assert_allclose(world.view.camera.ndc, camera.camera(160, 96).ndc, atol=1e-6)
        assert world.view.T_world_cam[2, 3] == pytest.approx(camera.height, rel=0.01)
        assert (world.depth >= 0).all() and (world.depth > 0).mean() > 0.3
        assert world.occupied.any() and not world.occupied.all() and world.hidden.any()
