"""A sequence of an RGB-D camera, whichever layout it lies in: images, depth and poses by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.registration import registered
from kdbts_ros.datasets.rgbd.files import RgbdFiles, RgbdRig, read_depth
from kdbts_ros.datasets.rgbd.floor import (
    HELD_TILT,
    KNOWN_TILT,
    Floor,
    Surfaces,
    find_floor,
    find_vertical,
    levelled,
    mean_up,
    surface_normals,
)
from kdbts_ros.datasets.rgbd.numbered import numbered_files, numbered_rig, sequence_folder
from kdbts_ros.datasets.rgbd.tum import is_tum, tum_files, tum_rig
from kdbts_ros.datasets.sample import PosedFrame
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.cameras.rectify import Warp
from kdbts_ros.density.geometry.camera import Array, Camera, View, transform
from kdbts_ros.encoded_images import read_image
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown

CAMERA = "colour"
# Frames that the floor is looked for in, points of each, and how far away, m.
_LOOKED_AT, _POINTS, _REACH = 12, 2000, 6.0
# Height of the camera where neither the data nor the caller tells: in somebody's hand, m.
_HELD_HEIGHT = 1.4


class RgbdSequence:
    """Frames of a sequence, read when asked for: one camera, with a depth for its pixels.

    World is level, with the floor at z = 0; base is the point of the floor below the camera, x
    where it looks. `frames` are the colour images that have a depth image and a pose.
    """

    def __init__(
        self,
        folder: Path | str,
        frames: range | None = None,
        *,
        sequence: str | None = None,
        intrinsics: Sequence[float] | None = None,
        camera_height: float | None = None,
    ) -> None:
        """Find the files; read lists, poses and the first image.

        Args:
            folder: of a TUM sequence, of a 7-Scenes or 3DMatch sequence, or of a scene with some.
            frames: indices wanted; those the sequence lacks are left out.
            sequence: of a scene, for example seq-01.
            intrinsics: fx, fy, cx, cy of straight images, pixel centres at integers; None for what
                the folder says.
            camera_height: m above the floor; None to look for the floor.

        Raises:
            UserError: anything missing or unreadable, with its path and the cure.
        """
        root = Path(folder)
        if not root.is_dir():
            raise UserError(f"{shown(root)} is no folder: name that of an RGB-D sequence")
        self._height = camera_height
        self._files, self._rig = _opened(root, sequence, intrinsics)
        self.frames = _complete(self._files, frames)

    @property
    def name(self) -> str:
        """Name of the sequence."""
        return self._files.name

    @property
    def cameras(self) -> tuple[str, ...]:
        """The one camera."""
        return (CAMERA,)

    def camera(self, name: str = CAMERA) -> Camera:
        """The pinhole of the straightened colour images."""
        return self._rig.colour.camera

    @property
    def without_pose(self) -> int:
        """Colour images without a pose, which are no frames."""
        return self._files.without_pose

    @property
    def without_depth(self) -> int:
        """Colour images without a depth image, which are no frames."""
        return self._files.without_depth

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[PosedFrame]:
        return (self.frame(index) for index in self.frames)

    def stamp_ns(self, index: int) -> int:
        """Time of the colour image, ns."""
        return self._files.stamps_ns[self._selected(index)]

    def T_world_cam(self, index: int) -> Array:
        """(4,4) optical frame of the colour camera to world."""
        return self.floor.T_level_any @ self._files.T_any_cam[self._selected(index)]

    def T_world_base(self, index: int) -> Array:
        """(4,4) base to world."""
        return below(self.T_world_cam(index))

    def image(self, index: int) -> npt.NDArray[np.uint8]:
        """(H,W,3) uint8 RGB, straightened.

        Raises:
            UserError: unreadable, or of another size than the first.
        """
        path = self._files.colour[self._selected(index)]
        image = read_image(path)
        _check_size(path, image.shape, self._rig.colour.camera)
        return image if self._warp is None else self._warp.image(image)

    def depth(self, index: int) -> npt.NDArray[np.float32]:
        """(H,W) z-depth in m in the pixels of `image`, 0 where the sensor measured none.

        Raises:
            UserError: unreadable, or of another size than its camera's.
        """
        path, rig = self._files.depth[self._selected(index)], self._rig
        depth = read_depth(path, rig.per_metre)
        _check_size(path, depth.shape, rig.depth.camera)
        if rig.depth == Lens(rig.colour.camera) and np.array_equal(rig.T_colour_depth, np.eye(4)):
            return depth
        return registered(depth, rig.depth, rig.T_colour_depth, rig.colour.camera)

    def frame(self, index: int) -> PosedFrame:
        """Image and pose of one instant."""
        T_world_cam = self.T_world_cam(index)
        view = View(self.image(index), self.camera(), T_world_cam)
        return PosedFrame(self.stamp_ns(index), {CAMERA: view}, below(T_world_cam))

    @cached_property
    def floor(self) -> Floor:
        """Where z = 0 is, looked for in frames of the whole selection."""
        poses = [self._files.T_any_cam[i] for i in self.frames]
        surfaces = self._surfaces(np.array([T[:3, 3] for T in poses]))
        known = self._files.up is not None
        up, tilt = self._files.up, KNOWN_TILT
        if up is None:
            up, tilt = mean_up(poses), HELD_TILT
        if self._height is None:
            found = find_floor(surfaces, up, tilt)
            if found is not None:
                return found
        if not known:
            vertical = find_vertical(surfaces, up, tilt)
            up = up if vertical is None else vertical
        camera = float(np.median(surfaces.places @ up))
        # A motion capture is set up with its origin on the floor.
        lowest = 0.0 if known else camera - _HELD_HEIGHT
        if self._height is not None:
            lowest = camera - self._height
        return Floor(levelled(up, lowest), 0.0, camera - lowest)

    def _surfaces(self, places: Array) -> Surfaces:
        """What frames spread over the selection show, in the files' world."""
        rng = np.random.default_rng(0)
        chosen = np.linspace(0, len(self) - 1, min(_LOOKED_AT, len(self))).round().astype(int)
        rays = self.camera().rays().astype(np.float64)
        points, normals = [np.empty((0, 3))], [np.empty((0, 3))]
        for index in (self.frames[k] for k in np.unique(chosen)):
            try:
                depth = self.depth(index)
            except UserError:
                continue  # is said when that frame is asked for
            depth = np.where((depth > 0) & (depth < _REACH), depth, np.nan)
            seen = rays * depth[..., None]
            towards = surface_normals(seen).reshape(-1, 3)
            pixels = np.flatnonzero(np.isfinite(towards).all(1))
            pixels = pixels[rng.permutation(len(pixels))[:_POINTS]]
            T = self._files.T_any_cam[index]
            points.append(transform(T, seen.reshape(-1, 3)[pixels]))
            normals.append(towards[pixels] @ T[:3, :3].T)
        return Surfaces(np.concatenate(points), np.concatenate(normals), places)

    @cached_property
    def _warp(self) -> Warp | None:
        lens = self._rig.colour
        return Warp.build(lens, lens.camera, np.eye(3)) if lens.bends else None

    def _selected(self, index: int) -> int:
        if index not in self.frames:
            raise UserError(
                f"frame {index} is not among the {len(self.frames)} selected frames of "
                f"{self.name} ({self.frames[0]} to {self.frames[-1]})"
            )
        return index


def below(T_world_cam: Array) -> Array:
    """(4,4) base to world: on the floor z = 0 below a camera, x where it looks."""
    forward = T_world_cam[:2, 2]
    if np.linalg.norm(forward) < 1e-6:
        # Straight down or up: where the top of its image points.
        forward = -T_world_cam[:2, 1]
    forward = forward / np.linalg.norm(forward)
    T = np.eye(4)
    T[:2, 0] = forward
    T[:2, 1] = -forward[1], forward[0]
    T[:2, 3] = T_world_cam[:2, 3]
    return T


def _opened(
    root: Path, sequence: str | None, intrinsics: Sequence[float] | None
) -> tuple[RgbdFiles, RgbdRig]:
    if is_tum(root) and sequence is None:
        files = tum_files(root)
        return files, tum_rig(root, _first_size(files), intrinsics)
    folder = sequence_folder(root, sequence)
    found = numbered_files(folder)
    rig, moved = numbered_rig(folder, found, _first_size(found), intrinsics)
    return moved, rig


def _first_size(files: RgbdFiles) -> tuple[int, int]:
    """(width, height) of the first colour image that can be a frame."""
    if not files.colour:
        raise UserError(f"{files.name} has no colour images; unpack the sequence again")
    height, width, _ = read_image(files.colour[min(files.colour)]).shape
    return width, height


def _complete(files: RgbdFiles, frames: range | None) -> tuple[int, ...]:
    """Indices inside `frames` with both images and a pose."""
    having = files.colour.keys() & files.depth.keys() & files.T_any_cam.keys()
    selected = tuple(i for i in sorted(having) if frames is None or i in frames)
    if not selected:
        raise UserError(
            f"{files.name} has {len(files.colour)} colour images, {files.without_depth} of them "
            f"without a depth image and {files.without_pose} without a pose, and none of the "
            "frames asked for has both"
        )
    return selected


def _check_size(path: Path, shape: Sequence[int], camera: Camera) -> None:
    if tuple(shape[:2]) != (camera.height, camera.width):
        raise UserError(
            f"{shown(path)} is {shape[1]}x{shape[0]}, but its camera has "
            f"{camera.width}x{camera.height} pixels; unpack the sequence again"
        )
