"""A stereo drive of KITTI, whichever layout it lies in: lazy images, poses and scans by frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.kitti.files import check_pose, read_scan, sparse_depth, summary
from kdbts_ros.datasets.sample import PosedFrame
from kdbts_ros.density.geometry.camera import Array, Camera, View, inverse
from kdbts_ros.encoded_images import read_image
from kdbts_ros.errors import UserError


@dataclass(frozen=True, eq=False)
class Rig:
    """What is bolted to the car: cameras, their places, and the place of the scanner.

    T_base_cam and T_base_velo map optical and scanner coordinates to the base.
    """

    cameras: Mapping[str, Camera]
    T_base_cam: Mapping[str, Array]
    T_base_velo: Array


@dataclass(frozen=True, eq=False)
class DriveFiles:
    """Where the frames of a drive lie; all mappings are by frame index.

    Attributes:
        name: for messages.
        images: image files by camera name.
        stamps_ns: time of the left image, ns.
        T_world_base: (4,4) poses.
        scans: folder of the scans.
        scan_digits: digits in a scan's file name.
        stamps_file: where the stamps were read, a line a frame; None where there was no file.
    """

    name: str
    images: Mapping[str, Mapping[int, Path]]
    stamps_ns: Mapping[int, int]
    T_world_base: Mapping[int, Array]
    scans: Path
    scan_digits: int
    stamps_file: Path | None = None


class KittiDrive:
    """Frames of one drive, read when asked for.

    World is `odom`, which is where the base stands in the first frame of the selection; base is
    the ground point of the car with REP-103 axes. `frames` are the indices in the dataset's own
    numbering of the frames that have every image, a stamp and a pose.
    """

    def __init__(self, files: DriveFiles, rig: Rig, frames: tuple[int, ...]) -> None:
        self._files = files
        self._rig = rig
        self.frames = frames

    @property
    def name(self) -> str:
        """Name of the drive or sequence."""
        return self._files.name

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras, "left" first."""
        return tuple(self._rig.cameras)

    @property
    def T_base_velo(self) -> Array:
        """(4,4) scanner to base."""
        return self._rig.T_base_velo

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[PosedFrame]:
        """The frames in the order of time.

        Raises:
            UserError: times that repeat or go back; names their file and lines.
        """
        for before, index in pairwise(self.frames):
            if self.stamp_ns(index) <= self.stamp_ns(before):
                raise UserError(
                    f"{self._files.stamps_file or self.name}: the time of frame {index} (line "
                    f"{index + 1}) is not after that of frame {before} (line {before + 1}); "
                    "correct the file, or choose --frames without them"
                )
        return (self.frame(index) for index in self.frames)

    def camera(self, name: str) -> Camera:
        """The rectified camera. Raises UserError for one the drive lacks."""
        return self._rig.cameras[self._known(name)]

    def T_base_cam(self, name: str) -> Array:
        """(4,4) optical frame of a camera to base. Raises UserError for one the drive lacks."""
        return self._rig.T_base_cam[self._known(name)]

    def stamp_ns(self, index: int) -> int:
        """Time of the left image, ns; the right one is exposed at the same trigger."""
        return self._files.stamps_ns[self._selected(index)]

    def T_world_base(self, index: int) -> Array:
        """(4,4) base to world."""
        return self._files.T_world_base[self._selected(index)]

    def file(self, index: int, name: str = "left") -> Path:
        """Image file of a frame."""
        return self._files.images[self._known(name)][self._selected(index)]

    def image(self, index: int, name: str = "left") -> npt.NDArray[np.uint8]:
        """(H,W,3) uint8 RGB, rectified.

        Raises:
            UserError: unreadable, or of another size than the drive's first image.
        """
        path = self.file(index, name)
        image = read_image(path)
        camera = self.camera(name)
        if image.shape[:2] != (camera.height, camera.width):
            raise UserError(
                f"{path} is {image.shape[1]}x{image.shape[0]}, but the drive starts with "
                f"{camera.width}x{camera.height}; replace it by the dataset's own file"
            )
        return image

    def frame(self, index: int) -> PosedFrame:
        """Images and poses of one instant."""
        T_world_base = self.T_world_base(index)
        views = {
            name: View(
                self.image(index, name), self.camera(name), T_world_base @ self.T_base_cam(name)
            )
            for name in self.cameras
        }
        return PosedFrame(self.stamp_ns(index), views, T_world_base)

    def lidar(self, index: int) -> npt.NDArray[np.float32] | None:
        """(N,4) x y z reflectance in the scanner's frame, None where the drive has no scan."""
        return read_scan(self._scan_file(index))

    def has_lidar(self, index: int) -> bool:
        """Whether the drive has a scan of this frame, without reading it."""
        return self._scan_file(index).is_file()

    def lidar_depth(self, index: int, name: str = "left") -> npt.NDArray[np.float32]:
        """(H,W) z-depth of the scan in m, 0 where there is none; see `sparse_depth`.

        Raises:
            UserError: the frame has no scan.
        """
        scan = self.lidar(index)
        if scan is None:
            raise UserError(
                f"{self.name} has no LiDAR scan for frame {index} in {self._files.scans}; "
                "choose other frames or unpack the scans"
            )
        return sparse_depth(
            scan, inverse(self.T_base_cam(name)) @ self.T_base_velo, self.camera(name)
        )

    def _scan_file(self, index: int) -> Path:
        return self._files.scans / f"{self._selected(index):0{self._files.scan_digits}d}.bin"

    def _known(self, name: str) -> str:
        if name not in self._rig.cameras:
            raise UserError(f"{self.name} has no camera {name!r}; it has {summary(self.cameras)}")
        return name

    def _selected(self, index: int) -> int:
        if index not in self.frames:
            raise UserError(
                f"frame {index} is not among the {len(self.frames)} selected frames of "
                f"{self.name} ({self.frames[0]} to {self.frames[-1]})"
            )
        return index


def complete_frames(files: DriveFiles, frames: range | None) -> tuple[int, ...]:
    """Indices inside `frames` with every image, a stamp and a pose.

    Raises:
        UserError: there are none.
    """
    having = set(files.stamps_ns) & set(files.T_world_base)
    for images in files.images.values():
        having &= set(images)
    selected = tuple(i for i in sorted(having) if frames is None or i in frames)
    if not selected:
        images = next(iter(files.images.values()))
        raise UserError(
            f"{files.name} in {next(iter(images.values())).parent} has images {min(images)} to "
            f"{max(images)}, but none of the frames "
            "asked for has all its images, a stamp and a pose"
        )
    return selected


def choose_cameras(
    found: Mapping[str, Mapping[int, Path]], wanted: Sequence[str] | None, name: str
) -> dict[str, Mapping[int, Path]]:
    """The wanted cameras' images, all that were found if wanted is None; "left" always leads.

    Raises:
        UserError: a camera that is not there, or none at all.
    """
    chosen = {camera: found[camera] for camera in found if wanted is None or camera in wanted}
    missing = [camera for camera in wanted or () if camera not in found]
    if missing or not chosen:
        raise UserError(
            f"{name} has no camera {summary(missing) or 'chosen'}; it has {summary(found)}"
        )
    return chosen


def first_image_size(images: Mapping[int, Path]) -> tuple[int, int]:
    """(width, height) of the first image."""
    height, width, _ = read_image(images[min(images)]).shape
    return width, height


def relative_to_first(T_any_base: Mapping[int, Array], first: int) -> dict[int, Array]:
    """Poses in the frame of the base at frame `first`.

    Raises:
        UserError: a pose that is none.
    """
    for index, T in T_any_base.items():
        check_pose(T, f"the pose of frame {index}")
    T_world_any = inverse(T_any_base[first])
    return {index: T_world_any @ T for index, T in T_any_base.items()}
