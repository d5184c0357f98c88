"""What is shown of each type of message, told to a stand-in of the SDK."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kdbts_ros.errors import UserError
from kdbts_ros.viewer.layout import Topics
from kdbts_ros.viewer.messages import CLOUD, GRID, MARKERS, MessageLog, is_shown
from kdbts_ros.viewer.recorded import Recordings
from kdbts_ros.viewer.scene_log import SceneLog
from test.viewer.made import CAMERA, DEPTHS, IMAGES, SECOND, drive, grid, header, message, pose
from test.viewer.standin import RERUN, Stream


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def log(stream: Stream) -> MessageLog:
    return MessageLog(SceneLog(RERUN, stream))


def test_a_drive_is_shown_whole(tmp_path: Path, stream: Stream, log: MessageLog) -> None:
    with Recordings(drive(tmp_path)) as recordings:
        seen: list[int] = []
        recordings.show(log, seen.append)
        assert seen[-1] == recordings.messages == len(seen)
    assert log.faults == {}
    assert [t for t, _, _ in stream.of("Image")] == [
        ("duration", np.timedelta64(SECOND + i * SECOND // 10, "ns")) for i in range(5)
    ]
    grids = stream.of("GridMap")
    assert [g.named["translation"][0] for _, _, g in grids] == [0, 1, 2, 3, 4]
    assert np.frombuffer(grids[0][2].named["data"], np.int8).reshape(8, 10)[3, 0] == 100
    assert grids[0][2].named["cell_size"] == 0.5
    depths = [k.positional[0] for _, e, k in stream.of("DepthImage") if e == DEPTHS]
    assert [int(d[0, 0]) for d in depths] == [7000, 8000, 9000, 10_000, 11_000]
    assert len(stream.of("Points3D")) == 5


def test_what_is_static_comes_first_and_stays(
    tmp_path: Path, stream: Stream, log: MessageLog
) -> None:
    with Recordings(drive(tmp_path)) as recordings:
        recordings.show(log)
    _, entity, (shown,), static = stream.logged[0]
    assert (entity, static) == ("tf/camera_left", True)
    assert shown.named["parent_frame"] == "base_link"
    assert not any(s for _, e, _, s in stream.logged if e == "tf/base_link")


def test_cameras_hang_in_their_frames(tmp_path: Path, stream: Stream, log: MessageLog) -> None:
    with Recordings(drive(tmp_path)) as recordings:
        recordings.show(log)
    cameras = {e: k.named for _, e, k in stream.of("Pinhole")}
    assert set(cameras) == {IMAGES, DEPTHS}
    for entity, camera in cameras.items():
        assert camera["parent_frame"] == "camera_left"
        assert camera["image_from_camera"][0][0] == CAMERA.fx
        # ROS counts centres of pixels at integers, a picture's corner is 0.
        assert camera["image_from_camera"][0][2] == pytest.approx(CAMERA.cx)
        frames = [k.positional[0] for _, e, k in stream.of("CoordinateFrame") if e == entity]
        assert set(frames) == {camera["child_frame"]}
    assert len({c["child_frame"] for c in cameras.values()}) == 2


def test_the_path_grows_in_the_fixed_frame(tmp_path: Path, stream: Stream, log: MessageLog) -> None:
    with Recordings(drive(tmp_path)) as recordings:
        recordings.show(log)
    paths = [k.positional[0][0] for _, e, k in stream.of("LineStrips3D") if e == "poses/base_link"]
    assert [len(path) for path in paths] == [1, 2, 3, 4, 5]
    assert paths[-1][-1] == (4.0, 0.0, 0.0)


def test_real_stamps_are_times_of_day(stream: Stream, log: MessageLog) -> None:
    log.take("/map", GRID, grid(1_700_000_000 * SECOND, np.zeros((2, 2))))
    (kind, at), _, _ = stream.of("GridMap")[0]
    assert kind == "timestamp" and at == np.datetime64("2023-11-14T22:13:20", "ns")


def test_what_cannot_be_shown_is_counted_and_the_rest_goes_on(
    stream: Stream, log: MessageLog
) -> None:
    short = grid(SECOND, np.zeros((2, 2)))
    short.info.width = 3
    for made in (short, short, grid(SECOND, np.zeros((2, 2)))):
        log.take("/map", GRID, made)
    count, reason = log.faults["/map"]
    assert count == 2 and "3x2 cells holds 4" in reason
    assert len(stream.of("GridMap")) == 1


def test_a_transform_that_turns_by_nothing_known_is_not_shown(
    stream: Stream, log: MessageLog
) -> None:
    stamped = message(
        "geometry_msgs/msg/TransformStamped",
        header=header("odom", SECOND),
        child_frame_id="base_link",
        transform=message(
            "geometry_msgs/msg/Transform",
            translation=message("geometry_msgs/msg/Vector3", x=1.0, y=0.0, z=0.0),
            rotation=message("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=0.0),
        ),
    )
    log.take(
        "/tf", "tf2_msgs/msg/TFMessage", message("tf2_msgs/msg/TFMessage", transforms=[stamped])
    )
    assert stream.logged == []
    assert "quaternion of length 0" in log.faults["/tf"][1]


def marker(kind: int, action: int = 0, points: tuple = ()) -> Any:
    point = "geometry_msgs/msg/Point"
    return SimpleNamespace(
        header=header("odom", SECOND),
        ns="views",
        id=3,
        type=kind,
        action=action,
        pose=pose(1.0, 0.0, 0.0, (0, 0, 2**-0.5, 2**-0.5)),
        points=[message(point, x=float(x), y=float(y), z=0.0) for x, y in points],
        text="",
    )


def test_marked_lines_stand_where_their_pose_puts_them(stream: Stream, log: MessageLog) -> None:
    pairs = marker(5, points=((0, 0), (1, 0), (2, 0), (3, 0)))
    log.take("/kdbts/views", MARKERS, SimpleNamespace(markers=[pairs]))
    _, entity, lines = stream.of("LineStrips3D")[0]
    assert entity == "/kdbts/views/views/3"
    first, second = lines.positional[0]
    assert np.allclose(first, [[1, 0, 0], [1, 1, 0]]) and np.allclose(second[1], [1, 3, 0])
    log.take("/kdbts/views", MARKERS, SimpleNamespace(markers=[marker(5, action=3)]))
    assert stream.of("Clear")[0][1] == "/kdbts/views"


def test_diagnostics_are_told_when_they_change(stream: Stream, log: MessageLog) -> None:
    kind = "diagnostic_msgs/msg/DiagnosticArray"
    for text in ("no images", "no images", "fine"):
        status = SimpleNamespace(name="kdbts: input", level=b"\x01", message=text)
        made = SimpleNamespace(header=header("", SECOND), status=[status])
        log.take("/diagnostics", kind, made)
    told = [k.positional[0] for _, _, k in stream.of("TextLog")]
    assert told == ["kdbts: input: no images", "kdbts: input: fine"]


def test_the_layout_shows_colours_first_and_one_map() -> None:
    topics = Topics.of(
        {
            DEPTHS: "sensor_msgs/msg/Image",
            f"{IMAGES}/compressed": "sensor_msgs/msg/CompressedImage",
            "/kdbts/preview": "sensor_msgs/msg/Image",
            "/kdbts/occupancy_probability": GRID,
            "/kdbts/occupancy": GRID,
            "/chatter": "std_msgs/msg/String",
        }
    )
    assert topics.pictures == (IMAGES, DEPTHS)
    assert topics.grids == ("/kdbts/occupancy", "/kdbts/occupancy_probability")
    assert is_shown("/kdbts/points", CLOUD) and not is_shown("/chatter", "std_msgs/msg/String")


def test_a_recording_of_nothing_that_is_shown_says_what_it_holds(tmp_path: Path) -> None:
    from rosbags.rosbag2 import StoragePlugin, Writer

    from kdbts_ros.datasets.bags.messages import TYPESTORE

    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        kind = "std_msgs/msg/String"
        chatter = writer.add_connection("/chatter", kind, typestore=TYPESTORE)
        text = TYPESTORE.serialize_cdr(message(kind, data="hello"), kind)
        writer.write(chatter, SECOND, bytes(text))
    with pytest.raises(UserError, match=r"nothing to show; it holds /chatter"):
        Recordings([tmp_path / "bag"])
