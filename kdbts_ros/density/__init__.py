"""The method: from posed images to density, occupancy, depth and novel views. No ROS here."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kdbts_ros.density.geometry.camera import Camera as Camera
    from kdbts_ros.density.geometry.camera import View as View
    from kdbts_ros.density.geometry.lattice import Lattice as Lattice
    from kdbts_ros.density.scene import SceneCompleter as SceneCompleter

# Read by OpenMP when torch is loaded. Threads that spin while they wait for each other hold the
# very cores that the others need: on a busy machine a frame took five times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOMES = {
    "Camera": "geometry.camera",
    "View": "geometry.camera",
    "Lattice": "geometry.lattice",
    "SceneCompleter": "scene",
}

__all__ = ["Camera", "Lattice", "SceneCompleter", "View"]


def __getattr__(name: str) -> object:
    # Resolved on first use: whoever only needs a Camera must not wait seconds for torch.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
