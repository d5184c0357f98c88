"""Recordings that would take gigabytes; see `test.fuzz.bombs`."""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from test.fuzz.file_bombs import GIGABYTE, Bomb


def metadata(folder: Path) -> Callable[[], object]:
    from kdbts_ros.datasets.bags.recording import Recording

    (folder / "metadata.yaml").write_text("[" * 20_000)
    return lambda: Recording(folder)


def _drive(folder: Path, storage: str = "mcap") -> Path:
    import numpy as np

    from kdbts_ros.datasets.bags.writer import write_bag
    from kdbts_ros.datasets.sample import PosedFrame
    from kdbts_ros.density.geometry.camera import View
    from test.datasets.bags import CAMERA, T_BASE_CAM, grey

    frames = [
        PosedFrame(10**9 * k, {"left": View(grey(k), CAMERA, T_BASE_CAM)}, np.eye(4))
        for k in (1, 2)
    ]
    write_bag(frames, folder / "bag", storage=storage)  # type: ignore[arg-type]
    return folder / "bag"


def qos(folder: Path) -> Callable[[], object]:
    """A topic whose text of QoS nests without end."""
    import sqlite3

    from kdbts_ros.datasets.bags.recording import Recording

    file = _drive(folder, "sqlite3") / "bag.db3"
    database = sqlite3.connect(file)
    database.execute("UPDATE topics SET offered_qos_profiles = ?", ("[" * 20_000,))
    database.commit()
    database.close()
    return lambda: Recording(file)


def calibration(folder: Path) -> Callable[[], object]:
    """Images of a thousand pixels whose camera_info claims ninety million that a lens bends."""
    import numpy as np

    from kdbts_ros.datasets.bags.drive import BagDrive
    from test.datasets.bags import SECOND, Bag, drive, grey

    K = np.array([8000.0, 0, 4750, 0, 8000, 4750, 0, 0, 1])
    claim = {"width": 9500, "height": 9500, "k": K, "d": np.array([-0.1, 0.01, 0, 0, 0])}
    with Bag(folder / "bag") as bag:
        drive(bag)
        bag.info(SECOND, **claim)
        bag.image(SECOND, grey(1))
    return lambda: BagDrive(folder / "bag").camera("eye")


def _mcap(path: Path, compression: str, packed: bytes, size: int) -> None:
    """An mcap without a summary whose only chunk is `packed`."""

    def text(value: str) -> bytes:
        return len(value).to_bytes(4, "little") + value.encode()

    def record(code: int, content: bytes) -> bytes:
        return bytes([code]) + len(content).to_bytes(8, "little") + content

    chunk = struct.pack("<QQQI", 0, 1, size, 0) + text(compression)
    chunk += len(packed).to_bytes(8, "little") + packed
    magic = b"\x89MCAP0\r\n"
    path.write_bytes(
        magic
        + record(1, text("ros2") + text("bomb"))
        + record(6, chunk)
        + record(2, struct.pack("<QQI", 0, 0, 0))
        + magic
    )


def mcap_chunk(compression: str, size: int) -> Bomb:
    """A chunk of a gigabyte of zeros that claims `size` bytes."""

    def made(folder: Path) -> Callable[[], object]:
        from kdbts_ros.datasets.bags.bounds import zstd_module
        from kdbts_ros.datasets.bags.recording import Recording

        packer: Any = zstd_module(folder).ZstdCompressor()
        if compression == "lz4":
            packer = importlib.import_module("lz4.frame").LZ4FrameCompressor()
            parts = [packer.begin()]
        else:
            parts = []
        parts += [packer.compress(bytes(1 << 24)) for _ in range(GIGABYTE >> 24)]
        _mcap(folder / "bomb.mcap", compression, b"".join([*parts, packer.flush()]), size)
        return lambda: Recording(folder / "bomb.mcap")

    return made


def packed_recording(folder: Path) -> Callable[[], object]:
    """A gigabyte of zeros where the metadata says that files are compressed."""
    from kdbts_ros.datasets.bags.bounds import zstd_module
    from kdbts_ros.datasets.bags.recording import Recording

    bag = _drive(folder)
    packer = zstd_module(folder).ZstdCompressor()
    with (bag / "bag.mcap.zstd").open("wb") as file:
        for _ in range(GIGABYTE >> 24):
            file.write(packer.compress(bytes(1 << 24)))
        file.write(packer.flush())
    (bag / "bag.mcap").unlink()
    text = (bag / "metadata.yaml").read_text().replace("bag.mcap", "bag.mcap.zstd")
    text = text.replace("compression_format: ''", "compression_format: zstd")
    (bag / "metadata.yaml").write_text(
        text.replace("compression_mode: ''", "compression_mode: FILE")
    )
    return lambda: Recording(bag)
