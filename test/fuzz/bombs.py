"""Small files that would take gigabytes, and what reads them, each in a process of its own.

`python -m test.fuzz.bombs FOLDER [KIND...]` makes each bomb, reads it, and prints by how many MB
the process that read it grew, how long it computed, and the sentence the bomb was refused with.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import pickle
import resource
import shutil
import struct
import sys
import time
import traceback
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch  # its libraries are no part of what a bomb costs

from kdbts_ros.errors import UserError

assert torch.__version__
GIGABYTE = 1 << 30
# Seconds of computing after which a reader is ended.
LONGEST = 60
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


def _scan(path: Path) -> object:
    from kdbts_ros.datasets.kitti.files import read_scan

    return read_scan(path)


def _table(path: Path) -> object:
    from kdbts_ros.datasets.kitti.files import read_table

    return read_table(path, 12, "give another")


def _config(path: Path) -> object:
    from kdbts_ros.learning.config.config_file import load_config

    return load_config(path)


def _weights(path: Path) -> object:
    from kdbts_ros.density.checkpoints.checkpoint import load_network

    return load_network(path)


def packed_weights(folder: Path) -> Callable[[], object]:
    """A megabyte of a deflated archive that is a gigabyte of zeros."""
    with zipfile.ZipFile(folder / "bomb.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
        with archive.open("archive/data/0", "w", force_zip64=True) as entry:
            for _ in range(GIGABYTE >> 24):
                entry.write(bytes(1 << 24))
    return lambda: _weights(folder / "bomb.pt")


class Allocated:
    """Unpickled, it is three gigabytes of zeros, by a call that `weights_only` takes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return bytearray, (3 * GIGABYTE,)


def allocating_pickle(folder: Path) -> Callable[[], object]:
    content = pickle.dumps({"model": Allocated()}, 2)
    with zipfile.ZipFile(folder / "bomb.pt", "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3")
    return lambda: _weights(folder / "bomb.pt")


def endless_pickle(folder: Path) -> Callable[[], object]:
    """Thirty million opcodes."""
    content = b"\x80\x02" + b"N0" * 15_000_000 + b"}."
    with zipfile.ZipFile(folder / "bomb.pt", "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return lambda: _weights(folder / "bomb.pt")


def network(**fields: object) -> Bomb:
    """A description that asks for a network beyond all memory, in a file that is as large."""

    def made(folder: Path) -> Callable[[], object]:
        import dataclasses

        from kdbts_ros.density.checkpoints.checkpoint import expected_shapes
        from kdbts_ros.density.network.network import NetworkSpec

        spec: Any = {**dataclasses.asdict(NetworkSpec()), **fields}
        try:
            shapes = {
                k: v
                for k, v in expected_shapes(NetworkSpec(**spec)).items()
                if not k.endswith("num_batches_tracked")
            }
        except UserError:
            shapes = {}
        header: dict[str, Any] = {
            "__metadata__": {"format": "kdbts_ros/1", "spec": json.dumps(spec), "notes": "{}"}
        }
        end = 0
        for key, shape in shapes.items():
            size = 4
            for width in shape:
                size *= width
            header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
            end += size
        text = json.dumps(header).encode()
        with (folder / "bomb.safetensors").open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.truncate(file.tell() + end)
        return lambda: _weights(folder / "bomb.safetensors")

    return made


def yaml_text(text: str) -> Bomb:
    def made(folder: Path) -> Callable[[], object]:
        (folder / "bomb.yaml").write_text(text)
        return lambda: _config(folder / "bomb.yaml")

    return made


def _laughs() -> str:
    """Nine lines that name a thousand million values."""
    lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 9)]
    return "\n".join(lines)


def _merges() -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 10)}]}}" for k in range(1, 9)]
    return "\n".join(lines)


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


BOMBS: dict[str, Bomb] = {
    "image of 900 megapixels": image_file,
    "image message of 900 megapixels": image_message,
    "JPEG of twenty thousand scans": jpeg_scans,
    "KITTI images of 900 megapixels": kitti,
    "sparse image": sparse("bomb.png", lambda path: _image(path)),
    "sparse scan": sparse("bomb.bin", _scan),
    "sparse table": sparse("bomb.txt", _table),
    "sparse settings": sparse("bomb.yaml", _config),
    "sparse weights": sparse("bomb.safetensors", _weights),
    "sparse pickle": sparse("bomb.pt", _weights),
    "deflated weights": packed_weights,
    "pickle that allocates": allocating_pickle,
    "pickle without end": endless_pickle,
    "network of wide layers": network(decoder_channels=(4096,) * 5, feature_channels=4096),
    "network of a wide head": network(head_widths=(4096,) * 3, head="mvbts"),
    "network of a large input": network(image_width=8192, image_height=8192),
    "brackets": yaml_text("[" * 20_000),
    "braces": yaml_text("{a: " * 20_000),
    "aliases": yaml_text(_laughs()),
    "merged aliases": yaml_text(_merges()),
    "many values": yaml_text("\n".join(f"k{k}: v" for k in range(30_000))),
    "metadata of brackets": metadata,
    "QoS of brackets": qos,
    "mcap chunk that lies, zstd": mcap_chunk("zstd", 1000),
    "mcap chunk that lies, lz4": mcap_chunk("lz4", 1000),
    "mcap chunk that says so, zstd": mcap_chunk("zstd", 2 * GIGABYTE),
    "compressed recording": packed_recording,
    "earlier result": earlier_result,
}


def _image(path: Path) -> object:
    from kdbts_ros.encoded_images import read_image

    return read_image(path)


def _peak() -> float:
    """Of this process so far, MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _tried(read: Callable[[], object]) -> dict[str, Any]:
    """What reading cost, and the sentence it was refused with."""
    before, start = _peak(), time.process_time()
    said = ""
    try:
        read()
    except UserError as error:
        said = str(error)
    return {"mb": _peak() - before, "seconds": time.process_time() - start, "said": said}


def _apart(work: Callable[[], object]) -> None:
    """Run in a forked process, which has the memory of now and no peak of the past."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            sys.stdout.flush()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.waitpid(child, 0)


def main(folder: Path, kinds: list[str]) -> None:
    for kind in kinds or BOMBS:
        place = folder / kind.replace(" ", "_").replace(",", "")
        place.mkdir()

        def told(kind: str = kind, place: Path = place) -> None:
            read = BOMBS[kind](place)

            def one() -> None:
                # Whoever goes through all that is claimed is ended, and found missing.
                resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST))
                print(json.dumps({"kind": kind, **_tried(read)}))

            _apart(one)

        _apart(told)
        shutil.rmtree(place)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
