"""Recordings that lie, are damaged in single bits, or are written to a full disk."""

from __future__ import annotations

import importlib
import resource
import sqlite3
import zlib
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin

from kdbts_ros.datasets.bags import bounds
from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.datasets.bags.writer import write_bag
from kdbts_ros.datasets.sample import PosedFrame
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.errors import UserError
from test.datasets.bags import CAMERA, SECOND, T_BASE_CAM, Bag, drive, grey


def recorded(path: Path, storage: StoragePlugin = StoragePlugin.MCAP) -> Path:
    """A drive of three images; the file of its messages."""
    with Bag(path, storage) as bag:
        drive(bag)
        for i in range(3):
            bag.info(SECOND + i)
            bag.image(SECOND + i, grey(i))
    (file,) = (p for p in path.iterdir() if p.suffix in (".mcap", ".db3"))
    return file


def with_checksums(file: Path) -> list[range]:
    """Give each chunk of an mcap its CRC, as `ros2 bag record` does; where their messages lie."""
    content, at, found = bytearray(file.read_bytes()), 8, []
    while at + 9 < len(content):
        code, length = content[at], int.from_bytes(content[at + 1 : at + 9], "little")
        if code == 6:
            chunk = at + 9
            name = int.from_bytes(content[chunk + 28 : chunk + 32], "little")
            assert not name, "compressed"
            start = chunk + 40
            data = content[start : chunk + length]
            content[chunk + 24 : chunk + 28] = zlib.crc32(data).to_bytes(4, "little")
            found.append(range(start, chunk + length))
        at += 9 + length
    file.write_bytes(content)
    return found


def test_a_flipped_bit_in_an_mcap_with_checksums_is_noticed(tmp_path: Path) -> None:
    file = recorded(tmp_path / "bag")
    places = [at for part in with_checksums(file) for at in part]
    content, rng = file.read_bytes(), np.random.default_rng(0)
    assert len(BagDrive(file)) == 3
    for at in rng.choice(places, 60):
        flipped = bytearray(content)
        flipped[at] ^= 1 << rng.integers(8)
        file.write_bytes(flipped)
        with pytest.raises(UserError, match="Chunk checksum mismatch"):
            BagDrive(file)


def test_without_checksums_a_bit_of_a_picture_is_not_noticed(tmp_path: Path) -> None:
    """sqlite3 has none: docs/reliability.md says so. What is no picture is still refused."""
    file = recorded(tmp_path / "bag", StoragePlugin.SQLITE3)
    content = file.read_bytes()
    at = content.index(grey(1).tobytes()[:300])
    file.write_bytes(content[:at] + b"\xfe" + content[at + 1 :])
    image = BagDrive(file).image(1, "eye")
    assert 254 in image[:4] and (image == 1).mean() > 0.99


def test_rosbags_unpacks_by_our_bounds() -> None:
    """Its modules have the places in which they are put; another version may not."""
    from rosbags.rosbag2 import reader, storage_mcap, storage_sqlite3

    assert set(storage_mcap.DECOMPRESSORS) == {"", "lz4", "zstd"}
    assert {f.__module__ for f in storage_mcap.DECOMPRESSORS.values()} == {bounds.__name__}
    for module in (reader, storage_mcap, storage_sqlite3):
        assert module.parse_qos.__module__ == bounds.__name__
        assert module.parse_qos("") == []


@pytest.mark.parametrize("packing", ["zstd", "lz4"])
def test_what_is_packed_honestly_is_unpacked(packing: str) -> None:
    from rosbags.rosbag2.storage_mcap import DECOMPRESSORS

    data = bytes(range(256)) * 100
    zstd = bounds.zstd_module(Path("x"))
    packed = {"zstd": zstd.compress, "lz4": importlib.import_module("lz4.frame").compress}[packing](
        data
    )
    assert DECOMPRESSORS[packing](packed, len(data)) == data
    if packing == "zstd":
        assert DECOMPRESSORS[packing](packed + packed, 2 * len(data)) == data + data
        with pytest.raises(EOFError):
            DECOMPRESSORS[packing](packed[:-3], len(data))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE messages SET data = 7",
        "UPDATE messages SET timestamp = 'noon'",
        "UPDATE messages SET timestamp = -5",
        "UPDATE topics SET name = 5",
        "UPDATE topics SET type = NULL",
        "UPDATE topics SET offered_qos_profiles = '- history: ['",
        "DROP TABLE messages",
        "UPDATE message_definitions SET encoding = 'none'",
        "DROP TABLE topics",
        "DROP TABLE message_definitions",
        "DELETE FROM messages",
    ],
)
def test_a_database_that_holds_something_else_is_one_sentence(tmp_path: Path, change: str) -> None:
    file = recorded(tmp_path / "bag", StoragePlugin.SQLITE3)
    database = sqlite3.connect(file)
    database.execute("PRAGMA ignore_check_constraints = ON")
    definition = "UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '')"
    database.execute("PRAGMA writable_schema = ON")
    database.execute(definition)
    database.commit()
    database.close()
    database = sqlite3.connect(file)
    database.execute(change)
    database.commit()
    database.close()
    with pytest.raises(UserError) as told:
        BagDrive(file).image(0, "eye")
    assert "bag.db3" in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, storage: str) -> None:
    frames = [
        PosedFrame(SECOND * k, {"left": View(grey(k), CAMERA, T_BASE_CAM)}, np.eye(4))
        for k in range(1, 40)
    ]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel refuses to let a file grow, as on a disk that is full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    try:
        with pytest.raises(UserError, match="cannot be written"):
            write_bag(frames, tmp_path / "bag", storage=storage)  # type: ignore[arg-type]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
