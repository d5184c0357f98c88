"""Recordings of a small room and a small network, for adaptation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from kdbts_ros.datasets.bags.writer import write_bag
from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.datasets.sample import PosedFrame
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.checkpoints.checkpoint import save_network
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL, Array, View
from kdbts_ros.density.network.network import DensityNetwork
from test.datasets.box_room import CAMERA, room_view
from test.density.networks import thin_spec

FRAMES = 24
SIZE = (96, 64)

Change = Callable[[int, Array], Array]


def place(x: float) -> Array:
    """(4,4) base x metres along the room, swaying a little."""
    return rigid(np.eye(3), (x, 0.3 * np.sin(x), 0.0))


def record(
    path: Path,
    step: float = 0.3,
    frames: int = FRAMES,
    pose: Change = lambda i, T: T,
    picture: Change = lambda i, image: image,
    cameras: int = 1,
) -> Path:
    """Drive through the room; `pose` and `picture` spoil what is recorded of it."""
    T_base_cam = [rigid(R_BODY_OPTICAL, (0.2, 0.2 - 0.4 * k, 1.2)) for k in range(cameras)]
    drawn = []
    for i in range(frames):
        true = place(step * i)
        told = pose(i, true)
        views = {}
        for name, T in zip(("left", "right"), T_base_cam, strict=False):
            image = picture(i, room_view(true @ T).image)
            views[name] = View(image, CAMERA, told @ T)
        drawn.append(PosedFrame(10**9 + i * 2 * 10**8, views, told))
    write_bag(drawn, path)
    return path


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a small network that was "trained" with the camera of the room."""
    torch.manual_seed(0)
    spec = thin_spec("bts", (16,), SIZE, resize="area")
    network = DensityNetwork(spec)
    torch.nn.init.constant_(network.density_head.output_bias(), -2.5)
    camera = CAMERA.ndc
    training = TrainingCamera(
        float(camera[0, 0]),
        float(camera[1, 1]),
        float(camera[0, 2]),
        float(camera[1, 2]),
        height=1.2,
    )
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    return save_network(path, network, {"camera": training.note()})


@pytest.fixture(scope="session")
def room_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good recording of one camera."""
    return record(tmp_path_factory.mktemp("bags") / "room")
