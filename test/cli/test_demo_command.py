"""What `kdbts demo` refuses before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdbts_ros.cli.demo import demo
from kdbts_ros.errors import UserError


def test_a_bag_is_driven_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--frames"):
        demo(bag=tmp_path, frames=2, out=tmp_path / "out")
    with pytest.raises(UserError, match="--kitti"):
        demo(bag=tmp_path, kitti=tmp_path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_drive_needs_its_dataset(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--kitti DIR"):
        demo(drive="0009", out=tmp_path / "out")


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match="out cannot be used"):
        demo(out=tmp_path / "out")
