"""What is wrong with a file that is no readable recording, and what can still be done about it."""

from __future__ import annotations

import shlex
from pathlib import Path

from kdbts_ros.errors import UserError

_MCAP_MAGIC = b"\x89MCAP0\r\n"
_SQLITE_MAGIC = b"SQLite format 3\x00"
_LFS = b"version https://git-lfs"


def check_file(file: Path) -> None:
    """Raise UserError for a file that cannot be a recording of rosbag2, or not a whole one."""
    try:
        with file.open("rb") as opened:
            head = opened.read(32)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error
    if head.startswith(_LFS):
        raise UserError(f"{file} is a pointer of git-lfs, not the file: run `git lfs pull`")
    if head.startswith(b"#ROSBAG") or file.suffix == ".bag" or ".bag." in file.name:
        raise UserError(_ros1(file))
    if file.suffix not in (".mcap", ".db3", ".zstd"):
        raise UserError(f"{file} is no rosbag2 recording: those end with .mcap or .db3")
    if not head:
        raise UserError(f"{file} is empty: nothing was recorded")
    journal = file.with_name(file.name + "-wal")
    if file.suffix == ".db3" and journal.is_file() and journal.stat().st_size:
        raise UserError(
            f"{file} was not closed, and its last messages lie in {journal.name}: join them with "
            f"`sqlite3 {_quoted(file)} 'PRAGMA wal_checkpoint(TRUNCATE)'`"
        )


def damaged(file: Path, reason: str) -> str:
    """Why a file of messages cannot be read, in one sentence with the cure that can work."""
    reason = reason.rstrip(".")
    head = b""
    if file.is_file():
        with file.open("rb") as opened:
            head = opened.read(16)
    if head.startswith(_MCAP_MAGIC) and "Profile" in reason:
        return f"{file} is an mcap file, but none of ROS 2"
    if head.startswith(_MCAP_MAGIC):
        return (
            f"{file} was cut off or damaged ({reason}): `mcap recover {_quoted(file)} -o "
            "recovered.mcap` keeps what is whole, and that file is read by itself"
        )
    if head == _SQLITE_MAGIC:
        return (
            f"{file} was cut off or damaged ({reason}): `sqlite3 {_quoted(file)} .dump | "
            "sed 's/^ROLLBACK.*/COMMIT;/' | sqlite3 recovered.db3` keeps what is whole, and that "
            "file is read by itself"
        )
    return f"{file} is not a readable rosbag2 recording: {reason}"


def no_recording(folder: Path, fault: Exception | None = None) -> str:
    """Why a folder is no recording."""
    ros1 = sorted(p for p in folder.iterdir() if p.suffix == ".bag" or ".bag." in p.name)
    if ros1:
        return _ros1(ros1[0])
    if fault is not None:
        return f"{folder} is not a readable rosbag2 recording: {fault}"
    return (
        f"{folder} holds no rosbag2 recording: neither a metadata.yaml nor files that end with "
        ".mcap or .db3"
    )


def _ros1(file: Path) -> str:
    if file.suffix != ".bag":
        return (
            f"{file} is a ROS 1 bag that was not closed: `rosbag reindex` it, then convert it with "
            "`rosbags-convert`"
        )
    return (
        f"{file} is a ROS 1 bag: convert it with `rosbags-convert --src {_quoted(file)} --dst "
        f"{_quoted(file.with_suffix(''))}`, and name that folder"
    )


def _quoted(file: Path) -> str:
    return shlex.quote(file.name)
