"""Tiny generated drives in KITTI's layouts, and the shared real data where it is at hand."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from test.shared_data import SHARED

SIZE = (40, 12)  # width, height
FRAMES = 4
K = np.array([[30.0, 0, 19.0], [0, 31.0, 5.5], [0, 0, 1]])
# Projections of the rectified colour cameras: 6 cm left and 47 cm right of camera 0.
P_LEFT = np.column_stack([K, K @ [0.06, 0.001, 0.002]])
P_RIGHT = np.column_stack([K, K @ [-0.47, -0.001, 0.003]])
R_VELO_CAM = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
POINTS = np.array(
    [[10, 0.2, -0.5, 0.1], [20, 0.4, -1.0, 0.2], [8, -1, 0, 0.3], [-5, 0, 0, 0.4]], np.float32
)


def tilt(angle: float) -> np.ndarray:
    """A small rotation about the optical y axis."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def line(key: str, values: np.ndarray) -> str:
    """One line of a calibration file."""
    return f"{key}: " + " ".join(f"{v:.12e}" for v in np.ravel(values)) + "\n"


def write_images(folder: Path, pattern: str, seed: int) -> None:
    """Noise images of the tiny size."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for i in range(FRAMES):
        image = rng.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
        cv2.imwrite(str(folder / pattern.format(i)), image)


def make_raw(root: Path) -> Path:
    """A drive 0009 of 2011_09_26 that goes 1 m north a frame; frame 1 has no scan."""
    date = root / "2011_09_26"
    drive = date / "2011_09_26_drive_0009_sync"
    write_images(drive / "image_02" / "data", "{:010d}.png", 2)
    write_images(drive / "image_03" / "data", "{:010d}.png", 3)
    stamps = [f"2011-09-26 13:08:24.{967930880 + 100 * i:09d}\n" for i in range(FRAMES)]
    for camera in ("image_02", "image_03"):
        (drive / camera / "timestamps.txt").write_text("".join(stamps))
    oxts, scans = drive / "oxts" / "data", drive / "velodyne_points" / "data"
    oxts.mkdir(parents=True)
    scans.mkdir(parents=True)
    for i in range(FRAMES):
        latitude = 49.0 + np.degrees(i / 6378137.0)
        record = [latitude, 8.4, 114.0, 0.0, 0.0, np.pi / 2, *[0.0] * 24]
        (oxts / f"{i:010d}.txt").write_text(" ".join(f"{v:.15g}" for v in record))
        if i != 1:
            POINTS.tofile(scans / f"{i:010d}.bin")
    (date / "calib_cam_to_cam.txt").write_text(
        "calib_time: 09-Jan-2012 13:57:47\n"
        + line("R_rect_00", tilt(0.01))
        + line("P_rect_02", P_LEFT)
        + line("P_rect_03", P_RIGHT)
    )
    (date / "calib_velo_to_cam.txt").write_text(
        line("R", R_VELO_CAM) + line("T", np.array([0, -0.08, -0.27]))
    )
    (date / "calib_imu_to_velo.txt").write_text(
        line("R", np.eye(3)) + line("T", np.array([-0.81, 0.32, -0.80]))
    )
    return root


def make_odometry(root: Path) -> Path:
    """A sequence 04 that goes 2 m forward a frame; no scans."""
    folder = root / "sequences" / "04"
    write_images(folder / "image_2", "{:06d}.png", 2)
    write_images(folder / "image_3", "{:06d}.png", 3)
    (folder / "times.txt").write_text("".join(f"{0.1 * i:e}\n" for i in range(FRAMES)))
    Tr = np.column_stack([R_VELO_CAM, [0, -0.08, -0.27]])
    (folder / "calib.txt").write_text(line("P2", P_LEFT) + line("P3", P_RIGHT) + line("Tr", Tr))
    (root / "poses").mkdir()
    rows = [np.column_stack([np.eye(3), [0, 0, 2.0 * i]]).ravel() for i in range(FRAMES)]
    text = "\n".join(" ".join(f"{v:e}" for v in row) for row in rows)
    (root / "poses" / "04.txt").write_text(text + "\n")
    return root


@pytest.fixture
def raw_root(tmp_path: Path) -> Path:
    """Root of the tiny raw drive."""
    return make_raw(tmp_path / "raw")


@pytest.fixture
def odometry_root(tmp_path: Path) -> Path:
    """Root of the tiny odometry sequence."""
    return make_odometry(tmp_path / "odometry")


@pytest.fixture
def shared_kitti() -> Path:
    """Root of the real drives 0009 and 0013; skips where they are not at hand."""
    root = SHARED / "data" / "kitti_raw"
    if not root.is_dir():
        pytest.skip(f"KITTI raw data not found at {root}; set KDBTS_SHARED")
    return root
