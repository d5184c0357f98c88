"""Bounds that rosbags does not keep: what a recording unpacks to is known before it is unpacked.

A chunk of a hundred kilobytes may unpack to gigabytes whatever size it claims, and the text of a
topic's QoS may keep a YAML parser busy for a minute. rosbags looks its unpackers and that parser up
by name in its modules; `keep` puts bounded ones in their place.
"""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import reader, storage_mcap, storage_sqlite3

from kdbts_ros.errors import UserError
from kdbts_ros.files import shown
from kdbts_ros.reading import foreign, read_bounded, reason_of
from kdbts_ros.yaml_files import LARGEST_TEXT, check_yaml

# rosbag2 writes chunks of 4 MB, or of one message: a raw image of 40 megapixels.
LARGEST_CHUNK = 128_000_000
# Images that are packed again give a tenth of themselves, grey ones a hundredth.
LARGEST_UNPACKED, LARGEST_RATIO = 256_000_000, 200

_PACKED = re.compile(r"^\s*compression_mode:\s*[\"']?(file|message)", re.IGNORECASE | re.MULTILINE)


def keep() -> None:
    """Let rosbags use the bounded unpackers and the bounded parser of this module."""
    table: dict[str, Callable[[bytes, int], bytes]] = storage_mcap.DECOMPRESSORS
    table.update({"": _plain, "lz4": _lz4, "zstd": _zstd})
    modules: tuple[Any, ...] = (reader, storage_mcap, storage_sqlite3)
    for module in modules:
        if module.parse_qos.__module__ != __name__:
            module.parse_qos = _bounded_qos(module.parse_qos)


def unpacked_message(raw: bytes) -> bytes:
    """A message that was compressed by itself with zstd.

    Raises:
        UserError: it unpacks to more than `LARGEST_CHUNK`.
    """
    return _zstd(raw, LARGEST_CHUNK)


def unpack_file(packed: Path, unpacked: Path) -> None:
    """Unpack a file that was compressed with zstd.

    Raises:
        ValueError: it unpacks to more than a recording does.
        Exception: of `foreign("rosbags")`, it is damaged.
    """
    most = max(LARGEST_UNPACKED, LARGEST_RATIO * packed.stat().st_size)
    with zstd_module(packed).open(packed, "rb") as source, unpacked.open("wb") as out:
        while block := source.read(1 << 20):
            if out.tell() + len(block) > most:
                raise ValueError(f"it gives more than {most / 1e6:.0f} MB, as no recording does")
            out.write(block)


def is_packed(metadata: Path) -> bool:
    """Whether a metadata.yaml within the bounds says that files or messages are compressed.

    Raises:
        UserError: it is beyond the bounds.
        yaml.YAMLError, ValueError: it is no YAML, or no text.
    """
    text = read_bounded(metadata, LARGEST_TEXT, "take it away to read what is there").decode()
    try:
        check_yaml(text)
    except UserError as error:
        raise UserError(f"{metadata.name} {error}") from None
    return _PACKED.search(text) is not None


def zstd_module(file: Path) -> Any:
    """The module that rosbags itself unpacks with; it differs between its versions.

    Raises:
        UserError: there is none.
    """
    for name in ("compression.zstd", "backports.zstd", "zstandard"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise UserError(f"{shown(file)} is compressed: unpack it with `zstd -d`, and name what it "
                    "gives")  # fmt: skip


def _plain(data: bytes, size: int) -> bytes:
    _check(size)
    return data


def _lz4(data: bytes, size: int) -> bytes:
    _check(size)
    # As zstd below it comes with rosbags, which alone says in which version.
    lz4 = importlib.import_module("lz4.frame")
    return bytes(lz4.LZ4FrameDecompressor().decompress(data, max_length=size + 1))


def _zstd(data: bytes, size: int) -> bytes:
    """At most one byte more than `size`; several frames may follow one another."""
    _check(size)
    zstd = zstd_module(Path("the recording"))
    if zstd.__name__ == "zstandard":
        found = zstd.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)
        return _held(found.read(size + 1), size)
    parts, left = [], size + 1
    while data and left:
        frame = zstd.ZstdDecompressor()
        parts.append(frame.decompress(data, max_length=left))
        left -= len(parts[-1])
        if left and not frame.eof:
            raise EOFError("it ends within a compressed block")
        data = frame.unused_data
    return _held(b"".join(parts), size)


def _check(size: int) -> None:
    if size > LARGEST_CHUNK:
        raise ValueError(
            f"a chunk claims {size} bytes, more than the {LARGEST_CHUNK} that are read"
        )


def _held(content: bytes, size: int) -> bytes:
    if len(content) > size:
        raise ValueError(f"a compressed block holds more than the {size} bytes that it may")
    return content


def _bounded_qos(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def parse_qos(profiles: Any) -> Any:
        if isinstance(profiles, str):
            try:
                check_yaml(profiles)
            except foreign("yaml") as error:
                raise ValueError(f"the QoS of a topic {reason_of(error)}") from None
        return parse(profiles)

    return parse_qos
