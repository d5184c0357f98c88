"""Tiny made-up folders of an RGB-D camera, in both layouts: the box room, walked through."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL, Array, Camera
from test.datasets.box_room import CAMERA, room_depth, room_view

FRAMES = 6
# The camera's height above the floor of the room, its tilt, and where the files' world lies in it.
HEIGHT, TILT = 1.2, np.radians(15.0)
FIRST = 1305031102.0
SMALL = Camera(32, 24, 20.0, 20.0, 16.0, 12.0)


def place(i: int) -> Array:
    """(4,4) camera in the room, looking down a little, half a metre further with every frame."""
    turned = Rotation.from_euler("y", TILT).as_matrix() @ R_BODY_OPTICAL
    return rigid(turned, (0.3 * i, 0.1 * i, HEIGHT))


def intrinsics(camera: Camera) -> str:
    """A camera-intrinsics.txt."""
    rows = ([camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1])
    return "".join(" ".join(f"{value:.6e}" for value in row) + "\n" for row in rows)


def write_pair(
    colour: Path, depth: Path, T_room_cam: Array, per_metre: float, camera: Camera = CAMERA
) -> None:
    """The two images of a frame."""
    image = room_view(T_room_cam, camera).image
    assert cv2.imwrite(str(colour), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    values = np.rint(room_depth(T_room_cam, camera) * per_metre)
    # What is beyond 16 bits was not measured.
    assert cv2.imwrite(str(depth), np.where(values < 65535, values, 0).astype(np.uint16))


def make_tum(folder: Path, camera: Camera = CAMERA, frames: int = FRAMES) -> Path:
    """TUM's layout; depth 10 ms after colour, poses at 50 Hz, world z up with the room's floor."""
    for name in ("rgb", "depth"):
        (folder / name).mkdir(parents=True)
    lists = {"rgb": "# color images\n", "depth": "# depth maps\n"}
    for i in range(frames):
        stamp = FIRST + 0.1 * i
        names = {"rgb": f"rgb/{stamp:.6f}.png", "depth": f"depth/{stamp + 0.01:.6f}.png"}
        write_pair(folder / names["rgb"], folder / names["depth"], place(i), 5000.0, camera)
        lists["rgb"] += f"{stamp:.6f} {names['rgb']}\n"
        lists["depth"] += f"{stamp + 0.01:.6f} {names['depth']}\n"
    for name, text in lists.items():
        (folder / f"{name}.txt").write_text(text)
    rows = "# timestamp tx ty tz qx qy qz qw\n"
    for k in range(-1, 5 * frames):
        T = place(0).copy()
        T[:3, 3] += (place(1) - place(0))[:3, 3] * k * 0.2
        quaternion = Rotation.from_matrix(T[:3, :3]).as_quat()
        values = " ".join(f"{v:.9f}" for v in (*T[:3, 3], *quaternion))
        rows += f"{FIRST + 0.02 * k + 0.005:.6f} {values}\n"
    (folder / "groundtruth.txt").write_text(rows)
    (folder / "camera-intrinsics.txt").write_text(intrinsics(camera))
    return folder


def make_numbered(
    folder: Path, T_any_room: Array, camera: Camera = CAMERA, frames: int = FRAMES
) -> Path:
    """The layout of 7-Scenes and 3DMatch: a scene with one sequence, and a tilted world."""
    sequence = folder / "seq-01"
    sequence.mkdir(parents=True)
    for i in range(frames):
        stem = sequence / f"frame-{i:06d}"
        colour, depth = (Path(f"{stem}.{kind}.png") for kind in ("color", "depth"))
        write_pair(colour, depth, place(i), 1000.0, camera)
        T = T_any_room @ place(i)
        text = "\n".join("\t".join(f"{v: .8e}" for v in row) for row in T)
        Path(f"{stem}.pose.txt").write_text(text + "\n")
    (folder / "camera-intrinsics.txt").write_text(intrinsics(camera))
    return folder
