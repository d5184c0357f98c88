"""KITTI readers on tiny generated drives, and on the real drive 0009 where it is at hand."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from kdbts_ros.cli.evaluation_data import DataChoice, Dataset, orbslam_poses
from kdbts_ros.datasets.bags.writer import write_bag
from kdbts_ros.datasets.kitti.files import split_frames
from kdbts_ros.datasets.kitti.odometry import CAMERA_HEIGHT, KittiOdometrySequence
from kdbts_ros.datasets.kitti.raw import IMU_HEIGHT, KittiRawDrive
from kdbts_ros.datasets.opening import OrbslamPoses, open_drive
from kdbts_ros.density.geometry.camera import check_rigid, inverse, transform
from kdbts_ros.errors import UserError

DRIVE = "2011_09_26_drive_0009_sync"


def projected(root: Path, scan: np.ndarray) -> np.ndarray:
    """u, v, depth by the chain P R T that KITTI documents, from the calibration files alone."""
    values = {}
    for name in ("cam_to_cam", "velo_to_cam"):
        text = (root / "2011_09_26" / f"calib_{name}.txt").read_text()
        for key, _, numbers in (row.partition(":") for row in text.splitlines()):
            if "time" not in key:
                values[key] = np.array(numbers.split(), float)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = values["R"].reshape(3, 3), values["T"]
    R = np.eye(4)
    R[:3, :3] = values["R_rect_00"].reshape(3, 3)
    xyz1 = np.column_stack([scan[:, :3].astype(float), np.ones(len(scan))])
    uvz = xyz1 @ (values["P_rect_02"].reshape(3, 4) @ R @ T).T
    return np.column_stack([uvz[:, :2] / uvz[:, 2:], uvz[:, 2]])


def devkit_depth(root: Path, scan: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The depth map, point by point."""
    scan = scan[scan[:, 0] >= 0]
    depth = np.full(shape, np.inf)
    for u, v, z in projected(root, scan):
        row, column = int(np.round(v)) - 1, int(np.round(u)) - 1
        if 0 <= row < shape[0] and 0 <= column < shape[1] and z > 0:
            depth[row, column] = min(depth[row, column], z)
    return np.where(np.isinf(depth), 0, depth)


@pytest.mark.parametrize(
    ("text", "frames"),
    [("0:3", range(3)), (":2", range(2)), ("5:7", range(5, 7))],
)
def test_split_frames(text: str, frames: range) -> None:
    assert split_frames(text) == frames


def test_split_frames_open_end() -> None:
    assert 10**6 in split_frames("4:")


@pytest.mark.parametrize("text", ["", "3", "a:b", "3:3", "-1:4", "5:2"])
def test_split_frames_refuses(text: str) -> None:
    with pytest.raises(UserError, match="--frames"):
        split_frames(text)


@pytest.mark.parametrize("name", ["0009", "9", "2011_09_26_drive_0009", DRIVE, None])
def test_drive_is_found_by_any_of_its_names(raw_root: Path, name: str | None) -> None:
    assert KittiRawDrive(raw_root, name).name == DRIVE


def test_drive_is_found_from_date_and_own_folder(raw_root: Path) -> None:
    assert KittiRawDrive(raw_root / "2011_09_26", "0009").frames == (0, 1, 2, 3)
    assert KittiRawDrive(raw_root / "2011_09_26" / DRIVE).frames == (0, 1, 2, 3)


def test_poses_follow_the_car(raw_root: Path) -> None:
    drive = KittiRawDrive(raw_root, "0009", range(1, 3))
    np.testing.assert_allclose(drive.T_world_base(1), np.eye(4), atol=1e-12)
    # The car looks north and drives north: 1 m along its own x axis.
    np.testing.assert_allclose(drive.T_world_base(2)[:3, 3], [1, 0, 0], atol=1e-5)
    assert drive.T_base_velo[2, 3] == pytest.approx(IMU_HEIGHT + 0.80)
    assert drive.T_base_velo[0, 3] == pytest.approx(0.81)


def test_cameras_stand_where_the_projections_say(raw_root: Path) -> None:
    drive = KittiRawDrive(raw_root, "0009")
    assert drive.cameras == ("left", "right")
    left, right = drive.T_base_cam("left"), drive.T_base_cam("right")
    check_rigid(left, "left")
    np.testing.assert_allclose((inverse(left) @ right)[:3, 3], [0.53, 0.002, -0.001], atol=1e-9)
    assert left[2, 2] == pytest.approx(0, abs=0.02)  # looks along the ground
    assert left[1, 3] > right[1, 3]
    # Integer centres in the file, half-integer centres in ours.
    assert drive.camera("left").cx == pytest.approx(19.5)
    assert drive.camera("left").cy == pytest.approx(6.0)


def test_points_project_as_documented(raw_root: Path) -> None:
    drive = KittiRawDrive(raw_root, "0009")
    scan = drive.lidar(0)
    assert scan is not None
    T = inverse(drive.T_base_cam("left")) @ drive.T_base_velo
    uv, z = drive.camera("left").project(transform(T, scan[:3, :3]))
    expected = projected(raw_root, scan[:3])
    np.testing.assert_allclose(uv - 0.5, expected[:, :2], atol=1e-6)
    np.testing.assert_allclose(z, expected[:, 2], atol=1e-6)


def test_lidar_depth_keeps_the_nearest(raw_root: Path) -> None:
    drive = KittiRawDrive(raw_root, "0009")
    scan = drive.lidar(0)
    depth = drive.lidar_depth(0)
    assert depth.shape == (12, 40)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, devkit_depth(raw_root, scan, depth.shape), atol=1e-5)
    assert (depth > 0).sum() == 2  # the second point hides behind the first, the fourth is behind
    assert drive.lidar(1) is None
    with pytest.raises(UserError, match="no LiDAR scan for frame 1"):
        drive.lidar_depth(1)


def test_frames_hold_images_stamps_and_poses(raw_root: Path) -> None:
    drive = KittiRawDrive(raw_root, "0009")
    frame = drive.frame(2)
    assert frame.stamp_ns == 1317042504967930880 + 200
    assert list(frame.views) == ["left", "right"]
    path = raw_root / "2011_09_26" / DRIVE / "image_02" / "data" / "0000000002.png"
    bgr = cv2.imread(str(path))
    np.testing.assert_array_equal(frame.views["left"].image, bgr[:, :, ::-1])
    expected = drive.T_world_base(2) @ drive.T_base_cam("right")
    np.testing.assert_array_equal(frame.views["right"].T_world_cam, expected)
    assert [f.stamp_ns for f in drive] == [drive.stamp_ns(i) for i in drive.frames]


def test_drive_without_right_images_and_with_gaps(raw_root: Path) -> None:
    folder = raw_root / "2011_09_26" / DRIVE
    shutil.rmtree(folder / "image_03")
    (folder / "image_02" / "data" / "0000000001.png").unlink()
    (folder / "oxts" / "data" / "0000000003.txt").unlink()
    drive = KittiRawDrive(raw_root, "0009")
    assert drive.cameras == ("left",)
    assert drive.frames == (0, 2)
    with pytest.raises(UserError, match="no camera 'right'"):
        drive.camera("right")
    with pytest.raises(UserError, match="frame 1 is not among"):
        drive.image(1)


def test_one_camera_can_be_chosen(raw_root: Path, odometry_root: Path) -> None:
    assert list(KittiRawDrive(raw_root, "0009", cameras=["right"]).frame(0).views) == ["right"]
    assert KittiOdometrySequence(odometry_root, "04", cameras=["left"]).cameras == ("left",)
    with pytest.raises(UserError, match="no camera middle; it has left, right"):
        KittiRawDrive(raw_root, "0009", cameras=["middle"])


def test_orbslam_poses_scaled(raw_root: Path, tmp_path: Path) -> None:
    rows = [f"1 0 0 0 0 1 0 0 0 0 1 {2 * i}" for i in range(4)]
    (tmp_path / f"{DRIVE}.txt").write_text("\n".join(rows))
    drive = KittiRawDrive(
        raw_root, "0009", poses="orbslam", orbslam_folder=tmp_path, orbslam_scale=0.5
    )
    # Forward of camera 0 is the optical axis, tilted by 0.01 about the vertical against the car.
    step = drive.T_world_base(1)[:3, 3]
    assert np.linalg.norm(step) == pytest.approx(1.0)
    assert step[0] == pytest.approx(np.cos(0.01))
    opened = open_drive("kitti-raw", raw_root, "0009", orbslam=OrbslamPoses(tmp_path, 0.5))
    np.testing.assert_array_equal(opened.T_world_base(1), drive.T_world_base(1))


@pytest.mark.parametrize("layout", ["kitti-odometry", "kitti-360"])
def test_orbslam_poses_are_for_raw_drives(layout: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"--orbslam gives poses to kitti-raw; {layout} has its"):
        open_drive(layout, tmp_path, sequence="04", orbslam=OrbslamPoses(tmp_path))


def test_a_scale_alone_and_poses_of_worlds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a factor on the poses of --orbslam"):
        orbslam_poses(None, 0.975)
    assert orbslam_poses(None, 1.0) is None
    worlds = DataChoice(
        Dataset.SYNTHETIC, None, None, None, ":", 0, 1, "left", OrbslamPoses(tmp_path)
    )
    with pytest.raises(UserError, match="worlds have exact ones"):
        worlds.samples()


def test_odometry_sequence(odometry_root: Path) -> None:
    sequence = KittiOdometrySequence(odometry_root, "4", range(1, 9))
    assert sequence.frames == (1, 2, 3)
    assert sequence.stamp_ns(1) == 1_100_000_000
    np.testing.assert_allclose(sequence.T_world_base(2)[:3, 3], [2, 0, 0], atol=1e-9)
    assert sequence.T_base_cam("left")[2, 3] == pytest.approx(CAMERA_HEIGHT + 0.001)
    assert sequence.T_base_velo[2, 3] == pytest.approx(CAMERA_HEIGHT + 0.08)
    assert sequence.lidar(1) is None
    assert sequence.frame(3).views["right"].image.shape == (12, 40, 3)


def removed(path: str):
    def spoil(root: Path) -> None:
        target = root / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return spoil


def replaced(name: str, key: str, numbers: str):
    """Another entry in a calibration file."""

    def spoil(root: Path) -> None:
        path = root / "2011_09_26" / name
        lines = [x for x in path.read_text().splitlines() if not x.startswith(f"{key}:")]
        path.write_text("\n".join([*lines, f"{key}: {numbers}"]) + "\n")

    return spoil


def written(path: str, text: str):
    return lambda root: (root / path).write_text(text)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (removed("2011_09_26/calib_velo_to_cam.txt"), "calib_velo_to_cam.txt is missing"),
        (written("2011_09_26/calib_cam_to_cam.txt", "R_rect_00: 1 2\n"), "no usable entry"),
        (removed(f"2011_09_26/{DRIVE}/image_02/data"), "image_02/data has no images"),
        (removed(f"2011_09_26/{DRIVE}/oxts"), "oxts/data has no record"),
        (removed(f"2011_09_26/{DRIVE}/image_02/timestamps.txt"), "timestamps.txt is missing"),
        (written(f"2011_09_26/{DRIVE}/image_02/timestamps.txt", "noon\n"), "no time in line 1"),
        (written(f"2011_09_26/{DRIVE}/image_02/data/0000000000.png", "x"), "not a readable PNG"),
        (written(f"2011_09_26/{DRIVE}/oxts/data/0000000002.txt", "1 2 3"), "30 finite numbers"),
        (removed(f"2011_09_26/{DRIVE}"), "no synced drive 0009"),
        (written(f"2011_09_26/{DRIVE}/image_02/timestamps.txt", "NaT\n"), "no time in line 1"),
        (written(f"2011_09_26/{DRIVE}/image_02/data/0.png", "x"), "0.png and .* both frame 0"),
        (replaced("calib_cam_to_cam.txt", "P_rect_02", "0 " * 12), "cam_to_cam.txt has a proj"),
        (replaced("calib_velo_to_cam.txt", "R", "1 0 0 0 1 0 0 0 3"), "velo_to_cam.txt has a mat"),
    ],
)
def test_what_is_missing_is_named(raw_root: Path, spoil, words: str) -> None:
    spoil(raw_root)
    with pytest.raises(UserError, match=words):
        KittiRawDrive(raw_root, "0009")


def test_wrong_requests_are_named(raw_root: Path, odometry_root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="images 0 to 3"):
        KittiRawDrive(raw_root, "0009", range(50, 60))
    with pytest.raises(UserError, match="neither a number"):
        KittiRawDrive(raw_root, "nine")
    with pytest.raises(UserError, match="not a folder"):
        KittiRawDrive(tmp_path / "nowhere", "0009")
    with pytest.raises(UserError, match="orbslam_folder"):
        KittiRawDrive(raw_root, "0009", poses="orbslam")
    with pytest.raises(UserError, match="it holds 04"):
        KittiOdometrySequence(odometry_root, "07")
    (odometry_root / "poses" / "04.txt").unlink()
    with pytest.raises(UserError, match="00 to 10"):
        KittiOdometrySequence(odometry_root, "04")


def test_images_that_change_size_or_scans_cut_short_are_named(raw_root: Path) -> None:
    folder = raw_root / "2011_09_26" / DRIVE
    cv2.imwrite(str(folder / "image_02/data/0000000002.png"), np.zeros((5, 6, 3), np.uint8))
    (folder / "velodyne_points/data/0000000002.bin").write_bytes(b"123")
    drive = KittiRawDrive(raw_root, "0009")
    with pytest.raises(UserError, match="is 6x5"):
        drive.frame(2)
    with pytest.raises(UserError, match="cut short"):
        drive.lidar(2)


def test_two_dates_with_one_number_need_a_full_name(raw_root: Path) -> None:
    other = raw_root / "2011_09_28" / "2011_09_28_drive_0009_sync"
    other.mkdir(parents=True)
    with pytest.raises(UserError, match="several drives"):
        KittiRawDrive(raw_root, "0009")
    assert KittiRawDrive(raw_root, DRIVE).name == DRIVE


def test_real_drive(shared_kitti: Path) -> None:
    drive = KittiRawDrive(shared_kitti, "0009")
    assert len(drive.frames) == 51
    assert drive.camera("left").fx == pytest.approx(721.5377)
    assert drive.T_base_cam("left")[2, 3] == pytest.approx(1.65, abs=0.02)
    assert np.linalg.norm(drive.T_world_base(50)[:3, 3]) == pytest.approx(54.9, abs=0.5)
    scan = drive.lidar(0)
    assert scan is not None
    expected = devkit_depth(shared_kitti, scan, (375, 1242))
    np.testing.assert_allclose(drive.lidar_depth(0), expected, atol=1e-4)
    # The road ahead lies at height 0 of the base frame.
    xyz = transform(drive.T_base_velo, scan[:, :3])
    road = xyz[(xyz[:, 0] > 5) & (xyz[:, 0] < 15) & (np.abs(xyz[:, 1]) < 2)]
    assert np.median(road[:, 2]) == pytest.approx(0, abs=0.1)


def test_the_drive_one_stands_in_is_found(raw_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.` has no name until it is resolved, and neither has `..`."""
    folder = raw_root / "2011_09_26" / DRIVE
    for here, root in ((folder, "."), (folder / "image_02", ".."), (raw_root, ".")):
        monkeypatch.chdir(here)
        assert KittiRawDrive(root).name == DRIVE


def test_a_time_that_repeats_is_refused_with_its_file_and_line(
    raw_root: Path, odometry_root: Path, tmp_path: Path
) -> None:
    """Where the order of time matters; images and depth are still there."""
    file = raw_root / "2011_09_26" / DRIVE / "image_02" / "timestamps.txt"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:2], lines[1], *lines[3:]]))
    drive = KittiRawDrive(raw_root)
    drive.frame(2)
    words = r"image_02/timestamps\.txt: the time of frame 2 \(line 3\) .* frame 1 \(line 2\)"
    with pytest.raises(UserError, match=words):
        write_bag(drive, tmp_path / "bag")
    assert not (tmp_path / "bag").exists()
    times = odometry_root / "sequences" / "04" / "times.txt"
    times.write_text("0\n" * len(times.read_text().splitlines()))
    with pytest.raises(UserError, match=r"times\.txt: the time of frame 1"):
        write_bag(KittiOdometrySequence(odometry_root, "04"), tmp_path / "bag")
    times.write_text("1e300\n" * len(times.read_text().splitlines()))
    with pytest.raises(UserError, match=r"times\.txt is not in seconds"):
        KittiOdometrySequence(odometry_root, "04")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (replaced("calib_cam_to_cam.txt", "P_rect_02", "1e300 " * 12), "no usable entry"),
        (replaced("calib_velo_to_cam.txt", "T", "nan 0 0"), "no usable entry 'T'"),
        (written(f"2011_09_26/{DRIVE}/image_02/timestamps.txt", "2011\n"), "no time in line 1"),
        (written(f"2011_09_26/{DRIVE}/image_02/timestamps.txt", "now\n"), "no time in line 1"),
        (
            written(f"2011_09_26/{DRIVE}/image_02/timestamps.txt", "9999-01-01 00:00:00\n"),
            "no time in line 1",
        ),
        (
            written(f"2011_09_26/{DRIVE}/oxts/data/0000000002.txt", "99.0 " * 30),
            r"the pose in .*0000000002\.txt is no place and direction",
        ),
        (
            written(f"2011_09_26/{DRIVE}/oxts/data/0000000002.txt", "49 8 1e300" + " 0" * 27),
            r"the pose in .*0000000002\.txt is no place and direction",
        ),
    ],
)
def test_numbers_that_cannot_be_are_named(raw_root: Path, spoil, words: str) -> None:
    spoil(raw_root)
    with pytest.raises(UserError, match=words):
        KittiRawDrive(raw_root, "0009")


def test_a_scan_with_points_that_are_nowhere_is_named(raw_root: Path) -> None:
    drive = KittiRawDrive(raw_root, "0009")
    (file, *_) = sorted(raw_root.rglob("velodyne_points/data/*.bin"))
    points = np.fromfile(file, np.float32).reshape(-1, 4)
    for wrong in (np.nan, np.inf, 1e30):
        points[1, 2] = wrong
        points.tofile(file)
        with pytest.raises(UserError, match=r"\.bin has points that are nowhere"):
            drive.lidar(0)


def test_poses_that_turn_by_no_rotation_are_named(odometry_root: Path) -> None:
    file = odometry_root / "poses" / "04.txt"
    rows = np.loadtxt(file)
    rows[2, 0] = 7.0
    np.savetxt(file, rows)
    with pytest.raises(UserError, match=r"04\.txt line 3 is no place and direction"):
        KittiOdometrySequence(odometry_root, "04")
