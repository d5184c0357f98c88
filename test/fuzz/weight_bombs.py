"""Checkpoints that would take gigabytes; see `test.fuzz.bombs`."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdbts_ros.errors import UserError
from test.fuzz.file_bombs import GIGABYTE, Bomb


def load(path: Path) -> object:
    from kdbts_ros.density.checkpoints.checkpoint import load_network

    return load_network(path)


def packed_weights(folder: Path) -> Callable[[], object]:
    """A megabyte of a deflated archive that is a gigabyte of zeros."""
    with zipfile.ZipFile(folder / "bomb.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
        with archive.open("archive/data/0", "w", force_zip64=True) as entry:
            for _ in range(GIGABYTE >> 24):
                entry.write(bytes(1 << 24))
    return lambda: load(folder / "bomb.pt")


class Allocated:
    """Unpickled, it is three gigabytes of zeros, by a call that `weights_only` takes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return bytearray, (3 * GIGABYTE,)


def allocating_pickle(folder: Path) -> Callable[[], object]:
    content = pickle.dumps({"model": Allocated()}, 2)
    with zipfile.ZipFile(folder / "bomb.pt", "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3")
    return lambda: load(folder / "bomb.pt")


def endless_pickle(folder: Path) -> Callable[[], object]:
    """Thirty million opcodes."""
    content = b"\x80\x02" + b"N0" * 15_000_000 + b"}."
    with zipfile.ZipFile(folder / "bomb.pt", "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return lambda: load(folder / "bomb.pt")


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
        return lambda: load(folder / "bomb.safetensors")

    return made
