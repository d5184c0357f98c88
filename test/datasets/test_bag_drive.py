"""Recordings as posed frames: chained transforms, lenses, several cameras, what is missing."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin

from kdbts_ros.datasets.bags import messages as messages
from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.datasets.bags.pose_graph import PoseGraph
from kdbts_ros.datasets.bags.writer import write_bag
from kdbts_ros.datasets.kitti.files import rigid
from kdbts_ros.datasets.sample import PosedFrame
from kdbts_ros.density.geometry.camera import R_BODY_OPTICAL, View
from kdbts_ros.errors import UserError
from test.datasets.bags import CAMERA, SECOND, T_BASE_CAM, TYPES, Bag, grey


def recorded(path: Path, skip: str = "", storage: StoragePlugin = StoragePlugin.MCAP) -> Path:
    """Poses at 10 Hz along x at 2 m/s, images between them at 5 Hz; `skip` leaves something out."""
    with Bag(path, storage) as bag:
        if skip != "static":
            bag.tf("base_link", "mast", rigid(np.eye(3), (0.3, 0, 0)), SECOND, static=True)
            bag.tf("mast", "eye", rigid(R_BODY_OPTICAL, (0, 0, 0.9)), SECOND, static=True)
        for i in range(10):
            stamp = SECOND + i * SECOND // 10
            if skip != "tf":
                bag.tf("odom", "base_link", rigid(np.eye(3), (0.2 * i, 0, 0)), stamp)
            if skip != "info":
                bag.info(stamp)
            if i % 2 == 0 and skip != "images":
                bag.image(stamp + 50_000_000, grey(10 + i))
    return path


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_images_are_posed_between_transforms(tmp_path: Path, storage: StoragePlugin) -> None:
    drive = BagDrive(recorded(tmp_path / "bag", storage=storage))
    assert (drive.names.world, drive.names.base) == ("odom", "base_link")
    assert drive.cameras == ("eye",)
    assert len(drive) == 4 + 1  # the last image lies between the last two transforms
    frame = drive.frame(2)
    np.testing.assert_allclose(frame.T_world_base[:3, 3], [0.9, 0, 0], atol=1e-9)
    T = frame.views["eye"].T_world_cam
    np.testing.assert_allclose(T, rigid(R_BODY_OPTICAL, (1.2, 0, 0.9)), atol=1e-9)
    np.testing.assert_array_equal(frame.views["eye"].image, grey(14))
    assert frame.views["eye"].camera == CAMERA


def test_a_drive_travels_to_another_process(tmp_path: Path) -> None:
    drive = BagDrive(recorded(tmp_path / "bag"))
    drive.image(0, "eye")
    again = pickle.loads(pickle.dumps(drive))
    np.testing.assert_array_equal(again.image(3, "eye"), drive.image(3, "eye"))


def test_what_write_bag_wrote_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = []
    for i in range(3):
        T = rigid(np.eye(3), (0.4 * i, 0.1, 0))
        images = rng.integers(0, 255, (2, 32, 48, 3), np.uint8)
        right = rigid(R_BODY_OPTICAL, (0.3, -0.2, 0.9))
        views = {
            "left": View(images[0], CAMERA, T @ T_BASE_CAM),
            "right": View(images[1], CAMERA, T @ right),
        }
        frames.append(PosedFrame(SECOND + i * SECOND // 10, views, T))
    write_bag(frames, tmp_path / "bag")
    drive = BagDrive(tmp_path / "bag")
    assert drive.cameras == ("left", "right")
    for frame, again in zip(frames, drive, strict=True):
        assert frame.stamp_ns == again.stamp_ns
        for name in ("left", "right"):
            np.testing.assert_array_equal(frame.views[name].image, again.views[name].image)
            T = again.views[name].T_world_cam
            np.testing.assert_allclose(T, frame.views[name].T_world_cam, atol=1e-9)
    one = BagDrive(tmp_path / "bag", cameras=["right"])
    assert one.cameras == ("right",)


def odometry(stamp_ns: int, x: float, parent: str, child: str) -> memoryview:
    tf = messages.TYPESTORE.deserialize_cdr(
        messages.transforms({(parent, child): rigid(np.eye(3), (x, 0, 0))}, stamp_ns),
        "tf2_msgs/msg/TFMessage",
    ).transforms[0]
    point = TYPES["geometry_msgs/msg/Point"](x=x, y=0.0, z=0.0)
    pose = TYPES["geometry_msgs/msg/Pose"](point, tf.transform.rotation)
    zero = TYPES["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
    twist = TYPES["geometry_msgs/msg/Twist"](zero, zero)
    message = TYPES["nav_msgs/msg/Odometry"](
        tf.header,
        child,
        TYPES["geometry_msgs/msg/PoseWithCovariance"](pose, np.zeros(36)),
        TYPES["geometry_msgs/msg/TwistWithCovariance"](twist, np.zeros(36)),
    )
    return memoryview(messages.TYPESTORE.serialize_cdr(message, "nav_msgs/msg/Odometry"))


@pytest.mark.parametrize("parent", ["odom", "/odom", ""])
@pytest.mark.parametrize("child", ["base_link", "/base_link", ""])
def test_odometry_stands_in_for_tf(tmp_path: Path, parent: str, child: str) -> None:
    """Without frames it is the base's in odom, as the live node takes it."""
    with Bag(tmp_path / "bag") as bag:
        for i in range(4):
            stamp = SECOND + i * SECOND // 10
            data = odometry(stamp, float(i), parent, child)
            bag.put("/odom", "nav_msgs/msg/Odometry", stamp, data)
            bag.info(stamp)
            bag.image(stamp, grey(i))
        bag.tf("base_link", "eye", T_BASE_CAM, 2 * SECOND, static=True)
    drive = BagDrive(tmp_path / "bag")
    assert (drive.names.world, drive.names.base) == ("odom", "base_link")
    np.testing.assert_allclose(drive.T_world_cam(3, "eye")[:3, 3], [3.3, 0, 0.9], atol=1e-9)


def test_odometry_without_a_child_frame_moves_the_base_that_is_asked_for(tmp_path: Path) -> None:
    with Bag(tmp_path / "bag") as bag:
        bag.tf("chassis", "base_link", rigid(np.eye(3), (0, 0, 0.2)), SECOND, static=True)
        bag.tf("base_link", "eye", T_BASE_CAM, SECOND, static=True)
        for i in range(2):
            stamp = SECOND + i * SECOND // 10
            bag.put("/odom", "nav_msgs/msg/Odometry", stamp, odometry(stamp, 1.0 * i, "odom", ""))
            bag.info(stamp)
            bag.image(stamp, grey(i))
    drive = BagDrive(tmp_path / "bag", base="chassis")
    np.testing.assert_allclose(drive.T_world_cam(1, "eye")[:3, 3], [1.3, 0, 1.1], atol=1e-9)
    np.testing.assert_allclose(drive.T_world_base(1)[:3, 3], [1, 0, 0], atol=1e-9)


def drive_with(path: Path, tell: Callable[[Bag, int, int], None]) -> BagDrive:
    """Five images at 10 Hz, with the transforms that `tell(bag, stamp, index)` adds."""
    with Bag(path) as bag:
        for i in range(5):
            stamp = SECOND + i * SECOND // 10
            tell(bag, stamp, i)
            bag.info(stamp)
            bag.image(stamp, grey(i))
    return BagDrive(path)


def test_one_unusable_transform_costs_nothing_where_its_neighbours_are_good(
    tmp_path: Path,
) -> None:
    def tell(bag: Bag, stamp: int, i: int) -> None:
        if i == 0:
            bag.tf("base_link", "eye", T_BASE_CAM, stamp, static=True)
        x = np.nan if i == 2 else 0.1 * i
        bag.tf("odom", "base_link", rigid(np.eye(3), (x, 0, 0)), stamp)

    drive = drive_with(tmp_path / "bag", tell)
    assert drive.losses.without_pose == 0
    np.testing.assert_allclose(drive.T_world_base(2)[:3, 3], [0.2, 0, 0], atol=1e-9)


def test_a_mount_that_is_corrected_holds_for_all(tmp_path: Path) -> None:
    def tell(bag: Bag, stamp: int, i: int) -> None:
        bag.tf("odom", "base_link", np.eye(4), stamp)
        if i in (0, 3):
            mount = rigid(R_BODY_OPTICAL, (0.1 * i, 0, 0.9))
            bag.tf("base_link", "eye", mount, stamp, static=True)

    drive = drive_with(tmp_path / "bag", tell)
    for index in drive.frames:
        np.testing.assert_allclose(drive.T_world_cam(index, "eye")[:3, 3], [0.3, 0, 0.9])


def two_parents(bag: Bag, stamp: int, i: int) -> None:
    bag.tf("base_link", "eye", T_BASE_CAM, stamp, static=True)
    bag.tf("odom", "base_link", np.eye(4), stamp)
    bag.tf("map", "base_link", np.eye(4), stamp)


def two_broadcasters(bag: Bag, stamp: int, i: int) -> None:
    bag.tf("base_link", "eye", T_BASE_CAM, stamp, static=True)
    for x in (0, 45):
        bag.tf("odom", "base_link", rigid(np.eye(3), (x, 0, 0)), stamp)


def mount_said_once_on_tf(bag: Bag, stamp: int, i: int) -> None:
    bag.tf("odom", "base_link", np.eye(4), stamp)
    if i == 0:
        bag.tf("base_link", "eye", T_BASE_CAM, stamp - SECOND)


@pytest.mark.parametrize(
    ("tell", "words"),
    [
        (two_parents, "'base_link' has two parents, 'map' and 'odom'"),
        (two_broadcasters, "odom -> base_link is given twice for one stamp, and differently"),
        (mount_said_once_on_tf, "its only stamp: what does not move belongs on /tf_static"),
    ],
)
def test_transforms_that_contradict_each_other_are_the_reason(
    tmp_path: Path, tell: Callable[[Bag, int, int], None], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        drive_with(tmp_path / "bag", tell)


def test_bent_images_are_straightened(tmp_path: Path) -> None:
    """A straight edge that the lens bends is straight again."""
    D = np.array([-0.3, 0.05, 0.0, 0.0, 0.0])
    K = CAMERA.matrix - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
    grid = np.stack(np.meshgrid(np.arange(48.0), np.arange(32.0)), -1).reshape(-1, 1, 2)
    straight = cv2.undistortPoints(grid, K, D).reshape(32, 48, 2)
    bent = np.where(straight[..., 1:] > 0.25, 220, 30).repeat(3, -1).astype(np.uint8)
    with Bag(tmp_path / "bag") as bag:
        bag.tf("base_link", "eye", T_BASE_CAM, SECOND, static=True)
        for i in range(2):
            bag.tf("odom", "base_link", np.eye(4), SECOND * (1 + i))
            bag.info(SECOND * (1 + i), d=D)
            bag.image(SECOND * (1 + i), bent)
    view = BagDrive(tmp_path / "bag").frame(0).views["eye"]
    row = round(0.25 * view.camera.fy + view.camera.cy)
    assert (view.image[: row - 1] < 60).all()
    assert (view.image[row + 2 :] > 190).all()


def test_frames_without_partner_or_pose_are_counted(tmp_path: Path) -> None:
    with Bag(tmp_path / "bag") as bag:
        bag.tf("base_link", "eye", T_BASE_CAM, SECOND, static=True)
        for i in range(6):
            stamp = SECOND + i * SECOND // 10
            if i < 4:
                bag.tf("odom", "base_link", np.eye(4), stamp)
            for space in ("/left", "/right"):
                bag.info(stamp, space=space)
                if space == "/left" or i != 1:
                    bag.image(stamp, grey(i), f"{space}/image_rect")
    drive = BagDrive(tmp_path / "bag")
    assert (drive.losses.images, drive.losses.without_partner, drive.losses.without_pose) == (
        6,
        1,
        2,
    )
    assert [drive.stamp_ns(i) for i in drive.frames] == [SECOND, 1_200_000_000, 1_300_000_000]


@pytest.mark.parametrize(
    ("skip", "words"),
    [
        ("tf", "no poses: record /tf and /tf_static|no moving transform"),
        ("static", "no transform to the camera's frame 'eye'"),
        ("info", "no images with a camera_info beside them"),
        ("images", "no images with a camera_info"),
    ],
)
def test_what_a_recording_lacks_is_named(tmp_path: Path, skip: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        BagDrive(recorded(tmp_path / "bag", skip))


def other_clock(bag: Bag) -> None:
    bag.tf("base_link", "eye", T_BASE_CAM, SECOND, static=True)
    bag.tf("odom", "base_link", np.eye(4), 500 * SECOND)
    bag.tf("odom", "base_link", np.eye(4), 501 * SECOND)
    bag.info(SECOND)
    bag.image(SECOND, grey(1))


def not_a_rotation(bag: Bag) -> None:
    data = messages.transforms({("odom", "base_link"): np.eye(4)}, SECOND)
    message = messages.TYPESTORE.deserialize_cdr(data, "tf2_msgs/msg/TFMessage")
    message.transforms[0].transform.rotation.w = 0.2
    raw = messages.TYPESTORE.serialize_cdr(message, "tf2_msgs/msg/TFMessage")
    bag.put("/tf", "tf2_msgs/msg/TFMessage", SECOND, raw)
    bag.info(SECOND)
    bag.image(SECOND, grey(1))


def cut_message(bag: Bag) -> None:
    bag.put("/tf", "tf2_msgs/msg/TFMessage", SECOND, b"\x00\x01\x00\x00\x05\x00\x00\x00")
    bag.info(SECOND)
    bag.image(SECOND, grey(1))


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (other_clock, "images go from 1.000 to 1.000 s, transforms of 'base_link' from 500.000"),
        (not_a_rotation, "quaternion of length 0.200"),
        (cut_message, "a message on /tf in .* cannot be read"),
    ],
)
def test_broken_recordings_get_one_sentence(
    tmp_path: Path, fill: Callable[[Bag], None], words: str
) -> None:
    with Bag(tmp_path / "bag") as bag:
        fill(bag)
    with pytest.raises(UserError, match=words):
        BagDrive(tmp_path / "bag")


def test_unreadable_images_are_named(tmp_path: Path) -> None:
    with Bag(tmp_path / "bag") as bag:
        bag.tf("base_link", "eye", T_BASE_CAM, SECOND, static=True)
        bag.tf("odom", "base_link", np.eye(4), SECOND)
        bag.info(SECOND)
        bag.image(SECOND, np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UserError, match="image 0 of camera eye is 8x8, but its camera_info"):
        BagDrive(tmp_path / "bag").image(0, "eye")


def test_interpolation_does_not_bridge_a_hole() -> None:
    graph = PoseGraph()
    for stamp, x in ((0, 0.0), (SECOND // 2, 1.0), (3 * SECOND, 9.0)):
        graph.add("odom", "base_link", stamp, (x, 0, 0), (0, 0, 0, 1), static=False)
    T = graph.lookup("odom", "base_link", SECOND // 4)
    assert T is not None
    assert T[0, 3] == pytest.approx(0.5)
    assert graph.lookup("odom", "base_link", SECOND) is None
    assert graph.lookup("odom", "base_link", 4 * SECOND) is None
    with pytest.raises(UserError, match="no transform connects 'odom' with 'eye'"):
        graph.lookup("odom", "eye", 0)
