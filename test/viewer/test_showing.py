"""Recordings as a file of the viewer, read back; needs the extra `viewer`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytest.importorskip("rerun", reason="needs the extra `viewer`")

from kdbts_ros.viewer import sdk
from kdbts_ros.viewer.recorded import Recordings
from kdbts_ros.viewer.showing import Frames, showing, write_recordings
from test.viewer.made import DEPTHS, IMAGES, drive


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shown")
    file = folder / "drive.rrd"
    assert write_recordings(drive(folder), file, Frames()) == []
    return file


def told(file: Path) -> str:
    program = Path(str(sdk.load("rerun_cli").__file__)).parent / "rerun"
    command = [str(program), "rrd", "print", "-vv", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_file_is_whole_and_holds_everything(written: Path) -> None:
    text = told(written)
    for entity in (IMAGES, DEPTHS, "/kdbts/occupancy", "/kdbts/points", "/tf/base_link"):
        assert entity in text
    for archetype in ("GridMap", "Pinhole", "DepthImage", "Points3D", "Transform3D"):
        assert archetype in text


def test_everything_lies_on_one_timeline(tmp_path: Path) -> None:
    file = tmp_path / "drive.rrd"
    # The layout, which has timelines of its own, is left out.
    with Recordings(drive(tmp_path)) as recordings, showing(file, Frames()) as show:
        recordings.show(show.log)
    text = told(file)
    assert "index_name: stamp" in text
    assert "index_name: log_tick" not in text and "index_name: log_time" not in text
