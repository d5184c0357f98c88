"""KITTI-360 on a tiny generated sequence, and on the real frames where they are at hand."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.datasets.kitti.fisheye import read_fisheye, virtual_rotation
from kdbts_ros.datasets.kitti.kitti_360 import CAMERAS, FisheyeView, Kitti360Sequence
from kdbts_ros.density.cameras.rectify import Warp
from kdbts_ros.density.geometry.camera import Array, Camera, inverse, transform
from kdbts_ros.errors import UserError
from test.datasets.conftest import SIZE, K, line
from test.shared_data import SHARED

SEQUENCE = "2013_05_28_drive_0000_sync"
# Camera axes in those of the inertial unit (x forward, y right, z down).
FORWARD = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
LEFTWARD = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
RIGHTWARD = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])
FISHEYE = """%YAML:1.0
image_width: 64
image_height: 60
mirror_parameters:
   xi: 2.2
distortion_parameters:
   k1: 0.017
   k2: 1.65
   p1: 4.2e-04
   p2: -7.0e-04
projection_parameters:
   gamma1: 61.0
   gamma2: 60.0
   u0: 31.0
   v0: 30.5
"""


def sky(rays: Array) -> Array:
    """A smooth picture of directions (...,3): what every camera at one place would see."""
    unit = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    return 128 + 100 * np.sin(3 * unit + [0.3, 1.1, 2.0])


def fisheye_picture(path: Path) -> np.ndarray:
    lens = read_fisheye(path)
    height, width = lens.camera.height, lens.camera.width
    uv = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), -1)
    return np.nan_to_num(sky(lens.unproject(uv))).round().astype(np.uint8)


def make_360(tmp_path: Path) -> Path:
    """Three frames, 1.5 m forward each; frame 1 has no pose, as where the car stands still."""
    calibration = tmp_path / "calibration"
    calibration.mkdir()
    for camera in ("image_02", "image_03"):
        (calibration / f"{camera}.yaml").write_text(FISHEYE)
    places = {"left": (1.5, 0, -0.6), "right": (1.5, 0.6, -0.6)}
    places |= {"fisheye_left": (0.7, -0.2, -1), "fisheye_right": (0.7, 0.7, -1)}
    axes = {"left": FORWARD, "right": FORWARD}
    axes |= {"fisheye_left": LEFTWARD, "fisheye_right": RIGHTWARD}
    (calibration / "calib_cam_to_pose.txt").write_text(
        "".join(line(CAMERAS[n], np.column_stack([axes[n], places[n]])) for n in places)
    )
    P = np.column_stack([K, [0, 0, 0]])
    (calibration / "perspective.txt").write_text(
        "calib_time: 17-Feb-2016 14:23:48\n"
        + line("R_rect_00", np.eye(3))
        + line("R_rect_01", np.eye(3))
        + line("P_rect_00", P)
        + line("P_rect_01", P)
    )
    T_velo_cam = np.column_stack(
        [np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), [0.8, 0.3, -0.2]]
    )
    (calibration / "calib_cam_to_velo.txt").write_text(
        " ".join(f"{v:.9e}" for v in T_velo_cam.ravel())
    )
    images = tmp_path / "data_2d_raw" / SEQUENCE
    for name, camera in CAMERAS.items():
        bent = name.startswith("fisheye")
        folder = images / camera / ("data_rgb" if bent else "data_rect")
        folder.mkdir(parents=True)
        plain = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
        picture = fisheye_picture(calibration / f"{camera}.yaml") if bent else plain
        for i in range(3):
            cv2.imwrite(str(folder / f"{i:010d}.png"), picture[:, :, ::-1])
    poses = tmp_path / "data_poses" / SEQUENCE
    poses.mkdir(parents=True)
    T_imu_cam = rigid(FORWARD, places["left"])
    rows, cam0 = [], []
    for i in (0, 2):
        T = rigid(np.eye(3), (1.5 * i, 5, 7))
        rows.append([i, *T[:3].ravel()])
        cam0.append([i, *(T @ T_imu_cam).ravel()])
    for name, table in (("poses.txt", rows), ("cam0_to_world.txt", cam0)):
        (poses / name).write_text("\n".join(" ".join(map(str, row)) for row in table) + "\n")
    return tmp_path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Root of the tiny sequence."""
    return make_360(tmp_path)


def test_frames_and_poses(root: Path) -> None:
    sequence = Kitti360Sequence(root, "0")
    assert sequence.name == SEQUENCE
    assert sequence.frames == (0, 2)
    assert sequence.cameras == ("left", "right")
    np.testing.assert_allclose(sequence.T_world_base(2)[:3, 3], [3, 0, 0], atol=1e-9)
    left, right = sequence.T_base_cam("left"), sequence.T_base_cam("right")
    np.testing.assert_allclose(left[:3, 3], [1.5, 0, 1.5])
    np.testing.assert_allclose((inverse(left) @ right)[:3, 3], [0.6, 0, 0], atol=1e-9)
    np.testing.assert_allclose(left[:3, 2], [1, 0, 0], atol=1e-9)  # looks forward
    assert sequence.stamp_ns(2) - sequence.stamp_ns(0) == 200_000_000
    other = Kitti360Sequence(root, poses="cam0")
    np.testing.assert_allclose(other.T_world_base(2), sequence.T_world_base(2), atol=1e-9)


def test_stamps_are_read_where_they_are(root: Path) -> None:
    times = "".join(f"2013-05-28 08:46:0{i}.500000000\n" for i in range(3))
    (root / "data_2d_raw" / SEQUENCE / "image_00" / "timestamps.txt").write_text(times)
    sequence = Kitti360Sequence(root)
    assert sequence.stamp_ns(2) - sequence.stamp_ns(0) == 2_000_000_000


def test_fisheye_images_show_what_a_pinhole_would(root: Path) -> None:
    sequence = Kitti360Sequence(root, cameras=["left", "fisheye_left", "fisheye_right"])
    for name, axes in (("fisheye_left", LEFTWARD), ("fisheye_right", RIGHTWARD)):
        view = sequence.frame(2).views[name]
        assert view.camera == sequence.camera("left")
        # The picture hangs on the lens: take the pinhole's rays back to the lens's own axes.
        R_base_lens = np.diag([1.0, -1, -1]) @ axes
        R_lens_view = R_base_lens.T @ sequence.T_base_cam(name)[:3, :3]
        expected = sky(view.camera.rays() @ R_lens_view.T)
        assert np.abs(view.image - expected).max() < 6
        assert np.abs(view.image - expected).mean() < 1.5
        np.testing.assert_allclose(
            R_lens_view[:, 2], [0, np.sin(0.2618), np.cos(0.2618)], atol=1e-4
        )


def test_fisheye_views_turn_forward_on_both_sides(root: Path) -> None:
    names = ["left", "fisheye_left", "fisheye_right"]
    sequence = Kitti360Sequence(root, cameras=names, fisheye=FisheyeView(down=0, forward=30))
    for name in names[1:]:
        np.testing.assert_allclose(sequence.T_base_cam(name)[0, 2], 0.5, atol=1e-9)
        np.testing.assert_allclose(sequence.T_base_cam(name)[2, 2], 0, atol=1e-9)
        np.testing.assert_allclose(sequence.T_base_cam(name)[2, 1], -1, atol=1e-9)  # upright


def test_the_scan_lands_in_front_of_the_car(root: Path) -> None:
    folder = root / "data_3d_raw" / SEQUENCE / "velodyne_points" / "data"
    folder.mkdir(parents=True)
    np.array([[10, 0.3, -0.1, 0.5]], np.float32).tofile(folder / "0000000000.bin")
    sequence = Kitti360Sequence(root)
    xyz = transform(sequence.T_base_velo, sequence.lidar(0)[:, :3])
    np.testing.assert_allclose(xyz, [[1.5 + 10 - 0.8, 0, 1.5 + 0.1]], atol=1e-5)
    assert (sequence.lidar_depth(0) > 0).sum() == 1


def test_what_is_missing_is_named(root: Path) -> None:
    with pytest.raises(UserError, match=r"no sequence 3 in .* holds 2013_05_28_drive_0000_sync"):
        Kitti360Sequence(root, "3")
    with pytest.raises(UserError, match="data_2d_raw is missing"):
        Kitti360Sequence(root / "calibration")
    (root / "calibration" / "image_03.yaml").write_text("mirror_parameters:\n   xi: 2.2\n")
    with pytest.raises(UserError, match=r"image_03.yaml lacks gamma1"):
        Kitti360Sequence(root, cameras=["left", "fisheye_right"])
    (root / "data_poses" / SEQUENCE / "poses.txt").unlink()
    with pytest.raises(UserError, match=r"poses\.txt is missing: unpack the data_poses"):
        Kitti360Sequence(root)


def test_a_fisheye_image_of_another_size_is_refused(root: Path) -> None:
    path = root / "data_2d_raw" / SEQUENCE / "image_02" / "data_rgb" / "0000000000.png"
    cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
    sequence = Kitti360Sequence(root, cameras=["left", "fisheye_left"])
    with pytest.raises(UserError, match="is 8x8, but its calibration says 64x60"):
        sequence.image(0, "fisheye_left")


@pytest.fixture
def shared_360() -> Path:
    folder = SHARED / "data" / "kitti_360"
    if not folder.is_dir():
        pytest.skip(f"KITTI-360 data not found at {folder}; set KDBTS_SHARED")
    return folder


def test_real_frames(shared_360: Path) -> None:
    sequence = Kitti360Sequence(shared_360)
    assert sequence.frames == (570, 700, 701, 702, 703, 704, 1338)
    step = inverse(sequence.T_world_base(700)) @ sequence.T_world_base(701)
    assert step[0, 3] == pytest.approx(0.85, abs=0.05)
    T_left_right = inverse(sequence.T_base_cam("left")) @ sequence.T_base_cam("right")
    np.testing.assert_allclose(T_left_right, rigid(np.eye(3), (0.594, 0, 0)), atol=1e-3)
    # The road ahead lies at height 0 of the base frame, and the camera looks down at it.
    xyz = transform(sequence.T_base_velo, sequence.lidar(1338)[:, :3])
    road = xyz[(xyz[:, 0] > 5) & (xyz[:, 0] < 15) & (np.abs(xyz[:, 1]) < 2)]
    assert np.median(road[:, 2]) == pytest.approx(0, abs=0.1)
    assert np.degrees(np.arcsin(-sequence.T_base_cam("left")[2, 2])) == pytest.approx(5.8, abs=0.5)


def test_real_fisheye_calibration(shared_360: Path) -> None:
    lens = read_fisheye(shared_360 / "calibration" / "image_02.yaml")
    assert (lens.camera.width, lens.camera.height) == (1400, 1400)
    rays = np.array([[0.0, 0, 1], [1, 0.2, 0.4], [-0.9, -0.5, 0.3]])
    # The model written out: sphere, shifted centre, radial and tangential distortion, gammas.
    unit = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    x, y = unit[:, :2].T / (unit[:, 2] + 2.2134047507854890)
    r2 = x * x + y * y
    radial = 1 + 1.6798235660113681e-02 * r2 + 1.6548773243373522 * r2 * r2
    p1, p2 = 4.2223943394772046e-04, 4.2462134260997584e-04
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    u = 1336.3220825849971 * bent_x + 716.94323510126321
    v = 1335.7883350012958 * bent_y + 705.76498308221585
    np.testing.assert_allclose(lens.project(rays) - 0.5, np.column_stack([u, v]), atol=1e-6)
    target = Camera(160, 96, 64.0, 64.0, 80.0, 48.0)
    # A pinhole of 103 x 74 degrees lies inside the lens.
    assert Warp.build(lens, target, virtual_rotation(15, 0)).covered > 0.99
