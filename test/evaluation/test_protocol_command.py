"""`kdbts evaluate occupancy` on a recorded drive whose scanner is made up, by every protocol."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from kdbts_ros.cli.main import run
from kdbts_ros.density.checkpoints.checkpoint import save_network
from test.datasets.conftest import FRAMES, make_odometry
from test.density.networks import tiny_network
from test.evaluation.fake_lidar import Block, scan_of


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """A sequence of four frames, 2 m apart, before a wall of which the scanner sees the face."""
    root = make_odometry(tmp_path_factory.mktemp("odometry"))
    folder = root / "sequences" / "04" / "velodyne"
    folder.mkdir()
    for i in range(FRAMES):
        xyz = scan_of([Block(16.0 - 2 * i, -3.0, 1.0, 6.0, 2.5)]).xyz
        points = np.column_stack([xyz, np.zeros(len(xyz))]).astype(np.float32)
        points.tofile(folder / f"{i:06d}.bin")
    save_network(root / "tiny.safetensors", tiny_network(), {})
    return root


def evaluate(monkeypatch, recorded: Path, *arguments: object) -> int | None:
    data = ("--dataset", "kitti-odometry", "--root", recorded, "--sequence", "04")
    words = ("kdbts", "evaluate", "occupancy", "-c", recorded / "tiny.safetensors", *data)
    monkeypatch.setattr(sys, "argv", [str(word) for word in (*words, *arguments)])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code is None or isinstance(ended.value.code, int)
    return ended.value.code


def test_frames_of_shorter_windows_are_named_and_one_scan_is_enough_to_judge_what_it_saw(
    tmp_path, monkeypatch, recorded, capfd
):
    asked = ("--protocol", "all", "--scans", 4, "--min-scans", 3, "--neighbours", 1)
    out = ("--json", tmp_path / "found.json", "--report", tmp_path / "report")
    assert not evaluate(monkeypatch, recorded, *asked, *out)
    found = json.loads((tmp_path / "found.json").read_text())
    corrected, visible = found["corrected"], found["visible"]
    windows = {"frame 0": 4, "frame 1": 3}
    assert found["scans"] == corrected["scans"] == windows
    assert found["frames"] == corrected["frames"] == len(windows)
    assert {name: row["scans"] for name, row in corrected["by_frame"].items()} == windows
    assert visible["frames"] == FRAMES
    assert visible["columns"]["free"] > visible["columns"]["occupied"] > 0
    assert visible["intervals"]["occ_iou"][0] <= visible["occ_iou"]
    printed = capfd.readouterr().out
    assert printed.count("│ frame 1 ") == 2 and "hidden_occ_iou" in printed
    report = (tmp_path / "report" / "report.md").read_text()
    for words in ("reference LiDAR protocol", "corrected LiDAR protocol", "What moves", "by frame"):
        assert words in report


def test_frames_of_equal_windows_need_no_table_by_frame(tmp_path, monkeypatch, recorded, capfd):
    out = ("--json", tmp_path / "found.json")
    assert not evaluate(monkeypatch, recorded, "--scans", 3, *out)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["scans"] == {"frame 0": 3, "frame 1": 3} and "by_frame" not in found
    assert "frame 1" not in capfd.readouterr().out


def test_windows_that_no_frame_has_are_refused_in_one_sentence(monkeypatch, recorded, capfd):
    assert evaluate(monkeypatch, recorded, "--protocol", "both") == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert "20 scans" in line
