"""Opening rosbag2 recordings, one or a folder of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kdbts_ros.datasets.bags import cures
from kdbts_ros.datasets.bags.recording import METADATA, Recording, recording_files
from kdbts_ros.errors import UserError


@contextmanager
def open_bag(path: Path | str) -> Iterator[Recording]:
    """An open bag.

    Raises:
        UserError: missing, unfinished, or not a rosbag2 recording.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"bag {path} does not exist; make one with `kdbts bag`")
    recording = Recording(path)
    try:
        if not recording.message_count:
            raise UserError(f"bag {path} holds no messages")
        yield recording
    finally:
        recording.close()


def find_bags(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The recordings among paths, where a path may also be a folder of recordings.

    Raises:
        UserError: a path that holds none.
    """
    return tuple(bag for path in paths for bag in _bags_at(path))


def _bags_at(path: Path) -> list[Path]:
    if not path.exists():
        raise UserError(f"bag {path} does not exist; name a rosbag2 folder or file")
    if path.is_file() or (path / METADATA).is_file():
        return [path]
    parts = recording_files(path)
    split = [name for name, files in parts.items() if len(files) > 1]
    if split and len(parts) > 1:
        raise UserError(
            f"{path} holds several recordings, and {split[0]} has several files: put each in a "
            "folder of its own"
        )
    files = [path] if split else [file for (file,) in parts.values()]
    folders = sorted(p for p in path.iterdir() if p.is_dir())
    inside = [p for p in folders if (p / METADATA).is_file() or recording_files(p)]
    found = [*files, *(bag for folder in inside for bag in _bags_at(folder))]
    if not found:
        raise UserError(cures.no_recording(path))
    return found
