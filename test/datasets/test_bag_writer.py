"""Bags are read back with rosbags and compared with what went in."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from kdbts_ros.datasets.bags.writer import Scans, write_bag
from kdbts_ros.datasets.kitti.odometry import KittiOdometrySequence
from kdbts_ros.datasets.kitti.raw import KittiRawDrive
from kdbts_ros.datasets.sample import PosedFrame
from kdbts_ros.density.geometry.camera import Camera, View, inverse
from kdbts_ros.errors import UserError

TYPES = get_typestore(Stores.ROS2_JAZZY)


def read(path: Path) -> dict[str, list]:
    """Messages by topic as (log time, message), in recorded order."""
    topics: dict[str, list] = {}
    with Reader(path) as reader:
        for connection, time, data in reader.messages():
            message = TYPES.deserialize_cdr(data, connection.msgtype)
            topics.setdefault(connection.topic, []).append((time, message))
    return topics


def stamp(header) -> int:
    return header.stamp.sec * 10**9 + header.stamp.nanosec


def matrix(transform) -> np.ndarray:
    q, t = transform.rotation, transform.translation
    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    T[:3, 3] = t.x, t.y, t.z
    return T


def posed_frames(count: int = 3, start_ns: int = 10**9) -> list[PosedFrame]:
    """A robot that drives along x with one camera."""
    camera = Camera(4, 3, 2.0, 2.0, 2.0, 1.5)
    frames = []
    for i in range(count):
        T = np.eye(4)
        T[0, 3] = i
        image = np.full((3, 4, 3), i, np.uint8)
        frames.append(PosedFrame(start_ns + i * 10**8, {"left": View(image, camera, T)}, T))
    return frames


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_raw_drive_comes_back(raw_root: Path, tmp_path: Path, storage) -> None:
    drive = KittiRawDrive(raw_root, "0009")
    out = tmp_path / "bag"
    scans = Scans(drive.T_base_velo, (drive.lidar(i) for i in drive.frames))
    seen: list[int] = []
    assert write_bag(drive, out, storage=storage, scans=scans, on_frame=seen.append) == 4
    assert seen == [1, 2, 3, 4]
    topics = read(out)
    assert {name: len(found) for name, found in topics.items()} == {
        "/tf_static": 1,
        "/tf": 4,
        "/camera/left/image_rect_color": 4,
        "/camera/left/camera_info": 4,
        "/camera/right/image_rect_color": 4,
        "/camera/right/camera_info": 4,
        "/velodyne_points": 3,
    }
    for name in ("left", "right"):
        images = topics[f"/camera/{name}/image_rect_color"]
        for index, (time, message) in zip(drive.frames, images, strict=True):
            assert time == stamp(message.header) == drive.stamp_ns(index)
            assert (message.encoding, message.step) == ("rgb8", 3 * 40)
            assert message.header.frame_id == f"camera_{name}"
            pixels = message.data.reshape(12, 40, 3)
            np.testing.assert_array_equal(pixels, drive.image(index, name))
    for index, (time, message) in zip(drive.frames, topics["/tf"], strict=True):
        (pose,) = message.transforms
        assert (pose.header.frame_id, pose.child_frame_id) == ("odom", "base_link")
        assert time == stamp(pose.header)
        np.testing.assert_allclose(matrix(pose.transform), drive.T_world_base(index), atol=1e-9)
    fixed = {t.child_frame_id: matrix(t.transform) for t in topics["/tf_static"][0][1].transforms}
    np.testing.assert_allclose(fixed["camera_right"], drive.T_base_cam("right"), atol=1e-9)
    np.testing.assert_allclose(fixed["velodyne"], drive.T_base_velo, atol=1e-9)


def test_camera_info_and_points(raw_root: Path, tmp_path: Path) -> None:
    drive = KittiRawDrive(raw_root, "0009", range(1))
    scans = Scans(drive.T_base_velo, [drive.lidar(0)])
    write_bag(drive, tmp_path / "bag", scans=scans)
    topics = read(tmp_path / "bag")
    info = topics["/camera/right/camera_info"][0][1]
    # Integer pixel centres again, as in KITTI's own file; the baseline is left to TF.
    np.testing.assert_allclose(info.k, [30, 0, 19, 0, 31, 5.5, 0, 0, 1])
    np.testing.assert_allclose(info.p.reshape(3, 4)[:, :3], info.k.reshape(3, 3))
    assert not info.p.reshape(3, 4)[:, 3].any()
    np.testing.assert_array_equal(info.r.reshape(3, 3), np.eye(3))
    assert (info.distortion_model, list(info.d)) == ("plumb_bob", [0] * 5)
    assert (info.width, info.height) == (40, 12)
    cloud = topics["/velodyne_points"][0][1]
    assert [(f.name, f.offset, f.datatype) for f in cloud.fields] == [
        ("x", 0, 7),
        ("y", 4, 7),
        ("z", 8, 7),
        ("intensity", 12, 7),
    ]
    points = cloud.data.view(np.float32).reshape(-1, 4)
    np.testing.assert_array_equal(points, drive.lidar(0))
    assert (cloud.width, cloud.row_step) == (4, 64)


def test_metadata_holds_types_and_qos(tmp_path: Path) -> None:
    write_bag(posed_frames(), tmp_path / "bag")
    with Reader(tmp_path / "bag") as reader:
        (static,) = reader.topics["/tf_static"].connections
        (image,) = reader.topics["/camera/left/image_rect_color"].connections
        # The hash of the genuine tf2_msgs.
        assert static.digest.startswith("RIHS01_e369d0f05a23")
        (qos,) = static.ext.offered_qos_profiles
        assert qos.durability is QosDurability.TRANSIENT_LOCAL
        (qos,) = image.ext.offered_qos_profiles
        assert qos.durability is QosDurability.VOLATILE
        assert qos.reliability is QosReliability.RELIABLE
        assert "float64[9]" in reader.topics["/camera/left/camera_info"].msgdef.data
    text = (tmp_path / "bag" / "metadata.yaml").read_text()
    information = yaml.safe_load(text)["rosbag2_bagfile_information"]
    assert information["relative_file_paths"] == ["bag.mcap"]
    assert information["starting_time"]["nanoseconds_since_epoch"] == 10**9
    profiles = {
        t["topic_metadata"]["name"]: t["topic_metadata"]["offered_qos_profiles"]
        for t in information["topics_with_message_count"]
    }
    assert profiles["/tf_static"][0]["durability"] == "transient_local"


def test_pose_comes_before_the_image_of_its_stamp(tmp_path: Path) -> None:
    write_bag(posed_frames(), tmp_path / "bag")
    with Reader(tmp_path / "bag") as reader:
        order = [connection.topic for connection, _, _ in reader.messages()]
    assert order[0] == "/tf_static"
    assert order[1:4] == ["/tf", "/camera/left/camera_info", "/camera/left/image_rect_color"]


def test_compressed_images(tmp_path: Path) -> None:
    import cv2

    write_bag(posed_frames(), tmp_path / "bag", compressed=True)
    messages = read(tmp_path / "bag")["/camera/left/image_rect_color/compressed"]
    assert messages[2][1].format == "rgb8; jpeg compressed bgr8"
    image = cv2.imdecode(messages[2][1].data, cv2.IMREAD_COLOR)
    np.testing.assert_allclose(image, 2, atol=2)


def test_odometry_sequence_as_bag(odometry_root: Path, tmp_path: Path) -> None:
    sequence = KittiOdometrySequence(odometry_root, "04", cameras=["left"])
    write_bag(sequence, tmp_path / "bag")
    topics = read(tmp_path / "bag")
    assert set(topics) == {
        "/tf",
        "/tf_static",
        "/camera/left/camera_info",
        "/camera/left/image_rect_color",
    }
    assert [time for time, _ in topics["/tf"]] == [sequence.stamp_ns(i) for i in range(4)]


def test_existing_folders_are_safe(tmp_path: Path) -> None:
    out = tmp_path / "bag"
    write_bag(posed_frames(2), out)
    with pytest.raises(UserError, match="exists already"):
        write_bag(posed_frames(), out)
    write_bag(posed_frames(3), out, force=True)
    assert len(read(out)["/tf"]) == 3
    precious = tmp_path / "thesis"
    precious.mkdir()
    with pytest.raises(UserError, match="not a bag"):
        write_bag(posed_frames(), precious, force=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bag", "thesis"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_write_leaves_nothing(tmp_path: Path, error) -> None:
    out = tmp_path / "bag"
    write_bag(posed_frames(2), out)

    def broken():
        yield posed_frames(1)[0]
        raise error

    with pytest.raises((KeyboardInterrupt, UserError)):
        write_bag(broken(), out, force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["bag"]
    assert len(read(out)["/tf"]) == 2


def test_sources_that_no_bag_can_hold(tmp_path: Path) -> None:
    frames = posed_frames(2)
    with pytest.raises(UserError, match="no frame"):
        write_bag([], tmp_path / "a")
    with pytest.raises(UserError, match="stamps that are positive"):
        write_bag(posed_frames(1, start_ns=0), tmp_path / "b")
    with pytest.raises(UserError, match="increase"):
        write_bag(frames[::-1], tmp_path / "c")
    view = frames[1].views["left"]
    shifted = View(view.image, view.camera, inverse(view.T_world_cam))
    moved = PosedFrame(frames[1].stamp_ns, {"left": shifted}, frames[1].T_world_base)
    with pytest.raises(UserError, match="camera left moves"):
        write_bag([frames[0], moved], tmp_path / "d")
    renamed = PosedFrame(frames[1].stamp_ns, {"front": view}, frames[1].T_world_base)
    with pytest.raises(UserError, match="has cameras"):
        write_bag([frames[0], renamed], tmp_path / "e")
    assert not list(tmp_path.iterdir())
