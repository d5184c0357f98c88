"""Frames with a truth to hold a network against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.kitti_odometry import KittiOdometrySequence
from kdbts_ros.datasets.kitti_raw import KittiRawDrive
from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.camera import Array, View
from kdbts_ros.errors import UserError

# Far from the seeds training draws from, and from those a training run watches.
HELD_OUT_SEED = 2_000_000_000


@dataclass(frozen=True, eq=False)
class Sample:
    """One view with its truth.

    name: for reports. T_world_base: (4,4). depth: (H,W) z-depth in m, 0 or infinity where unknown.
    world: the exact world of a synthetic sample, None for recorded data.
    """

    name: str
    view: View
    T_world_base: Array
    depth: npt.NDArray[np.float32]
    world: StreetWorld | None = None


def synthetic_samples(worlds: int, seed: int = HELD_OUT_SEED) -> Iterator[Sample]:
    """One frame of each of `worlds` held-out streets, seeds from `seed` upwards."""
    for index in range(worlds):
        drive = StreetDrive(seed + index, frames=1)
        drawn = drive.rendered(0, "left")
        camera, T_base_cam = drive.rig["left"]
        T_world_base = drive.T_world_base(0)
        view = View(drawn.image, camera, T_world_base @ T_base_cam)
        depth = np.where(np.isfinite(drawn.depth), drawn.depth, 0).astype(np.float32)
        yield Sample(f"world {seed + index}", view, T_world_base, depth, drive.world)


def kitti_samples(drive: KittiRawDrive | KittiOdometrySequence) -> Iterator[Sample]:
    """The left view of every frame that has a LiDAR scan."""
    found = False
    for index in drive.frames:
        if drive.lidar(index) is None:
            continue
        found = True
        frame = drive.frame(index)
        depth = drive.lidar_depth(index)
        yield Sample(f"frame {index}", frame.views["left"], frame.T_world_base, depth)
    if not found:
        raise UserError(f"{drive.name} has no LiDAR scan in these frames; nothing to compare with")


def open_kitti(
    dataset: str, root: Path | None, drive: str | None, sequence: str | None, frames: range | None
) -> KittiRawDrive | KittiOdometrySequence:
    """A KITTI drive by the name of its layout."""
    if root is None:
        raise UserError(f"--dataset {dataset} needs --root DIR, the folder of the dataset")
    if dataset == "kitti-raw":
        return KittiRawDrive(root, drive, frames)
    if sequence is None:
        raise UserError("--dataset kitti-odometry needs --sequence, for example 04")
    return KittiOdometrySequence(root, sequence, frames)
