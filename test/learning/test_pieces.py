"""A file cut into pieces comes back whole, or with one sentence that names what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kdbts_ros.errors import UserError
from kdbts_ros.learning.weights.pieces import MANIFEST, MEBIBYTE, join_file, split_file


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    content = np.random.default_rng(0).integers(0, 256, 2 * MEBIBYTE + 5, np.uint8).tobytes()
    path = tmp_path / "state.pt"
    path.write_bytes(content)
    return path


def test_pieces_are_bounded_and_come_back_whole(whole: Path, tmp_path: Path) -> None:
    manifest = split_file(whole, tmp_path / "pieces", mebibytes=1)
    assert [piece.size for piece in manifest.pieces] == [MEBIBYTE, MEBIBYTE, 5]
    joined = join_file(tmp_path / "pieces", tmp_path / "again.pt")
    assert joined.read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob("*.partial"))


def test_missing_and_damaged_pieces_are_named(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pieces"
    split_file(whole, folder, mebibytes=1)
    (folder / "state.pt.000").unlink()
    damaged = bytearray((folder / "state.pt.001").read_bytes())
    damaged[7] ^= 1
    (folder / "state.pt.001").write_bytes(damaged)
    whole.unlink()
    with pytest.raises(UserError, match=r"state.pt.000, state.pt.001; fetch"):
        join_file(folder)
    assert not whole.exists()


def test_an_existing_file_survives_a_failed_join(whole: Path, tmp_path: Path) -> None:
    before = whole.read_bytes()
    split_file(whole, tmp_path / "pieces", mebibytes=1)
    (tmp_path / "pieces" / "state.pt.002").write_bytes(b"short")
    with pytest.raises(UserError, match=r"state\.pt\.002"):
        join_file(tmp_path / "pieces", whole)
    assert whole.read_bytes() == before


def test_a_full_disk_leaves_no_half_set(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name.endswith("001"):
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="No space left"):
        split_file(whole, tmp_path / "pieces", mebibytes=1)
    assert not list((tmp_path / "pieces").iterdir())


def test_foreign_folders_are_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not empty"):
        split_file(whole, tmp_path)
    with pytest.raises(UserError, match="not a folder of pieces"):
        join_file(tmp_path)
    manifest = {"name": "../evil", "size": 0, "sha256": "", "pieces": []}
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="outside its folder"):
        join_file(tmp_path)
