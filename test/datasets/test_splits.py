"""Split files, with the side that a common reader loses."""

from pathlib import Path

import pytest

from kdbts_ros.datasets.kitti.splits import SplitEntry, by_drive, read_split
from kdbts_ros.errors import UserError


def test_both_sides_are_read(tmp_path: Path) -> None:
    path = tmp_path / "train_files.txt"
    path.write_bytes(
        b"2011_09_26/2011_09_26_drive_0013_sync 16 l\n"
        b"2011_09_26/2011_09_26_drive_0013_sync 7 r\r\n\n"
        b"2013_05_28_drive_0000_sync 0000001338 r"
    )
    entries = read_split(path)
    assert entries == (
        SplitEntry("2011_09_26_drive_0013_sync", 16, "left"),
        SplitEntry("2011_09_26_drive_0013_sync", 7, "right"),
        SplitEntry("2013_05_28_drive_0000_sync", 1338, "right"),
    )
    assert [e.frame for e in by_drive(entries)["2011_09_26_drive_0013_sync"]] == [16, 7]


@pytest.mark.parametrize("text", ["drive 1", "drive one l", "drive 1 x", "drive 1 l r"])
def test_other_lines_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.txt").write_text("drive 1 l\n" + text)
    with pytest.raises(UserError, match=r"split.txt line 2 is not of the form"):
        read_split(tmp_path / "split.txt")


def test_missing_and_empty_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.txt is missing"):
        read_split(tmp_path / "train.txt")
    (tmp_path / "train.txt").write_text("\n\n")
    with pytest.raises(UserError, match="lists no frame"):
        read_split(tmp_path / "train.txt")
