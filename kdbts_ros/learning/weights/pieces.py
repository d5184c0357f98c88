"""A large file as pieces of bounded size, and back, every byte accounted for.

Some ways out of a machine take small files only. The pieces lie in a folder beside `pieces.json`,
which has the size and SHA-256 of each and of the whole.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kdbts_ros.density.checkpoints.checkpoint import sha256
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown
from kdbts_ros.reading import read_bounded, reading

MANIFEST = "pieces.json"
MEBIBYTE = 1 << 20
# Of ten thousand pieces.
LARGEST_MANIFEST = 2_000_000


@dataclass(frozen=True)
class Piece:
    """Name within the folder, bytes, SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Name, bytes and SHA-256 of the whole, and its pieces in order."""

    name: str
    size: int
    sha256: str
    pieces: tuple[Piece, ...]


def split_file(file: Path, folder: Path, mebibytes: int = 16) -> Manifest:
    """Cut a file into pieces of at most `mebibytes` MiB; the manifest is written last.

    Raises:
        UserError: the file cannot be read, the folder holds something already, the disk is full.
    """
    pieces: list[Piece] = []
    try:
        if folder.is_dir() and any(folder.iterdir()):
            raise UserError(f"{shown(folder)} is not empty; name a new folder for the pieces")
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("rb") as source:
            while block := source.read(mebibytes * MEBIBYTE):
                name = f"{file.name}.{len(pieces):03d}"
                pieces.append(Piece(name, len(block), hashlib.sha256(block).hexdigest()))
                (folder / name).write_bytes(block)
        manifest = Manifest(file.name, file.stat().st_size, sha256(file), tuple(pieces))
        (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n")
    except OSError as error:
        # Half a set of pieces would only be in the way of the next attempt.
        for piece in pieces:
            (folder / piece.name).unlink(missing_ok=True)
        raise UserError(f"cannot cut {shown(file)} into pieces: {error}") from error
    return manifest


def join_file(folder: Path, out: Path | None = None) -> Path:
    """Put the pieces of a folder together; `out` appears only when every byte is right.

    Raises:
        UserError: a piece is missing or damaged (all such are named), or the disk is full.
    """
    manifest = read_manifest(folder)
    wrong = [piece.name for piece in manifest.pieces if not _intact(folder, piece)]
    if wrong:
        raise UserError(f"{folder} lacks or has damaged: {', '.join(wrong)}; fetch these again")
    target = out or folder.parent / manifest.name
    partial = target.with_name(target.name + ".partial")
    try:
        with partial.open("wb") as file:
            for piece in manifest.pieces:
                file.write((folder / piece.name).read_bytes())
        if sha256(partial) != manifest.sha256:
            raise UserError(f"the pieces of {folder} do not give the file that was cut")
        partial.replace(target)
    except OSError as error:
        raise UserError(f"cannot write {target}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def read_manifest(folder: Path) -> Manifest:
    """What a folder of pieces should hold; UserError where there is no sound manifest."""
    file = folder / MANIFEST
    if not file.exists():
        raise UserError(f"{folder} holds no {MANIFEST}: it is not a folder of pieces")
    with reading(file, "fetch it again", "json"):
        content = json.loads(read_bounded(file, LARGEST_MANIFEST, "fetch it again"))
        pieces = tuple(Piece(**piece) for piece in content.pop("pieces"))
        manifest = Manifest(**content, pieces=pieces)
        if any(Path(name).name != name for name in (manifest.name, *(p.name for p in pieces))):
            raise UserError(f"{file} names files outside its folder")
    return manifest


def _intact(folder: Path, piece: Piece) -> bool:
    path = folder / piece.name
    return path.is_file() and path.stat().st_size == piece.size and sha256(path) == piece.sha256
