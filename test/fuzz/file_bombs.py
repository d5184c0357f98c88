"""Images, tables, settings and results that would take gigabytes; see `test.fuzz.bombs`."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from kdbts_ros.errors import UserError

GIGABYTE = 1 << 30
Bomb = Callable[[Path], Callable[[], object]]


def png(side: int) -> bytes:
    """All black, of a thousandth of its pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    packer, row = zlib.compressobj(9), bytes(1 + 3 * side)
    rows = b"".join(packer.compress(row) for _ in range(side // 300)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def image_file(folder: Path) -> Callable[[], object]:
    from kdbts_ros.encoded_images import read_image

    (folder / "bomb.png").write_bytes(png(30_000))
    return lambda: read_image(folder / "bomb.png")


def image_message(folder: Path) -> Callable[[], object]:
    from kdbts_ros.datasets.ros.compressed_images import decode_compressed

    message = SimpleNamespace(format="rgb8; png compressed bgr8", data=png(30_000))
    return lambda: decode_compressed(message)


def jpeg_scans(folder: Path) -> Callable[[], object]:
    """A progressive JPEG that is gone through once for each of twenty thousand scans."""
    import cv2
    import numpy as np

    from kdbts_ros.encoded_images import read_image

    flags = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    content = cv2.imencode(".jpg", np.zeros((2000, 2000, 3), np.uint8), flags)[1].tobytes()
    last = content.rindex(b"\xff\xda")
    scan = content[last : content.rindex(b"\xff\xd9")]
    (folder / "bomb.jpg").write_bytes(content[:last] + scan * 20_000 + b"\xff\xd9")
    return lambda: read_image(folder / "bomb.jpg")


def kitti(folder: Path) -> Callable[[], object]:
    from kdbts_ros.datasets.kitti.raw import KittiRawDrive
    from test.datasets.conftest import make_raw

    root = make_raw(folder / "raw")
    for image in root.rglob("image_02/data/*.png"):
        image.write_bytes(png(30_000))
    return lambda: KittiRawDrive(root)


def sparse(name: str, read: Callable[[Path], object]) -> Bomb:
    """A file of four gigabytes of which nothing lies on the disk."""

    def made(folder: Path) -> Callable[[], object]:
        with (folder / name).open("wb") as file:
            file.truncate(4 * GIGABYTE)
        return lambda: read(folder / name)

    return made


def scan(path: Path) -> object:
    from kdbts_ros.datasets.kitti.files import read_scan

    return read_scan(path)


def table(path: Path) -> object:
    from kdbts_ros.datasets.kitti.files import read_table

    return read_table(path, 12, "give another")


def config(path: Path) -> object:
    from kdbts_ros.learning.config.config_file import load_config

    return load_config(path)


def yaml_text(text: str) -> Bomb:
    def made(folder: Path) -> Callable[[], object]:
        (folder / "bomb.yaml").write_text(text)
        return lambda: config(folder / "bomb.yaml")

    return made


def laughs() -> str:
    """Nine lines that name a thousand million values."""
    lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 9)]
    return "\n".join(lines)


def merges() -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 10)}]}}" for k in range(1, 9)]
    return "\n".join(lines)


def earlier_result(folder: Path) -> Callable[[], object]:
    """Results in the place of new ones, whose name of an image is a gigabyte long."""
    import numpy as np

    from kdbts_ros.cli.predictions import _source

    start = io.BytesIO()
    np.save(start, np.array("x"))
    header = start.getvalue().replace(b"'<U1'", f"'<U{GIGABYTE // 4}'".encode())
    with (
        zipfile.ZipFile(folder / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("source.npy", "w", force_zip64=True) as entry,
    ):
        entry.write(header)
        for _ in range(GIGABYTE >> 24):
            entry.write(bytes(1 << 24))

    def read() -> None:
        if _source(folder / "x.npz") is None:
            raise UserError("x.npz says of no image that it is of")

    return read


def image(path: Path) -> object:
    from kdbts_ros.encoded_images import read_image

    return read_image(path)
