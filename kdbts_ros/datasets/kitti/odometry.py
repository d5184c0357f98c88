"""Sequences of the KITTI odometry benchmark (Geiger, Lenz and Urtasun, CVPR 2012)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

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
    rigid,
    rotation,
    split_projection,
    summary,
)
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL, Array, Camera, inverse
from kdbts_ros.errors import UserError

# Nominal height of the cameras above the ground (IJRR 2013, figure 3), m.
CAMERA_HEIGHT = 1.65
_COLOUR_CAMERAS = {"left": 2, "right": 3}
# times.txt counts from 0, but a ROS stamp of 0 means "no time" and makes TF answer with its latest.
_FIRST_STAMP_NS = 1_000_000_000
# A day, in seconds: no sequence is as long.
_LONGEST = 86_400.0


class KittiOdometrySequence(KittiDrive):
    """One sequence with ground-truth poses (00 to 10).

    The layout has no inertial unit, so that base is the point `CAMERA_HEIGHT` under rectified
    camera 0, with the camera taken as level. Stamps are times.txt plus one second.
    """

    def __init__(
        self,
        root: Path | str,
        sequence: str,
        frames: range | None = None,
        *,
        cameras: Sequence[str] | None = None,
    ) -> None:
        """Find the files; read calibration, times and poses.

        Args:
            root: folder that holds `sequences/` and `poses/` (or their parent `dataset/`'s parent).
            sequence: "00" to "10"; "4" is "04".
            frames: indices wanted; those the sequence lacks are left out.
            cameras: "left", "right" or both; None for those there are.

        Raises:
            UserError: anything missing or unreadable, with its path and the cure.
        """
        top, name = _find_sequence(Path(root), sequence)
        folder = top / "sequences" / name
        title = f"sequence {name}"
        images = choose_cameras(_images(folder), cameras, title)
        rig = _read_rig(folder, images)
        T_any_base = _poses(top / "poses" / f"{name}.txt", inverse(_T_BASE_RECT0))
        stamps_file = folder / "times.txt"
        times = read_table(stamps_file, 1, "unpack the calibration archive")[:, 0]
        if not ((times >= 0) & (times < _LONGEST)).all():
            raise UserError(f"{stamps_file} is not in seconds from 0 on; replace it")
        stamps = {i: _FIRST_STAMP_NS + round(t * 1e9) for i, t in enumerate(times)}
        scans = folder / "velodyne"
        files = DriveFiles(title, images, stamps, T_any_base, scans, 6, stamps_file)
        selected = complete_frames(files, frames)
        T_world_base = relative_to_first(T_any_base, selected[0])
        files = replace(files, T_world_base=T_world_base)
        super().__init__(files, rig, selected)
        self.folder = folder


_T_BASE_RECT0: Array = rigid(R_BODY_OPTICAL, (0, 0, CAMERA_HEIGHT))


def _find_sequence(root: Path, sequence: str) -> tuple[Path, str]:
    """Folder that holds sequences/ and the sequence's two-digit name."""
    name = sequence.zfill(2)
    if not name.isdecimal():
        raise UserError(f"sequence {sequence!r} is not a number like 04")
    for top in (root, root / "dataset"):
        if (top / "sequences" / name).is_dir():
            return top, name
        if (top / "sequences").is_dir():
            held = sorted(p.name for p in (top / "sequences").iterdir() if p.is_dir())
            raise UserError(f"{top / 'sequences'} has no {name}; it holds {summary(held)}")
    raise UserError(f"{root / 'sequences'} is missing: give the folder that holds sequences/")


def _images(folder: Path) -> dict[str, dict[int, Path]]:
    found = {name: image_indices(folder / f"image_{n}") for name, n in _COLOUR_CAMERAS.items()}
    if not found["left"]:
        raise UserError(f"{folder / 'image_2'} has no images; unpack the colour archive there")
    return {name: images for name, images in found.items() if images}


def _read_rig(folder: Path, images: Mapping[str, Mapping[int, Path]]) -> Rig:
    path = folder / "calib.txt"
    values = read_calibration(path)
    cameras, T_base_cam = {}, {}
    for name, files in images.items():
        P = entry(values, f"P{_COLOUR_CAMERAS[name]}", (3, 4), path)
        K, T_cam_rect0 = split_projection(P, path)
        with naming(path):
            cameras[name] = Camera.from_integer_centres(K, *first_image_size(files))
        T_base_cam[name] = _T_BASE_RECT0 @ inverse(T_cam_rect0)
    Tr = entry(values, "Tr", (3, 4), path)
    T_rect0_velo = rigid(rotation(Tr[:, :3], path), Tr[:, 3])
    return Rig(cameras, T_base_cam, _T_BASE_RECT0 @ T_rect0_velo)


def _poses(path: Path, T_rect0_base: Array) -> dict[int, Array]:
    """T_any_base by line of row-major 3x4 T_any_rect0."""
    cure = "unpack the ground-truth poses there; only sequences 00 to 10 have them"
    rows = read_table(path, 12, cure).reshape(-1, 3, 4)
    return {
        i: check_pose(rigid(row[:, :3], row[:, 3]), f"{path} line {i + 1}") @ T_rect0_base
        for i, row in enumerate(rows)
    }
