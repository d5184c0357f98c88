"""Opening rosbag2 recordings, one or a folder of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rosbags.rosbag2 import Reader, ReaderError

from kdbts_ros.errors import UserError

_SUFFIXES = (".mcap", ".db3")


@contextmanager
def open_bag(path: Path | str) -> Iterator[Reader]:
    """An open bag.

    Raises:
        UserError: missing, unfinished, or not a rosbag2 recording.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"bag {path} does not exist; make one with `kdbts bag`")
    try:
        reader = Reader(path)
        reader.open()
    except (ReaderError, OSError, ValueError) as error:
        raise UserError(f"{path} is not a readable rosbag2 recording: {error}") from error
    try:
        if not reader.message_count:
            raise UserError(f"bag {path} holds no messages")
        yield reader
    except ReaderError as error:
        raise UserError(f"bag {path} is damaged: {error}") from error
    finally:
        reader.close()


def find_bags(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The recordings among paths, where a path may also be a folder of recordings.

    Raises:
        UserError: a path that holds none.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UserError(f"bag {path} does not exist; name a rosbag2 folder or file")
        if path.is_file() or (path / "metadata.yaml").is_file():
            found.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if (p / "metadata.yaml").is_file())
        inside = inside or sorted(p for p in path.iterdir() if p.suffix in _SUFFIXES)
        if not inside:
            raise UserError(
                f"{path} holds no rosbag2 recording: neither a metadata.yaml nor a folder with "
                "one; a recording that was cut off gets its metadata by `ros2 bag reindex`"
            )
        found += inside
    return tuple(found)
