"""Small random networks and views for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pytest
import torch

from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo
from kdbts_ros.density.engines.cpu.engine import CpuEngine
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL, Camera, View
from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec
from kdbts_ros.density.scene import SceneCompleter

WIDTHS = {"bts": (16,), "kdbts": (16,), "mvbts": (24, 8, 8), "simple_multiview": (16,)}
# Channels and answers that fill whole vectors of integers; 24 do not.
WHOLE_VECTORS = {**WIDTHS, "mvbts": (32, 16, 8)}


def thin_spec(
    head: str = "bts",
    head_widths: tuple[int, ...] = (8,),
    size: tuple[int, int] = (64, 64),
    **changes: Any,
) -> NetworkSpec:
    """The smallest network there is, for tests in which its maps need not be good.

    size is (width, height) of its input.
    """
    values = {
        "trunk": "resnet18",
        "feature_channels": 8,
        "decoder_channels": (8, 8, 8, 16, 16),
        **changes,
    }
    return NetworkSpec(
        head=head,
        head_widths=head_widths,
        image_width=size[0],
        image_height=size[1],
        **values,
    )


def tiny_network(
    head: str = "bts",
    seed: int = 0,
    widths: dict[str, tuple[int, ...]] = WIDTHS,
    trunk: str = "resnet18",
) -> DensityNetwork:
    """A network with a thin decoder and varied densities around 1 / m."""
    torch.manual_seed(seed)
    spec = thin_spec(
        head,
        widths[head],
        (128, 64),
        feature_channels=16,
        decoder_channels=(8, 8, 8, 8, 8),
        resize="area",
        trunk=trunk,
    )
    network = DensityNetwork(spec).eval()
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.mul_(3.0)
        network.decoder.output.conv.weight.mul_(4.0)
    return network


def varied(network: DensityNetwork) -> DensityNetwork:
    """The network with batch norms that have statistics and factors of their own."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2.0)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
    return network.eval()


def tiny_scene(
    head: str = "bts",
    seed: int = 0,
    widths: dict[str, tuple[int, ...]] = WIDTHS,
    trunk: str = "resnet18",
) -> SceneCompleter:
    network = tiny_network(head, seed, widths, trunk)
    info = CheckpointInfo("test", network.spec, "0" * 64)
    return SceneCompleter(network, info, torch.device("cpu"), "float32")


NUMBERS = ("integers", "floats")

Test = TypeVar("Test")


def against_torch(*kernels: str) -> Callable[[Test], Test]:
    """A test that compares what these files of engines/ compute with torch: see `test_house`."""
    return lambda test: test


def with_numbers(scene: SceneCompleter, numbers: str) -> SceneCompleter:
    """The scene asked through integers, or as on a processor that has no instructions for them."""
    assert isinstance(scene.engine, CpuEngine)
    if numbers == "floats":
        scene.engine.tables = [None] * len(scene.engine.tables)
    elif None in scene.engine.tables:
        pytest.skip("this processor has no AVX2: nothing is asked through integers")
    if scene.views:
        scene.use(scene.views)
    return scene


def camera(width: int = 128, height: int = 64) -> Camera:
    return Camera(width, height, 0.6 * width, 0.6 * width, width / 2, height / 2)


def forward_pose(x: float = 0.0, y: float = 0.0, yaw: float = 0.0, z: float = 1.6) -> np.ndarray:
    """T_world_cam of a level camera at (x, y, z) that looks along yaw."""
    c, s = np.cos(yaw), np.sin(yaw)
    T = np.eye(4)
    T[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ R_BODY_OPTICAL
    T[:3, 3] = x, y, z
    return T


def base_pose(x: float = 0.0, y: float = 0.0, yaw: float = 0.0) -> np.ndarray:
    """T_world_base on flat ground."""
    c, s = np.cos(yaw), np.sin(yaw)
    T = np.eye(4)
    T[:2, :2] = [[c, -s], [s, c]]
    T[:2, 3] = x, y
    return T


def view(seed: int = 0, **pose: float) -> View:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (8, 16, 3), np.uint8)
    image = coarse.repeat(8, 0).repeat(8, 1)
    return View(image, camera(), forward_pose(**pose))
