"""Drives of the KITTI raw dataset, `2011_09_26/2011_09_26_drive_0009_sync` and the like.

Geiger, Lenz, Stiller and Urtasun, "Vision meets Robotics: The KITTI Dataset" (IJRR 2013).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

from kdbts_ros.datasets.kitti.drive import (
    DriveFiles,
    KittiDrive,
    Rig,
    choose_cameras,
    complete_frames,
    first_image_size,
    relative_to_first,
)
from kdbts_ros.datasets.kitti.files import (
    check_pose,
    entry,
    image_indices,
    naming,
    read_calibration,
    read_table,
    read_text,
    rigid,
    rotation,
    split_projection,
    summary,
)
from kdbts_ros.density.geometry.camera import Array, Camera, inverse
from kdbts_ros.errors import UserError

Poses = Literal["oxts", "orbslam"]

# Height of the inertial unit above the ground in the paper's sensor sketch (figure 3), m.
IMU_HEIGHT = 0.93
_EARTH_RADIUS = 6378137.0
_OXTS_COLUMNS = 30
_COLOUR_CAMERAS = {"left": "02", "right": "03"}
_STAMP = re.compile(r"(19[7-9]\d|20\d\d|21\d\d)-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,9})?", re.ASCII)
_DRIVE = re.compile(r"(?:(\d{4}_\d{2}_\d{2})_drive_)?(\d{1,4})(?:_sync)?")


class KittiRawDrive(KittiDrive):
    """One synchronised and rectified drive.

    Base is the ground point `IMU_HEIGHT` below the inertial unit, with its axes (x forward, y left,
    z up). Poses come from the oxts records by the Mercator projection of the development kit, or
    from ORB-SLAM results: lines of row-major 3x4 matrices, rectified camera 0 to world, a line per
    frame. Times are KITTI's local clock read as UTC.
    """

    def __init__(
        self,
        root: Path | str,
        drive: str | None = None,
        frames: range | None = None,
        *,
        cameras: Sequence[str] | None = None,
        poses: Poses = "oxts",
        orbslam_folder: Path | str | None = None,
        orbslam_scale: float = 1.0,
    ) -> None:
        """Find the drive's files; read calibration, stamps and poses.

        Args:
            root: folder of the dates (`2011_09_26`, ...), one such date folder, or the drive.
            drive: "0009", "2011_09_26_drive_0009" or with "_sync"; None where root has one only.
            frames: indices wanted; those the drive lacks are left out.
            cameras: "left", "right" or both; None for those there are.
            poses: "oxts", or "orbslam" with `orbslam_folder`.
            orbslam_folder: holds `<date>/<drive>_sync.txt` or `<drive>_sync.txt`.
            orbslam_scale: factor on ORB-SLAM's translations; the scale of its stereo baseline is
                often a few per cent off.

        Raises:
            UserError: anything missing or unreadable, with its path and the cure.
        """
        folder = find_drive(Path(root), drive)
        images = choose_cameras(_images(folder), cameras, folder.name)
        rig = _read_rig(folder.parent, images)
        stamps_file = folder / "image_02" / "timestamps.txt"
        stamps = read_stamps(stamps_file)
        wanted = [i for i in sorted(next(iter(images.values()))) if frames is None or i in frames]
        if poses == "oxts":
            T_any_base = _oxts_poses(folder, wanted)
        elif poses == "orbslam":
            file = _orbslam_file(folder, orbslam_folder)
            T_any_base = _orbslam_poses(file, orbslam_scale, _T_base_rect0(folder.parent))
        else:
            raise UserError(f"unknown KITTI poses {poses!r}; use 'oxts' or 'orbslam'")
        scans = folder / "velodyne_points" / "data"
        files = DriveFiles(folder.name, images, stamps, T_any_base, scans, 10, stamps_file)
        selected = complete_frames(files, frames)
        T_world_base = relative_to_first(T_any_base, selected[0])
        files = replace(files, T_world_base=T_world_base)
        super().__init__(files, rig, selected)
        self.folder = folder


def find_drive(root: Path, drive: str | None) -> Path:
    """Folder of a synchronised drive under root.

    Raises:
        UserError: no such drive, several of that number, or a name that is none.
    """
    if not root.is_dir():
        raise UserError(f"KITTI root {root} is not a folder; give the one that holds 2011_09_26/")
    held = sorted({*root.glob("*/*_drive_*_sync"), *root.glob("*_drive_*_sync")})
    # The name of `.` is only known once it is resolved; a link may be called as it likes.
    if "_sync" in (root.name[-5:], root.resolve().name[-5:]):
        held.append(root.resolve())
    if drive is None:
        found = held
    else:
        match = _DRIVE.fullmatch(drive)
        if not match:
            raise UserError(
                f"drive {drive!r} is neither a number like 0009 nor a name like "
                "2011_09_26_drive_0009_sync"
            )
        date, number = match[1] or "*", int(match[2])
        found = [p for p in held if p.match(f"{date}_drive_{number:04d}_sync")]
    if len(found) == 1:
        return found[0]
    if not found:
        names = summary(p.name for p in held) or "none"
        raise UserError(
            f"no synced drive {drive or ''} under {root}, which holds {names}; "
            "unpack its 'synced+rectified' archive there"
        )
    raise UserError(
        f"several drives under {root} fit: {summary(p.name for p in found)}; name one with --drive"
    )


def read_stamps(path: Path) -> dict[int, int]:
    """Line number to ns since 1970 of a `2011-09-26 13:08:24.967930880` list; gaps left out.

    Raises:
        UserError: missing, or a line that is no time.
    """
    lines = read_text(path, "it belongs to the 'synced+rectified' archive").splitlines()
    stamps = {i: _stamp(line.strip()) for i, line in enumerate(lines) if line.strip()}
    for i, stamp in stamps.items():
        if stamp is None:
            raise UserError(f"{path} has no time in line {i + 1}; replace it")
    return {i: stamp for i, stamp in stamps.items() if stamp is not None}


def _stamp(text: str) -> int | None:
    """ns since 1970, of a time since then and before the count of ns ends in 2262."""
    if _STAMP.fullmatch(text) is None:
        return None
    try:
        return int(np.datetime64(text.replace(" ", "T"), "ns").astype(np.int64))
    except ValueError:
        return None


def mercator_pose(record: Array, scale: float) -> Array:
    """(4,4) T_mercator_imu of an oxts record (lat, lon in degrees, alt in m, roll, pitch, yaw).

    The development kit's projection: x east and y north in m of the sphere shrunk by `scale`, the
    cosine of the first latitude; rotation Rz(yaw) Ry(pitch) Rx(roll).
    """
    latitude, longitude, altitude, roll, pitch, yaw = record[:6]
    # Beyond the poles is no place, and refused as a pose.
    with np.errstate(all="ignore"):
        x = scale * _EARTH_RADIUS * np.radians(longitude)
        y = scale * _EARTH_RADIUS * np.log(np.tan(np.pi / 4 + np.radians(latitude) / 2))
    R = Rotation.from_euler("ZYX", (yaw, pitch, roll)).as_matrix()
    return rigid(R, (x, y, altitude))


def _images(folder: Path) -> dict[str, dict[int, Path]]:
    """Image files by camera; the right camera may be absent altogether."""
    images = {}
    for name, number in _COLOUR_CAMERAS.items():
        found = image_indices(folder / f"image_{number}" / "data")
        if found:
            images[name] = found
        elif name == "left":
            raise UserError(
                f"{folder / f'image_{number}' / 'data'} has no images; unpack the "
                "'synced+rectified' archive of the drive there"
            )
    return images


def _T_base_rect0(date: Path) -> Array:
    """(4,4) rectified camera 0 to base."""
    T_base_imu = rigid(np.eye(3), (0, 0, IMU_HEIGHT))
    T_velo_imu = _rigid_file(date / "calib_imu_to_velo.txt")
    return T_base_imu @ inverse(T_velo_imu) @ inverse(_T_rect0_velo(date))


def _T_rect0_velo(date: Path) -> Array:
    """(4,4) scanner to rectified camera 0."""
    path = date / "calib_cam_to_cam.txt"
    R_rect = rotation(entry(read_calibration(path), "R_rect_00", (3, 3), path), path)
    return rigid(R_rect) @ _rigid_file(date / "calib_velo_to_cam.txt")


def _rigid_file(path: Path) -> Array:
    values = read_calibration(path)
    R = rotation(entry(values, "R", (3, 3), path), path)
    return rigid(R, entry(values, "T", (3,), path))


def _read_rig(date: Path, images: Mapping[str, Mapping[int, Path]]) -> Rig:
    path = date / "calib_cam_to_cam.txt"
    values = read_calibration(path)
    T_base_rect0 = _T_base_rect0(date)
    cameras, T_base_cam = {}, {}
    for name, files in images.items():
        P = entry(values, f"P_rect_{_COLOUR_CAMERAS[name]}", (3, 4), path)
        K, T_cam_rect0 = split_projection(P, path)
        with naming(path):
            cameras[name] = Camera.from_integer_centres(K, *first_image_size(files))
        T_base_cam[name] = T_base_rect0 @ inverse(T_cam_rect0)
    return Rig(cameras, T_base_cam, T_base_rect0 @ _T_rect0_velo(date))


def _oxts_poses(folder: Path, wanted: list[int]) -> dict[int, Array]:
    """T_mercator_base of the wanted frames that have a record."""
    data = folder / "oxts" / "data"
    files = [(i, data / f"{i:010d}.txt") for i in wanted]
    files = [(i, path) for i, path in files if path.is_file()]
    if wanted and not files:
        raise UserError(
            f"{data} has no record of the wanted frames; unpack the drive's oxts folder, or give "
            "ORB-SLAM poses"
        )
    records = {i: read_table(path, _OXTS_COLUMNS, "unpack oxts")[0] for i, path in files}
    if not records:
        return {}
    scale = float(np.cos(np.radians(records[files[0][0]][0])))
    T_imu_base = rigid(np.eye(3), (0, 0, -IMU_HEIGHT))
    paths = dict(files)
    return {
        i: check_pose(mercator_pose(record, scale), f"the pose in {paths[i]}") @ T_imu_base
        for i, record in records.items()
    }


def _orbslam_file(folder: Path, given: Path | str | None) -> Path:
    if given is None:
        raise UserError("ORB-SLAM poses need the folder that holds them (orbslam_folder)")
    name = f"{folder.name}.txt"
    candidates = [Path(given) / folder.name[:10] / name, Path(given) / name]
    for path in candidates:
        if path.is_file():
            return path
    raise UserError(f"{candidates[0]} is missing: give the folder of the ORB-SLAM pose files")


def _orbslam_poses(path: Path, scale: float, T_base_rect0: Array) -> dict[int, Array]:
    """T_any_base by line, from T_any_rect0 whose translations are multiplied by scale."""
    rows = read_table(path, 12, "give the folder of the ORB-SLAM pose files").reshape(-1, 3, 4)
    T_rect0_base = inverse(T_base_rect0)
    return {
        i: check_pose(rigid(row[:, :3], scale * row[:, 3]), f"{path} line {i + 1}") @ T_rect0_base
        for i, row in enumerate(rows)
    }
