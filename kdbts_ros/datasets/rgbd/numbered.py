"""Sequences of numbered frames, as 7-Scenes and 3DMatch have them: colour, depth and pose each.

Formats: Shotton et al., "Scene Coordinate Regression Forests for Camera Relocalization in RGB-D
Images" (CVPR 2013), and Zeng et al., "3DMatch" (CVPR 2017), with their pages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kdbts_ros.datasets.kitti.files import check_pose, read_text, summary
from kdbts_ros.datasets.rgbd.files import RgbdFiles, RgbdRig, camera_of, intrinsics_beside
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.geometry.camera import Array, inverse
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown

PER_METRE = 1000.0
# The layouts have no stamps: a Kinect takes 30 images a second. 0 would mean "no time" to ROS.
_PERIOD_NS, _FIRST_STAMP_NS = 33_333_333, 1_000_000_000
_NAME = re.compile(r"frame-(\d{1,9})\.(color|depth|depth\.proj|pose)\.(png|jpg|txt)")
_SIZE = (640, 480)
# 7-Scenes: the Kinect's depth camera by the dataset's page, its colour camera, and the place of the
# one to the other by a calibration of the same device (LIRIS, Kinect calibration) that work on the
# dataset uses. Poses are those of the depth camera.
_KINECT_DEPTH = (585.0, 585.0, 320.0, 240.0)
_KINECT_COLOUR = (525.0, 525.0, 320.0, 240.0)
_T_COLOUR_DEPTH: Array = np.array(
    [
        [9.9996518012567637e-01, 2.6765126468950343e-03, -7.9041012313000904e-03, -2.5558943e-02],
        [-2.7409311281316700e-03, 9.9996302803027592e-01, -8.1504520778013286e-03, 1.010964e-04],
        [7.8819942130445332e-03, 8.1718328771890631e-03, 9.9993554558014031e-01, 2.031832e-03],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


def sequences(folder: Path) -> list[Path]:
    """The folders of numbered frames: this one, or those right below it."""
    if _has_frames(folder):
        return [folder]
    return sorted(below for below in folder.iterdir() if below.is_dir() and _has_frames(below))


def sequence_folder(root: Path, sequence: str | None) -> Path:
    """The folder of a sequence of a scene; the only one if None.

    Raises:
        UserError: no such sequence, several, or nothing in a known layout.
    """
    if sequence is not None:
        folder = root / sequence
        if "/" in sequence or not folder.is_dir() or not _has_frames(folder):
            held = summary(path.name for path in sequences(root)) or "none"
            raise UserError(f"{shown(root)} has no sequence {sequence}; it has {held}")
        return folder
    found = sequences(root)
    if len(found) > 1:
        names = summary(path.name for path in found)
        raise UserError(f"{shown(root)} has several sequences: name one of {names} with --sequence")
    if not found:
        raise UserError(
            f"{shown(root)} is no folder of an RGB-D camera: it needs rgb.txt, depth.txt and "
            "groundtruth.txt (TUM), or frame-000000.color.png, .depth.png and .pose.txt (7-Scenes, "
            "3DMatch)"
        )
    return found[0]


def numbered_files(folder: Path) -> RgbdFiles:
    """Colour images with a depth image and a pose; a pose of no numbers says that it was lost.

    Raises:
        UserError: a pose file that is damaged.
    """
    by_kind: dict[str, dict[int, Path]] = {"color": {}, "depth": {}, "depth.proj": {}, "pose": {}}
    for path in sorted(folder.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match is not None:
            by_kind[match[2]][int(match[1])] = path
    colour = by_kind["color"]
    # Where depth was projected into the colour image already, that is the better one.
    depth_images = by_kind["depth.proj"] or by_kind["depth"]
    depth = {i: path for i, path in depth_images.items() if i in colour}
    poses = {i: _pose(path) for i, path in by_kind["pose"].items() if i in colour}
    T_any_cam = {i: T for i, T in poses.items() if T is not None}
    return RgbdFiles(
        folder.resolve().name,
        colour,
        depth,
        {i: _FIRST_STAMP_NS + i * _PERIOD_NS for i in colour},
        T_any_cam,
        without_depth=len(colour) - len(depth),
        without_pose=len(colour) - len(T_any_cam),
    )


def numbered_rig(
    folder: Path,
    files: RgbdFiles,
    size: tuple[int, int],
    intrinsics: Sequence[float] | None,
) -> tuple[RgbdRig, RgbdFiles]:
    """The cameras, and the files with the poses of the colour camera.

    intrinsics: fx, fy, cx, cy of both; None for `camera-intrinsics.txt` (3DMatch), or without it
    the Kinect of 7-Scenes, whose depth images are not those of the colour camera.

    Raises:
        UserError: nothing says what camera it was.
    """
    camera = camera_of(intrinsics, size) if intrinsics is not None else None
    camera = camera or intrinsics_beside(folder, size)
    if camera is not None:
        return RgbdRig(Lens(camera), Lens(camera), PER_METRE), files
    if size != _SIZE:
        raise UserError(
            f"{shown(folder)} does not say its camera: put camera-intrinsics.txt there, or give "
            "--intrinsics FX,FY,CX,CY"
        )
    colour = camera_of(_KINECT_COLOUR, size)
    if any(".depth.proj." in path.name for path in files.depth.values()):
        return RgbdRig(Lens(colour), Lens(colour), PER_METRE), _of_colour(files)
    depth = Lens(camera_of(_KINECT_DEPTH, size))
    return RgbdRig(Lens(colour), depth, PER_METRE, _T_COLOUR_DEPTH), _of_colour(files)


def _of_colour(files: RgbdFiles) -> RgbdFiles:
    """The same with the poses of the colour camera."""
    T_depth_colour = inverse(_T_COLOUR_DEPTH)
    moved = {i: orthonormal(T @ T_depth_colour) for i, T in files.T_any_cam.items()}
    return replace(files, T_any_cam=moved)


def _has_frames(folder: Path) -> bool:
    return any(_NAME.fullmatch(path.name) for path in folder.iterdir())


def _pose(path: Path) -> Array | None:
    """(4,4) of a file of four rows; None where it says that there is none."""
    words = read_text(path, "unpack the sequence again").split()
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        values = np.empty(0)
    if values.size != 16:
        raise UserError(f"{shown(path)} is not a matrix of 4x4 numbers; unpack the sequence again")
    if not np.isfinite(values).all():
        return None
    T = values.reshape(4, 4)
    if np.abs(T[3] - [0, 0, 0, 1]).max() > 1e-3:
        raise UserError(f"{shown(path)} does not end with the row 0 0 0 1; unpack it again")
    T[3] = 0, 0, 0, 1
    check_pose(T, shown(path))
    return orthonormal(T)


def orthonormal(T: Array) -> Array:
    """The pose with the rotation nearest to its own, which a file has to a few digits."""
    U, _, V = np.linalg.svd(T[:3, :3])
    turned = T.copy()
    turned[:3, :3] = U @ V
    return turned
