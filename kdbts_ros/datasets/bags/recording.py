"""An open rosbag2 recording, with its metadata.yaml or without.

Everything that a metadata file says also stands in the files of messages, so that split and
compressed recordings are read without one, and where it is unreadable or of a later version.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from kdbts_ros.datasets.bags import bounds, cures
from kdbts_ros.errors import UserError
from kdbts_ros.reading import foreign, telling

METADATA = "metadata.yaml"
COMPRESSED = ".zstd"
_SUFFIXES = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

bounds.keep()


class Recording:
    """The messages of a recording in the order of their log times.

    Attributes:
        path: what was opened.
        connections: topics with their types and counts.
        message_count, start_time, end_time: start and end in ns, the end after the last message.

    Raises:
        UserError: not a rosbag2 recording, or damaged; with the cure.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()
        try:
            readers = self._readers()
        except BaseException:
            self._stack.close()
            raise
        self._readers_in_order = sorted(readers, key=lambda reader: reader.start_time)
        self.message_count = sum(reader.message_count for reader in readers)
        self.start_time = min(reader.start_time for reader in readers)
        self.end_time = max(reader.end_time for reader in readers)
        self.connections = _merged(readers)

    @property
    def duration(self) -> int:
        """From the first to after the last message, ns."""
        return self.end_time - self.start_time if self.message_count else 0

    def messages(
        self,
        connections: Collection[Connection] = (),
        start: int | None = None,
        stop: int | None = None,
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Connection, log time in ns and serialised message, of all or the given connections.

        Raises:
            UserError: the recording is damaged.
        """
        wanted = {_key(c): c for c in connections or self.connections}
        for reader in self._readers_in_order:
            theirs = {c.id: c for c in reader.connections if _key(c) in wanted}
            if not theirs:
                continue
            ours = {identity: wanted[_key(c)] for identity, c in theirs.items()}
            with telling(partial(cures.damaged, Path(str(reader.path))), "rosbags"):
                for connection, logged_ns, raw in reader.messages(theirs.values(), start, stop):
                    if raw[:4] == _ZSTD_MAGIC:  # metadata would have told
                        raw = bounds.unpacked_message(raw)
                    yield ours[connection.id], logged_ns, raw

    def close(self) -> None:
        """Close the files and remove what was unpacked."""
        self._stack.close()

    def _readers(self) -> list[Reader]:
        if not self.path.is_dir():
            return [self._opened(self.path)]
        fault: Exception | None = None
        if (self.path / METADATA).is_file():
            try:
                if not bounds.is_packed(self.path / METADATA):
                    return [self._entered(Reader(self.path))]
            except foreign("rosbags", "yaml") as error:
                fault = error
                if "missing" in str(error):
                    raise UserError(
                        f"{self.path} is not complete: {error} Put them back, or take "
                        f"{METADATA} away to read what is there"
                    ) from error
        parts = recording_files(self.path)
        if not parts:
            raise UserError(cures.no_recording(self.path, fault)) from fault
        if len(parts) > 1:
            names = ", ".join(sorted(parts))
            raise UserError(f"{self.path} holds several recordings: name one of {names}")
        (files,) = parts.values()
        return [self._opened(file) for file in files]

    def _opened(self, file: Path) -> Reader:
        cures.check_file(file)
        unpacked = self._unpacked(file) if file.suffix == COMPRESSED else file
        with telling(partial(cures.damaged, file), "rosbags"):
            return self._entered(Reader(unpacked))

    def _unpacked(self, file: Path) -> Path:
        unpacked = Path(self._stack.enter_context(TemporaryDirectory())) / file.stem
        with telling(lambda reason: f"{file} cannot be unpacked: {reason}", "rosbags"):
            bounds.unpack_file(file, unpacked)
        return unpacked

    def _entered(self, reader: Reader) -> Reader:
        reader.open()
        self._stack.callback(reader.close)
        _check_index(reader)
        return reader


def _check_index(reader: Reader) -> None:
    """Raise ValueError where what a file says of itself is not of the kind that it must be."""
    numbers = [reader.start_time, reader.end_time, reader.message_count]
    for connection in reader.connections:
        numbers.append(connection.msgcount)
        names = (connection.topic, connection.msgtype)
        if not all(isinstance(name, str) and name.isprintable() for name in names):
            raise ValueError(f"the name of a topic is {connection.topic!r:.80}")
    # ns since 1970 until 2262, as ROS counts them.
    if not all(isinstance(number, int) and 0 <= number < 1 << 63 for number in numbers):
        raise ValueError("a count or time of it is none")


def recording_files(folder: Path) -> dict[str, list[Path]]:
    """The files of messages in a folder by the name of their recording.

    rosbag2 numbers the parts of a split recording: drive_0.mcap, drive_1.mcap.
    """
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        suffix = next((s for s in _SUFFIXES if file.name.endswith(s)), None)
        if suffix is not None and file.is_file() and not file.name.startswith("."):
            stem = file.name.removesuffix(suffix)
            found.setdefault(re.sub(r"_\d+$", "", stem), []).append(file)
    return found


def _merged(readers: Sequence[Reader]) -> list[Connection]:
    """One connection for each topic and type of several files."""
    if len(readers) == 1:
        return list(readers[0].connections)
    found: dict[tuple[Any, ...], Connection] = {}
    for reader in readers:
        for connection in reader.connections:
            key = _key(connection)
            before = found.get(key)
            count = connection.msgcount + (before.msgcount if before else 0)
            identity = before.id if before else len(found) + 1
            found[key] = connection._replace(id=identity, msgcount=count)
    return list(found.values())


def _key(connection: Connection) -> tuple[Any, ...]:
    return connection.topic, connection.msgtype, repr(connection.ext)
