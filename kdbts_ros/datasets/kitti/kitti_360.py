"""Sequences of KITTI-360, `2013_05_28_drive_0000_sync` and the like.

Liao, Xie and Geiger, "KITTI-360: A novel dataset and benchmarks for urban scene understanding in 2D
and 3D" (PAMI 2022).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

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
    summary,
)
from kdbts_ros.datasets.kitti.fisheye import read_fisheye, virtual_rotation
from kdbts_ros.datasets.kitti.raw import read_stamps
from kdbts_ros.density.cameras.rectify import Warp
from kdbts_ros.density.geometry.camera import Array, Camera, inverse
from kdbts_ros.encoded_images import read_image
from kdbts_ros.errors import UserError
from kdbts_ros.reading import reading

Poses = Literal["imu", "cam0"]

# The perspective cameras stand 1.55 m above the road and 0.65 m above the inertial unit (figure 2
# of the paper, calib_cam_to_pose.txt).
IMU_HEIGHT = 0.90
CAMERAS = {
    "left": "image_00",
    "right": "image_01",
    "fisheye_left": "image_02",
    "fisheye_right": "image_03",
}
FISHEYES = ("fisheye_left", "fisheye_right")
# The inertial unit's axes are x forward, y right, z down.
_T_BASE_IMU = rigid(np.diag([1.0, -1, -1]), (0, 0, IMU_HEIGHT))
_PERIOD_NS = 100_000_000
_MOST_FRAMES = 1_000_000
_FIRST_STAMP_NS = 1_000_000_000


@dataclass(frozen=True)
class FisheyeView:
    """Where the pinhole image looks that is cut out of a side camera, degrees.

    down: below the horizon. forward: from straight aside towards the direction of travel.
    """

    down: float = 15.0
    forward: float = 0.0


class Kitti360Sequence(KittiDrive):
    """One sequence: the rectified stereo pair and, as pinhole images, the two side fisheyes.

    Base is the ground point below the inertial unit. A frame without a pose (the car stood still)
    is left out, as are all but the wanted ones. Fisheye images get the left camera's intrinsics.
    """

    def __init__(
        self,
        root: Path | str,
        sequence: str | None = None,
        frames: range | None = None,
        *,
        cameras: Sequence[str] | None = None,
        poses: Poses = "imu",
        fisheye: FisheyeView | None = None,
    ) -> None:
        """Find the files; read calibration, stamps and poses.

        Args:
            root: folder that holds `calibration/`, `data_2d_raw/` and `data_poses/`.
            sequence: "0000" or "2013_05_28_drive_0000_sync"; None where root has one only.
            frames: indices wanted; those the sequence lacks are left out.
            cameras: of "left", "right", "fisheye_left", "fisheye_right"; None for left and right
                where they are.
            poses: "imu" of poses.txt, or "cam0" of cam0_to_world.txt, which are the same motion.
            fisheye: where the images cut out of the side cameras look.

        Raises:
            UserError: anything missing or unreadable, with its path and the cure.
        """
        folder = find_sequence(Path(root), sequence)
        found = _images(folder)
        wanted = cameras or [name for name in ("left", "right") if name in found]
        images = choose_cameras(found, wanted, folder.name)
        calibration = _Calibration(folder.parent.parent / "calibration")
        view = fisheye or FisheyeView()
        self._fisheyes = {
            name: calibration.fisheye(name, view, found["left"])
            for name in images
            if name in FISHEYES
        }
        rig = _read_rig(calibration, images, self._fisheyes)
        T_any_base = _poses(folder.parent.parent / "data_poses" / folder.name, poses, calibration)
        stamps, stamps_file = _stamps(folder, sorted(found["left"]))
        scans = folder.parent.parent / "data_3d_raw" / folder.name / "velodyne_points" / "data"
        files = DriveFiles(folder.name, images, stamps, T_any_base, scans, 10, stamps_file)
        selected = complete_frames(files, frames)
        T_world_base = relative_to_first(T_any_base, selected[0])
        files = replace(files, T_world_base=T_world_base)
        super().__init__(files, rig, selected)
        self.folder = folder

    def image(self, index: int, name: str = "left") -> npt.NDArray[np.uint8]:
        """(H,W,3) uint8 RGB: rectified, or cut out of a fisheye image.

        Raises:
            UserError: unreadable, or not of the size of its calibration.
        """
        if name not in self._fisheyes:
            return super().image(index, name)
        path, warp = self.file(index, name), self._fisheyes[name]
        bent, lens = read_image(path), warp.lens.camera
        if bent.shape[:2] != (lens.height, lens.width):
            raise UserError(
                f"{path} is {bent.shape[1]}x{bent.shape[0]}, but its calibration says "
                f"{lens.width}x{lens.height}; take both from the same archive"
            )
        return warp.image(bent)


class _Calibration:
    """The files of the folder `calibration`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._perspective = folder / "perspective.txt"
        self._values = read_calibration(self._perspective)
        self._cam_to_pose = read_calibration(folder / "calib_cam_to_pose.txt")

    def camera(self, name: str, size: tuple[int, int]) -> Camera:
        """The rectified perspective camera."""
        P = entry(self._values, f"P_rect_{CAMERAS[name][-2:]}", (3, 4), self._perspective)
        with naming(self._perspective):
            return Camera.from_integer_centres(P[:, :3], *size)

    def fisheye(self, name: str, view: FisheyeView, left: Mapping[int, Path]) -> Warp:
        """A side camera and the pinhole image that is cut out of it."""
        lens = read_fisheye(self.folder / f"{CAMERAS[name]}.yaml")
        # Forward is to the right of the left camera and to the left of the right one.
        forward = view.forward if name == "fisheye_left" else -view.forward
        target = self.camera("left", first_image_size(left))
        return Warp.build(lens, target, virtual_rotation(view.down, forward))

    def T_imu_cam(self, name: str) -> Array:
        """(4,4) camera before rectification to the inertial unit."""
        path = self.folder / "calib_cam_to_pose.txt"
        values = entry(self._cam_to_pose, CAMERAS[name], (3, 4), path)
        return rigid(values[:, :3], values[:, 3])

    def T_imu_rect(self, name: str) -> Array:
        """(4,4) rectified perspective camera to the inertial unit."""
        key = f"R_rect_{CAMERAS[name][-2:]}"
        R = entry(self._values, key, (3, 3), self._perspective)
        return self.T_imu_cam(name) @ inverse(rigid(R))

    def T_imu_velo(self) -> Array:
        """(4,4) scanner to the inertial unit."""
        path = self.folder / "calib_cam_to_velo.txt"
        row = read_table(path, 12, "unpack the calibration archive there").reshape(3, 4)
        return self.T_imu_cam("left") @ inverse(rigid(row[:, :3], row[:, 3]))


def find_sequence(root: Path, sequence: str | None) -> Path:
    """Folder of a sequence's images under root.

    Raises:
        UserError: no such sequence, or several and none named.
    """
    top = root / "data_2d_raw"
    if not top.is_dir():
        raise UserError(f"{top} is missing: give the folder that holds KITTI-360's data_2d_raw/")
    held = sorted(p for p in top.iterdir() if p.is_dir())
    found = held
    if sequence is not None:
        number = sequence.zfill(4)
        found = [p for p in held if p.name == sequence or p.name.endswith(f"_drive_{number}_sync")]
    if len(found) == 1:
        return found[0]
    names = summary(p.name for p in held) or "none"
    what = f"no sequence {sequence}" if sequence else "no single sequence"
    raise UserError(f"{what} in {top}, which holds {names}; name one of them")


def _images(folder: Path) -> dict[str, dict[int, Path]]:
    found = {}
    for name, camera in CAMERAS.items():
        kind = "data_rgb" if name in FISHEYES else "data_rect"
        images = image_indices(folder / camera / kind)
        if images:
            found[name] = images
    if "left" not in found:
        raise UserError(f"{folder / 'image_00' / 'data_rect'} has no images; unpack them there")
    return found


def _read_rig(
    calibration: _Calibration,
    images: Mapping[str, Mapping[int, Path]],
    fisheyes: Mapping[str, Warp],
) -> Rig:
    cameras, T_base_cam = {}, {}
    for name, files in images.items():
        if name in fisheyes:
            cameras[name] = fisheyes[name].camera
            T_imu_cam = calibration.T_imu_cam(name) @ rigid(fisheyes[name].R_lens_camera)
        else:
            cameras[name] = calibration.camera(name, first_image_size(files))
            T_imu_cam = calibration.T_imu_rect(name)
        T_base_cam[name] = _T_BASE_IMU @ _orthonormal(T_imu_cam, calibration.folder)
    return Rig(
        cameras,
        T_base_cam,
        _T_BASE_IMU @ _orthonormal(calibration.T_imu_velo(), calibration.folder),
    )


def _poses(folder: Path, poses: Poses, calibration: _Calibration) -> dict[int, Array]:
    """T_any_base by frame."""
    if poses == "imu":
        rows = read_table(folder / "poses.txt", 13, "unpack the data_poses archive")
        after = inverse(_T_BASE_IMU)
    elif poses == "cam0":
        rows = read_table(folder / "cam0_to_world.txt", 17, "unpack the data_poses archive")
        after = inverse(
            _T_BASE_IMU @ _orthonormal(calibration.T_imu_rect("left"), calibration.folder)
        )
    else:
        raise UserError(f"unknown KITTI-360 poses {poses!r}; use 'imu' or 'cam0'")
    numbers, matrices = rows[:, 0], rows[:, 1:13].reshape(-1, 3, 4)
    if not ((numbers >= 0) & (numbers < _MOST_FRAMES) & (numbers == np.round(numbers))).all():
        raise UserError(f"{folder} has poses of what is no frame; unpack the data_poses archive")
    with reading(folder, "unpack the data_poses archive", "numpy"):
        return {
            int(number): _orthonormal(rigid(m[:, :3], m[:, 3]), f"{folder}: a pose") @ after
            for number, m in zip(numbers, matrices, strict=True)
        }


def _stamps(folder: Path, frames: Sequence[int]) -> tuple[dict[int, int], Path | None]:
    """ns by frame: of timestamps.txt, or 10 Hz where the archive came without it."""
    for path in (folder / "image_00" / "timestamps.txt", folder / "timestamps.txt"):
        if path.is_file():
            return read_stamps(path), path
    return {index: _FIRST_STAMP_NS + index * _PERIOD_NS for index in frames}, None


def _orthonormal(T: Array, where: object) -> Array:
    """The transform with the nearest rotation: files keep six digits."""
    check_pose(T, where)
    U, _, Vt = np.linalg.svd(T[:3, :3])
    return rigid(U @ Vt, T[:3, 3])
