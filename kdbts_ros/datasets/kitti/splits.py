"""Lists of frames to train or test on: a line "drive frame side" each.

KITTI raw writes "2011_09_26/2011_09_26_drive_0009_sync 16 l", KITTI-360
"2013_05_28_drive_0000_sync 0000001338 l".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kdbts_ros.datasets.kitti.files import read_text
from kdbts_ros.errors import UserError

Side = Literal["left", "right"]
_FRAME = re.compile(r"\d{1,10}", re.ASCII)
_SIDES: dict[str, Side] = {"l": "left", "r": "right"}


@dataclass(frozen=True)
class SplitEntry:
    """One frame to learn from, and the camera that is encoded.

    drive: name of the drive's folder, without its date folder.
    """

    drive: str
    frame: int
    side: Side


def read_split(path: Path | str) -> tuple[SplitEntry, ...]:
    """The entries of a split file in its order; empty lines are skipped.

    Raises:
        UserError: the file is missing or empty, or a line is of another form.
    """
    path = Path(path)
    lines = read_text(path, "give the file of a split, such as eigen_zhou/train_files.txt")
    entries = tuple(
        _entry(words, f"{path} line {number}")
        for number, words in enumerate((line.split() for line in lines.splitlines()), 1)
        if words
    )
    if not entries:
        raise UserError(f"{path} lists no frame; give another split file")
    return entries


def by_drive(entries: Iterable[SplitEntry]) -> dict[str, tuple[SplitEntry, ...]]:
    """Entries of each drive, in their order."""
    grouped: dict[str, list[SplitEntry]] = {}
    for entry in entries:
        grouped.setdefault(entry.drive, []).append(entry)
    return {drive: tuple(held) for drive, held in grouped.items()}


def _entry(words: list[str], where: str) -> SplitEntry:
    if len(words) != 3 or not _FRAME.fullmatch(words[1]) or words[2] not in _SIDES:
        raise UserError(f"{where} is not of the form 'drive frame l' or 'drive frame r'")
    return SplitEntry(words[0].rsplit("/", 1)[-1], int(words[1]), _SIDES[words[2]])
