"""Fixtures of the DDS tests; the folder is skipped where ROS 2 is not installed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run `make venv`, or source a ROS setup")
pytest.importorskip("kdbts_ros.msg", reason="needs the built messages: run `make venv`")
pytest.importorskip("tf2_msgs", reason="needs tf2_msgs: run `make venv`")

from test.ros.robot import HEIGHT, WIDTH, NodeProcess, Robot, environment


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the smallest network there is; maps need not be good here."""
    import torch

    from kdbts_ros.density.checkpoints.checkpoint import save_network
    from kdbts_ros.density.network.network import DensityNetwork
    from test.density.networks import thin_spec

    torch.manual_seed(0)
    spec = thin_spec("bts", (8,), (WIDTH, HEIGHT))
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    return save_network(path, DensityNetwork(spec), {"licence": "none"})


@pytest.fixture(scope="session")
def context() -> Iterator[None]:
    """rclpy in this process, on the domain of the node's processes."""
    os.environ.update(environment())
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture(scope="module")
def robot(context: None) -> Iterator[Robot]:
    made = Robot()
    yield made
    made.close()


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., NodeProcess]]:
    """Starts nodes with parameters, and ends them with the module."""
    processes: list[NodeProcess] = []

    def run(**parameters: Any) -> NodeProcess:
        arguments = []
        for name, value in parameters.items():
            arguments += ["-p", f"{name}:={value}"]
        log = tmp_path_factory.mktemp("node") / "log.txt"
        processes.append(NodeProcess(log, arguments))
        return processes[-1]

    yield run
    for node in processes:
        node.stop(signal.SIGKILL)
