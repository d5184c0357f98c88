"""Recordings as they lie on disks: split, compressed, without metadata, cut off, of ROS 1."""

from __future__ import annotations

import pickle
import shutil
import sqlite3
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.datasets.bags.files import find_bags, open_bag
from kdbts_ros.datasets.bags.messages import TYPESTORE, image
from kdbts_ros.errors import UserError
from test.datasets.bags import CAMERA, IMAGE, SECOND, Bag, drive, grey

STORAGES = pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
SUFFIX = {StoragePlugin.MCAP: ".mcap", StoragePlugin.SQLITE3: ".db3"}
IMAGES = 5


def recorded(
    path: Path,
    storage: StoragePlugin = StoragePlugin.MCAP,
    compression: CompressionMode = CompressionMode.NONE,
    first: int = 0,
    last: int = IMAGES,
) -> Path:
    """Part of a drive of five images: the poses are in the part with the first."""
    with Bag(path, storage, compression) as bag:
        if not first:
            drive(bag)
        for i in range(first, last):
            stamp = SECOND + i * SECOND // 10
            bag.info(stamp)
            bag.image(stamp, grey(10 * i))
    return path


def is_whole(path: Path) -> bool:
    """Whether every image is there, in this process and in another."""
    found = BagDrive(path)
    again = pickle.loads(pickle.dumps(found))
    values = [[d.image(i, "eye")[0, 0, 0] for i in d.frames] for d in (found, again)]
    return values == [[10 * i for i in range(IMAGES)]] * 2


@STORAGES
@pytest.mark.parametrize(
    "compression", [CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE]
)
@pytest.mark.parametrize("fate", ["with metadata", "gone", "cut off", "of a later version"])
def test_what_stands_in_the_files_is_read_whatever_became_of_the_metadata(
    tmp_path: Path, storage: StoragePlugin, compression: CompressionMode, fate: str
) -> None:
    path = recorded(tmp_path / "bag", storage, compression)
    metadata = path / "metadata.yaml"
    if fate == "gone":
        metadata.unlink()
    elif fate == "cut off":
        metadata.write_text(metadata.read_text()[:40])
    elif fate == "of a later version":
        told = yaml.safe_load(metadata.read_text())
        told["rosbag2_bagfile_information"]["version"] = 99
        metadata.write_text(yaml.safe_dump(told))
    (bag,) = find_bags([path])
    assert is_whole(bag)
    assert is_whole(path)


@STORAGES
def test_a_split_recording_is_one_without_metadata(tmp_path: Path, storage: StoragePlugin) -> None:
    split, suffix = tmp_path / "split", SUFFIX[storage]
    split.mkdir()
    # Ten comes after nine, and the one that was first need not have the first number.
    for number, (first, last) in {"9": (0, 2), "10": (2, 4), "11": (4, IMAGES)}.items():
        part = recorded(tmp_path / number, storage, first=first, last=last)
        shutil.copy(part / f"{number}{suffix}", split / f"drive_{number}{suffix}")
    assert find_bags([split]) == (split,)
    assert is_whole(split)
    with open_bag(split) as bag:
        counts = {connection.topic: connection.msgcount for connection in bag.connections}
        logged = [ns for _, ns, _ in bag.messages() if ns]
        assert counts["/eye/image_raw"] == IMAGES
        assert len(logged) == bag.message_count == sum(counts.values())
        assert max(logged) - bag.start_time < bag.duration


def test_recordings_beside_one_another_are_told_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        bag = recorded(tmp_path / "made" / name)
        shutil.copy(bag / f"{name}.mcap", tmp_path / f"{name}_0.mcap")
    assert [p.name for p in find_bags([tmp_path])] == ["a_0.mcap", "b_0.mcap"]
    with pytest.raises(UserError, match="holds several recordings: name one of a, b"):
        BagDrive(tmp_path)
    shutil.copy(tmp_path / "b_0.mcap", tmp_path / "b_1.mcap")
    with pytest.raises(UserError, match="b has several files: put each in a folder of its own"):
        find_bags([tmp_path])


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    path = recorded(tmp_path / "bag")
    metadata = path / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("- bag.mcap", "- bag.mcap\n    - bag_1.mcap"))
    with pytest.raises(UserError, match=r"is not complete: .*bag_1.mcap.* Put them back, or take"):
        BagDrive(path)


@STORAGES
@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_recording_that_was_cut_off_gets_the_cure_that_works(
    tmp_path: Path, storage: StoragePlugin, metadata: bool, share: float
) -> None:
    path = recorded(tmp_path / "bag", storage)
    (file,) = path.glob(f"*{SUFFIX[storage]}")
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    if not metadata:
        (path / "metadata.yaml").unlink()
    cure = "mcap recover bag.mcap -o" if storage is StoragePlugin.MCAP else "sqlite3 bag.db3 .dump"
    with pytest.raises(UserError, match=rf"was cut off or damaged \(.*\): `{cure}"):
        BagDrive(path)
    with pytest.raises(UserError, match=f"{file.name} was cut off or damaged"):
        BagDrive(file)


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="needs the program sqlite3")
def test_the_cure_of_a_database_works(tmp_path: Path) -> None:
    path = recorded(tmp_path / "bag", StoragePlugin.SQLITE3)
    file = path / "bag.db3"
    file.write_bytes(file.read_bytes()[:-4096])
    with pytest.raises(UserError) as caught:
        BagDrive(file)
    command = str(caught.value).split("`")[1]
    subprocess.run(command, shell=True, check=True, cwd=path, capture_output=True)
    with open_bag(path / "recovered.db3") as bag:
        assert bag.message_count > 0


def test_damage_in_the_middle_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    with Bag(path, StoragePlugin.SQLITE3) as bag:
        drive(bag)
        for i in range(20):
            bag.info(SECOND + i)
            bag.image(SECOND + i, grey(i))
    file = path / "bag.db3"
    data = bytearray(file.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 8 * 4096] = b"\xff" * 8 * 4096
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"bag.db3 was cut off or damaged"):
        BagDrive(path)


def test_messages_in_a_journal_are_not_lost(tmp_path: Path) -> None:
    path = recorded(tmp_path / "bag", StoragePlugin.SQLITE3)
    database = sqlite3.connect(path / "bag.db3")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (1, 1, x'00')")
    database.commit()
    with pytest.raises(
        UserError, match=r"lie in bag.db3-wal: join them with `sqlite3 bag.db3 'PRA"
    ):
        BagDrive(path / "bag.db3")
    database.close()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        (
            "a.bag",
            b"#ROSBAG V2.0\n",
            "is a ROS 1 bag: convert it with `rosbags-convert --src a.bag",
        ),
        ("a b.bag", b"#ROSBAG V2.0\n", "--src 'a b.bag' --dst 'a b'`, and name that folder"),
        ("a.bag.active", b"#ROSBAG V2.0\n", "that was not closed: `rosbag reindex` it, then"),
        ("a.mcap", b"", "is empty: nothing was recorded"),
        ("a.mcap", b"no recording at all", "is not a readable rosbag2 recording"),
        ("a.db3", b"no recording at all", "is not a readable rosbag2 recording"),
        ("a.mcap", b"version https://git-lfs.github.com/spec/v1\n", "pointer of git-lfs"),
        ("a.mcap.zstd", b"no archive at all", "cannot be unpacked"),
        ("a.mp4", b"a film", "is no rosbag2 recording: those end with .mcap or .db3"),
    ],
)
def test_other_files_are_named(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=words):
        BagDrive(tmp_path / name)
    if name.endswith(".mp4"):
        words = "holds no rosbag2 recording: neither a metadata.yaml nor files"
    with pytest.raises(UserError, match=words):
        [BagDrive(bag) for bag in find_bags([tmp_path])]


def test_each_image_of_a_recording_has_one_brightness(tmp_path: Path) -> None:
    """Whichever was read before: twelve bits are told by looking at some of them."""
    path = tmp_path / "bag"
    with Bag(path) as bag:
        drive(bag)
        for i in range(IMAGES):
            stamp = SECOND + i * SECOND // 10
            bag.info(stamp)
            bag.put("/eye/image_raw", IMAGE, stamp, mono16(stamp, 4000 if i == 4 else 800))
    found = BagDrive(path)
    forwards = [found.image(i, "eye")[0, 0, 0] for i in found.frames]
    again = BagDrive(path)
    backwards = [again.image(i, "eye")[0, 0, 0] for i in reversed(again.frames)][::-1]
    assert forwards == backwards == [800 >> 4] * 4 + [4000 >> 4]


def mono16(stamp_ns: int, value: int) -> memoryview:
    """A grey image of one value everywhere."""
    message = TYPESTORE.deserialize_cdr(image(grey(0), "eye", stamp_ns), IMAGE)
    message.encoding, message.step = "mono16", 2 * CAMERA.width
    message.data = np.full(CAMERA.width * CAMERA.height, value, "<u2").view(np.uint8)
    return memoryview(TYPESTORE.serialize_cdr(message, IMAGE))


def test_a_folder_of_bags_is_searched(tmp_path: Path) -> None:
    recorded(tmp_path / "runs" / "b")
    recorded(tmp_path / "runs" / "a")
    assert [p.name for p in find_bags([tmp_path / "runs"])] == ["a", "b"]
    assert find_bags([tmp_path / "runs" / "b"]) == (tmp_path / "runs" / "b",)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no rosbag2 recording"):
        find_bags([tmp_path / "empty"])
    with pytest.raises(UserError, match="does not exist"):
        find_bags([tmp_path / "nowhere"])
