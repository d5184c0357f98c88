"""A recorded drive by the name of its dataset, as commands and configurations give it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kdbts_ros.datasets.kitti.drive import KittiDrive
from kdbts_ros.datasets.kitti.kitti_360 import Kitti360Sequence
from kdbts_ros.datasets.kitti.odometry import KittiOdometrySequence
from kdbts_ros.datasets.kitti.raw import KittiRawDrive
from kdbts_ros.errors import UserError


@dataclass(frozen=True)
class OrbslamPoses:
    """ORB-SLAM's results: a folder of `<drive>_sync.txt`, and a factor on their translations."""

    folder: Path
    scale: float = 1.0


LAYOUTS = ("kitti-raw", "kitti-odometry", "kitti-360")


def open_drive(
    layout: str,
    root: Path,
    drive: str | None = None,
    sequence: str | None = None,
    frames: range | None = None,
    cameras: Sequence[str] | None = None,
    orbslam: OrbslamPoses | None = None,
) -> KittiDrive:
    """The drive of kitti-raw, or the sequence of kitti-odometry or kitti-360.

    orbslam: poses of a raw drive instead of those of its inertial unit.

    Raises:
        UserError: a name that belongs to another layout, or anything the reader misses.
    """
    if orbslam is not None and layout != "kitti-raw":
        raise UserError(f"--orbslam gives poses to kitti-raw; {layout} has its own")
    if layout == "kitti-raw":
        if sequence is not None:
            raise UserError("--sequence belongs to kitti-odometry; name a raw drive with --drive")
        if orbslam is None:
            return KittiRawDrive(root, drive, frames, cameras=cameras)
        return KittiRawDrive(
            root,
            drive,
            frames,
            cameras=cameras,
            poses="orbslam",
            orbslam_folder=orbslam.folder,
            orbslam_scale=orbslam.scale,
        )
    if layout == "kitti-360":
        return Kitti360Sequence(root, sequence or drive, frames, cameras=cameras)
    if layout != "kitti-odometry":
        raise UserError(f"unknown dataset {layout!r}; use one of {', '.join(LAYOUTS)}")
    if drive is not None:
        raise UserError("--drive belongs to kitti-raw; name a sequence with --sequence")
    if sequence is None:
        raise UserError("kitti-odometry needs --sequence, for example --sequence 04")
    return KittiOdometrySequence(root, sequence, frames, cameras=cameras)
