"""What a file of weights holds, found out before any of it is built, read or trusted.

A file that is none is told by what it is: a pointer of git-lfs, the page of a download, an archive.
Nothing is unpickled beyond tensors and plain containers, and sizes are known from headers.
"""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn

import torch
from safetensors import safe_open
from safetensors.torch import load as load_bytes
from torch import Tensor

from kdbts_ros.density.checkpoints import pickles
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown
from kdbts_ros.reading import foreign, reason_of

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

# Beside shipped weights, as `sha256sum` writes it.
MANIFEST = "SHA256SUMS"
# Names under which trainers put the weights beside the rest of their state.
WRAPPERS = ("model", "state_dict", "model_state_dict", "network", "net", "weights")
_DEPTH = 4
# Ours take 20 kB; JSON of this size is read in a blink and takes no memory to speak of.
LARGEST_HEADER = 10_000_000
# Ours have 14 million numbers, the originals 36 million.
MOST_NUMBERS = 50_000_000
# Of what cannot stay on the disk while it is read.
LARGEST_IN_MEMORY = 400_000_000
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}


@dataclass(frozen=True)
class Header:
    """Of a safetensors file: its texts, and the shapes of its tensors."""

    texts: dict[str, str]
    shapes: dict[str, Shape]


def kind_of(path: Path) -> Literal["safetensors", "torch"]:
    """Which reader a file is for, by its content, whatever its name.

    Raises:
        UserError: it cannot be read, or is no file of weights; says what it is and what to do.
    """
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError as error:
        raise UserError(f"{shown(path)} cannot be read: {error.strerror}") from None
    # First of all: the length of a header may begin like anything else.
    if start[4:9] == b"\0\0\0\0{":
        return "safetensors"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        _refuse(path, "is an empty file: get it again")
    if start.startswith(b"version https://git-lfs"):
        _refuse(path, "is a pointer of git-lfs, not the weights: run `git lfs pull` in its clone")
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        _refuse(
            path,
            "is a web page, not weights: the page of a download was saved instead of its file; "
            "open it in a browser and download from there",
        )
    if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd")):
        _refuse(path, "is a compressed archive: unpack it and name the file inside")
    if start.startswith((b"PK\x03\x04", b"\x80")) or path.suffix != ".safetensors":
        return "torch"
    return "safetensors"


def read_header(path: Path) -> Header:
    """Texts and shapes of a safetensors file; no tensor is read.

    Raises:
        UserError: it is cut short, or no safetensors file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > LARGEST_HEADER:
                _refuse(path, "is not a readable safetensors file: it does not start with a header")
            if length > size - 8:
                _refuse(path, "is cut short within its header: copy it again")
            content = json.loads(file.read(length))
    except OSError as error:
        raise UserError(f"{shown(path)} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        _refuse(path, "is not a readable safetensors file: its header is no JSON")
    if not isinstance(content, dict):
        _refuse(path, "is not a readable safetensors file: its header is no dictionary")
    texts = content.pop("__metadata__", {})
    if not isinstance(texts, dict) or not all(isinstance(v, str) for v in texts.values()):
        _refuse(path, "has a damaged description: its metadata are not texts")
    shapes, end = {}, 0
    for name, entry in content.items():
        shapes[name], stop = _entry(path, name, entry)
        end = max(end, stop)
    if end > size - 8 - length:
        _refuse(path, f"is cut short: {size - 8 - length} of {end} bytes of weights; copy it again")
    if end < size - 8 - length:
        _refuse(path, f"has {size - 8 - length - end} bytes that belong to no weights: get it "
                "again")  # fmt: skip
    return Header(texts, shapes)


def _entry(path: Path, name: str, entry: Any) -> tuple[Shape, int]:
    """Shape of a tensor and the end of its bytes."""
    try:
        shape = tuple(entry["shape"])
        start, stop = entry["data_offsets"]
        kind = str(entry["dtype"])
    except (TypeError, KeyError, ValueError):
        _refuse(path, f"has a damaged header: '{name[:80]}' is not described")
    if kind not in _BYTES:
        known = ", ".join(_BYTES)
        _refuse(path, f"holds '{name[:80]}' as {kind[:20]}; read are {known}")
    numbers = (*shape, start, stop)
    # bool is an int to Python, but no size.
    if not all(type(n) is int and n >= 0 for n in numbers):
        _refuse(path, f"has a damaged header: '{name[:80]}' has sizes that are none")
    count = 1
    for width in shape:
        count *= width
    if count * _BYTES[kind] != stop - start:
        _refuse(path, f"has a damaged header: '{name[:80]}' has not the bytes of its shape")
    return shape, stop


def read_safetensors(path: Path, keep_kinds: bool = False) -> dict[str, Tensor]:
    """The tensors, as float32 unless `keep_kinds`; call `read_header` first.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        if shown(path) != str(path):
            # safetensors opens names in UTF-8 alone.
            tensors = load_bytes(path.read_bytes())
        else:
            with safe_open(path, framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except foreign("safetensors") as error:
        reason = reason_of(error)
        raise UserError(f"{shown(path)} is not a readable safetensors file: {reason}") from None
    return tensors if keep_kinds else {key: value.float() for key, value in tensors.items()}


def read_torch(path: Path) -> dict[str, Tensor]:
    """The state dict in a file of `torch.save`; where it is a zip, its bytes stay on the disk.

    Raises:
        UserError: it is none, would run code, or holds no state dict.
    """
    try:
        with path.open("rb") as file:
            zipped = pickles.check_archive(file)
            # torch maps files by their name, which must be UTF-8 and not that of another format.
            if zipped and shown(path) == str(path) and path.suffix != ".safetensors":
                return _state_dict(_obeyed(path, mmap=True), path)
            if file.seek(0, 2) > LARGEST_IN_MEMORY:
                _refuse(path, "is too large to be read as a whole: save the weights alone where it "
                        "was made, torch.save(network.state_dict(), FILE)")  # fmt: skip
            return _state_dict(unpickled(file), path)
    except UserError as error:
        if str(error).startswith(shown(path)):
            raise
        _refuse(path, str(error))
    except pickle.UnpicklingError:
        # torch's own words advise to unpickle freely, which is what must not be done.
        _refuse(path, "is refused: it is no file of tensors")
    except foreign("torch", "zip") as error:
        _refuse(path, f"cannot be read as a checkpoint, it is cut short or damaged: copy it again "
                f"({reason_of(error)})")  # fmt: skip


def unpickled(file: BinaryIO) -> Any:
    """The content of a file of `torch.save`, if `pickles` finds nothing but plain values in it.

    Raises:
        UserError: it asks for more; half a sentence that begins with the verb.
        Exception: of `foreign("torch", "zip")`, it is damaged.
    """
    file.seek(0)
    if not pickles.check_archive(file):
        file.seek(0)
        pickles.check_legacy(file)
    file.seek(0)
    return _obeyed(file)


def _obeyed(file: Path | BinaryIO, mmap: bool = False) -> Any:
    with warnings.catch_warnings():
        # Of unusual pickles torch asks to be told of, which is nothing to the user.
        warnings.simplefilter("ignore")
        return torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)


def check_total(path: Path, shapes: Shapes) -> None:
    """Raise UserError for a network of more numbers than any of this kind has."""
    total = sum(prod(shape) for shape in shapes.values())
    if total > MOST_NUMBERS:
        _refuse(path, f"describes a network of {total} numbers; at most {MOST_NUMBERS} are loaded")


def check_shipped(path: Path, folder: Path, digest: str) -> None:
    """Hold a file of `folder` to the SHA-256 that its list has of it; others are not listed.

    Raises:
        UserError: it is another file than was shipped, or the list is gone.
    """
    if path.resolve().parent != folder.resolve():
        return
    listed = folder / MANIFEST
    try:
        lines = listed.read_text(encoding="utf-8").splitlines()
    except foreign("text") as error:
        _refuse(listed, f"cannot be read ({reason_of(error)}): install the package again")
    sums = {name: known for known, _, name in (line.partition("  ") for line in lines)}
    if sums.get(path.name, digest) != digest:
        _refuse(path, f"is not the file that was shipped: its SHA-256 is {digest}, and {MANIFEST} "
                "has another; install the package again")  # fmt: skip


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """The weights, out of what trainers wrap around them."""
    for _ in range(_DEPTH):
        if not isinstance(content, dict) or not content:
            break
        inner = next((content[w] for w in WRAPPERS if isinstance(content.get(w), dict)), None)
        if inner is None:
            break
        content = inner
    looked = ", ".join(f"'{name}'" for name in WRAPPERS)
    if not isinstance(content, dict) or not content:
        _refuse(path, f"holds no state dict, neither at the top nor under {looked}")
    odd = next((k for k, v in content.items() if not isinstance(v, Tensor)), None)
    if odd is not None:
        if any(isinstance(v, dict) for v in content.values()):
            _refuse(path, f"holds no state dict at the top nor under {looked}; it has "
                    + ", ".join(f"'{str(k)[:40]}'" for k in list(content)[:8]))  # fmt: skip
        what = type(content[odd]).__name__
        _refuse(path, f"is not a state dict: '{str(odd)[:80]}' is no tensor but {what}")
    for key, value in content.items():
        if not isinstance(key, str):
            _refuse(path, f"is not a state dict: the key {key!r:.80} is no text")
        if not _whole(value):
            _refuse(path, f"is refused: '{key[:80]}' is not stored in full")
    return content


def _whole(value: Tensor) -> bool:
    """Whether a tensor lies in the file byte by byte: a view may claim any size."""
    if value.layout is not torch.strided or value.device.type != "cpu":
        return False
    return value.untyped_storage().nbytes() >= value.numel() * value.element_size()


def _refuse(path: Path, why: str) -> NoReturn:
    # Names within a file may break lines; a sentence does not.
    raise UserError(f"{shown(path)} {' '.join(why.split())}")
