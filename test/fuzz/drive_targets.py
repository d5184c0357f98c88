"""Readers of drives, recordings and messages; see `test.fuzz.targets`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from kdbts_ros.datasets.bags import messages as cdr
from kdbts_ros.datasets.bags.calibrations import Calibrations
from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.datasets.bags.images import decoded
from kdbts_ros.datasets.bags.index import _Poses
from kdbts_ros.datasets.bags.topics import CAMERA_INFO, COMPRESSED, IMAGE, ODOMETRY, TRANSFORMS
from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.datasets.kitti.kitti_360 import CAMERAS, Kitti360Sequence
from kdbts_ros.datasets.kitti.odometry import KittiOdometrySequence
from kdbts_ros.datasets.kitti.raw import KittiRawDrive
from kdbts_ros.datasets.rgbd.sequence import RgbdSequence
from kdbts_ros.datasets.ros.depth_messages import decode_depth
from kdbts_ros.datasets.ros.pose_rules import NoPose
from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.reading import reading
from test.adaptation.depth_bags import compressed, compressed_metres, metres, millimetres
from test.datasets.bags import SECOND, T_BASE_CAM, Bag
from test.datasets.conftest import make_odometry, make_raw
from test.datasets.rgbd_folders import SMALL, make_numbered, make_tum
from test.datasets.test_kitti_360 import make_360
from test.fuzz.targets import Accepted, Target, check_drive, finite

# The smallest camera with a view; its recordings are small enough to be damaged everywhere.
CAMERA = Camera(8, 6, 7.0, 7.0, 4.0, 3.0)


def _small(folder: Path, largest: int = 100_000) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size <= largest)


def drives() -> Iterable[Target]:
    def raw(folder: Path) -> list[Path]:
        return _small(make_raw(folder / "raw"))

    def read_raw(folder: Path, _: Path) -> None:
        drive = KittiRawDrive(folder / "raw")
        check_drive(drive, 1)
        for index in drive.frames[:1]:
            if drive.has_lidar(index):
                finite(drive.lidar(index), "a point")
                finite(drive.lidar_depth(index), "a depth")
        next(iter(drive))

    def read_odometry(folder: Path, _: Path) -> None:
        check_drive(KittiOdometrySequence(folder / "odometry", "04"), 1)

    def read_360(folder: Path, _: Path) -> None:
        check_drive(Kitti360Sequence(folder / "360", cameras=list(CAMERAS)), 1)

    def odometry(folder: Path) -> list[Path]:
        return _small(make_odometry(folder / "odometry"))

    def of_360(folder: Path) -> list[Path]:
        (folder / "360").mkdir()
        return _small(make_360(folder / "360"))

    def tum(folder: Path) -> list[Path]:
        return _small(make_tum(folder / "tum", SMALL, 2))

    def numbered(folder: Path) -> list[Path]:
        return _small(make_numbered(folder / "scene", np.eye(4), SMALL, 2))

    def read_rgbd(folder: Path, _: Path) -> None:
        (root,) = folder.iterdir()
        drive = RgbdSequence(root)
        check_drive(drive, 1)
        for index in drive.frames[:2]:
            depth = drive.depth(index)
            finite(depth, "a depth")
            if depth.shape != (drive.camera().height, drive.camera().width):
                raise Accepted(f"a depth image of {depth.shape}")

    yield Target("KITTI raw", raw, read_raw)
    yield Target("KITTI odometry", odometry, read_odometry)
    yield Target("KITTI-360", of_360, read_360)
    yield Target("TUM RGB-D", tum, read_rgbd)
    yield Target("7-Scenes and 3DMatch", numbered, read_rgbd)


def _record(path: Path, storage: StoragePlugin, packed: CompressionMode) -> None:
    with Bag(path, storage, packed) as bag:
        bag.tf("base_link", "eye", T_BASE_CAM, SECOND, static=True)
        for i in range(3):
            stamp = SECOND + i * SECOND // 10
            bag.tf("odom", "base_link", rigid(np.eye(3), (0.1 * i, 0, 0)), stamp)
            bag.put("/eye/camera_info", CAMERA_INFO, stamp, cdr.camera_info(CAMERA, "eye", stamp))
            picture = np.full((6, 8, 3), 40 * i, np.uint8)
            bag.image(stamp, picture)


def recordings() -> Iterable[Target]:
    def made(
        storage: StoragePlugin, packed: CompressionMode = CompressionMode.NONE, ends: str = ""
    ) -> Callable[[Path], list[Path]]:
        def make(folder: Path) -> list[Path]:
            _record(folder / "bag", storage, packed)
            return [p for p in _small(folder / "bag", 300_000) if p.name.endswith(ends)]

        return make

    def read_file(_: Path, damaged: Path) -> None:
        check_drive(BagDrive(damaged))

    def read_folder(folder: Path, _: Path) -> None:
        check_drive(BagDrive(folder / "bag"))

    file, message = CompressionMode.FILE, CompressionMode.MESSAGE
    mcap, sqlite = StoragePlugin.MCAP, StoragePlugin.SQLITE3
    yield Target("mcap", made(mcap, ends=".mcap"), read_file)
    yield Target("sqlite3", made(sqlite, ends=".db3"), read_file)
    yield Target("metadata.yaml", made(mcap, ends=".yaml"), read_folder)
    yield Target("compressed recordings", made(sqlite, file), read_folder)
    yield Target("compressed messages", made(sqlite, message), read_folder)


def depth_messages() -> Iterable[Target]:
    depth = np.linspace(0.5, 6.0, 48, dtype=np.float32).reshape(6, 8)
    contents = {
        encode.__name__: bytes(encode(depth, SECOND)[1])
        for encode in (millimetres, metres, compressed, compressed_metres)
    }

    def make(folder: Path) -> list[Path]:
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return [folder / name for name in contents]

    def read(_: Path, damaged: Path) -> None:
        kind = COMPRESSED if damaged.name.startswith("compressed") else IMAGE
        with reading("a message", "record anew", "rosbags"):
            found = decode_depth(cdr.TYPESTORE.deserialize_cdr(damaged.read_bytes(), kind))
            finite(found, "a depth")
            if (found < 0).any():
                raise Accepted(f"a depth of {found.min()} m")

    yield Target("depth messages", make, read)


def messages() -> Iterable[Target]:
    picture = cv2.resize(np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 20, (8, 6))
    image, jpeg = (make(picture, "eye", SECOND) for make in (cdr.image, cdr.compressed_image))
    contents = {
        "image": bytes(image),
        "compressed": bytes(jpeg),
        "info": bytes(cdr.camera_info(CAMERA, "eye", SECOND)),
        "fisheye": _info(distortion_model="equidistant", d=np.array([0.1, 0.01, 0.0, 0.0])),
        "bent": _info(d=np.array([-0.2, 0.05, 0.001, 0.001, 0.0])),
        "transforms": bytes(
            cdr.transforms({("odom", "base"): np.eye(4), ("base", "eye"): np.eye(4)}, SECOND)
        ),
        "odometry": _odometry(),
    }

    def make(folder: Path) -> list[Path]:
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return [folder / name for name in contents]

    def read(_: Path, damaged: Path) -> None:
        raw = damaged.read_bytes()
        with reading("a message", "record anew", "rosbags"):
            _read_message(damaged.name, raw)

    yield Target("messages", make, read)


def _read_message(name: str, raw: bytes) -> None:
    if name in ("image", "compressed"):
        kind = IMAGE if name == "image" else COMPRESSED
        found = decoded(cdr.TYPESTORE.deserialize_cdr(raw, kind))
        if found.dtype != np.uint8 or found.ndim != 3 or found.shape[2] != 3:
            raise Accepted(f"an image of {found.shape}")
    elif name in ("transforms", "odometry"):
        kind = TRANSFORMS if name == "transforms" else ODOMETRY
        poses = _Poses({"/tf": kind})
        poses.take("/tf", raw, SECOND)
        poses.graph.name_base(None)
        for frame in poses.graph.frames:
            for above in poses.graph.ancestors(frame):
                try:
                    finite(poses.graph.pose(above, frame, SECOND), f"{above} of {frame}")
                except NoPose:
                    continue
    else:
        infos = Calibrations("/camera_info", False)
        infos.add(raw, SECOND)
        for lens in infos._lenses.values():
            if lens is not None:
                camera = lens.camera
                finite([camera.fx, camera.fy, camera.cx, camera.cy], "a camera")


def _info(**changes: Any) -> bytes:
    info = cdr.TYPESTORE.deserialize_cdr(cdr.camera_info(CAMERA, "eye", SECOND), CAMERA_INFO)
    for name, value in changes.items():
        setattr(info, name, value)
    return bytes(cdr.TYPESTORE.serialize_cdr(info, CAMERA_INFO))


def _odometry() -> bytes:
    types = cdr.TYPESTORE.types
    point = types["geometry_msgs/msg/Point"](1.0, 0.0, 0.0)
    turn = types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    zero = types["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
    message = types[ODOMETRY](
        header=cdr._header("odom", SECOND),
        child_frame_id="base_link",
        pose=types["geometry_msgs/msg/PoseWithCovariance"](
            types["geometry_msgs/msg/Pose"](point, turn), np.zeros(36)
        ),
        twist=types["geometry_msgs/msg/TwistWithCovariance"](
            types["geometry_msgs/msg/Twist"](zero, zero), np.zeros(36)
        ),
    )
    return bytes(cdr.TYPESTORE.serialize_cdr(message, ODOMETRY))
