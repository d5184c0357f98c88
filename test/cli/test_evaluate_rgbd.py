"""`kdbts evaluate depth --dataset rgbd DIR` on made-up folders."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from kdbts_ros.cli.main import run
from kdbts_ros.density.checkpoints.checkpoint import save_network
from test.datasets.rgbd_folders import FRAMES, make_numbered, make_tum
from test.density.networks import tiny_network


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("weights") / "tiny.safetensors", tiny_network(), {})


def evaluate(monkeypatch: pytest.MonkeyPatch, *arguments: object, what: str = "depth") -> int:
    words = ("kdbts", "evaluate", what, "--dataset", "rgbd", *arguments)
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    with pytest.raises(SystemExit) as ended:
        run()
    return int(ended.value.code or 0)


def test_both_layouts_are_measured_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path, capfd
) -> None:
    folders = make_tum(tmp_path / "tum"), make_numbered(tmp_path / "scene", np.eye(4))
    found = []
    for number, folder in enumerate(folders):
        out = tmp_path / f"{number}.json"
        assert not evaluate(monkeypatch, folder, "-c", weights, "--json", out)
        found.append(json.loads(out.read_text()))
    told = capfd.readouterr().err
    assert f"{FRAMES} frames; 0 images without depth and 0 without a pose" in told
    assert "the camera is 1.2" in told
    first, second = found
    assert first["frames"] == FRAMES
    # Depth beyond 13.1 m does not fit into TUM's 16 bits: a few pixels differ.
    assert first["abs_rel"] == pytest.approx(second["abs_rel"], rel=0.03)


def test_earlier_views_are_taken_where_there_are_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path
) -> None:
    folder, out = make_tum(tmp_path / "tum"), tmp_path / "found.json"
    asked = ("--views", "temporal:2", "--json", out)
    assert not evaluate(monkeypatch, folder, "-c", weights, *asked)
    assert json.loads(out.read_text())["frames"] == FRAMES - 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "needs the folder of a sequence"),
        (("DIR", "--root", "DIR"), "two folders of data"),
        (("DIR", "--views", "stereo"), "has one camera"),
        (("DIR", "--drive", "0009"), "belongs to kitti-raw"),
        (("DIR", "--intrinsics", "1,2"), "must be four numbers"),
        (("DIR", "--intrinsics", "nan,1,2,3"), "those of no camera"),
        (("DIR", "--frames", "50:60"), "none of the frames asked for"),
        (("DIR", "--views", "temporal:9"), "ask for fewer"),
    ],
)
def test_mistakes_get_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd,
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    folder = make_tum(tmp_path / "tum", frames=2)
    asked = [str(folder) if word == "DIR" else word for word in arguments]
    assert evaluate(monkeypatch, *asked) == 2
    line = capfd.readouterr().err.strip().splitlines()[-1]
    assert sentence in line and line.startswith("kdbts: ")


def test_maps_need_scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    folder = make_tum(tmp_path / "tum", frames=2)
    assert evaluate(monkeypatch, "--root", folder, what="occupancy") == 2
    assert "for `kdbts evaluate depth` alone" in capfd.readouterr().err
