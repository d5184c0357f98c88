"""`kdbts quantise` notes what convolutions read, of pictures or worlds, and leaves the weights."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.torch import load_file

from kdbts_ros.cli.main import run
from kdbts_ros.density.checkpoints.checkpoint import load_network, save_network
from kdbts_ros.density.network.activation_ranges import NOTE, read_note
from test.density.networks import tiny_network


def kdbts(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["kdbts", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        run()
    return int(ended.value.code or 0)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save_network(tmp_path / "tiny.safetensors", tiny_network(), {"licence": "none"})


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k in range(3):
        image = np.random.default_rng(k).integers(0, 255, (96, 320, 3), np.uint8)
        cv2.imwrite(str(folder / f"{k}.png"), image)
    return folder


@pytest.mark.parametrize("source", ["pictures", "worlds"])
def test_the_file_has_the_note_and_the_same_weights(
    weights: Path,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    source: str,
) -> None:
    out = weights.with_name("int8.safetensors")
    words = ["--images", pictures] if source == "pictures" else []
    assert not kdbts(monkeypatch, "quantise", weights, "--out", out, "--count", 1, *words)
    assert "31 convolutions read" in capsys.readouterr().out
    network, info = load_network(out)
    assert info.notes["licence"] == "none"
    assert read_note(info.notes[NOTE], network) is not None
    before, after = load_file(weights), load_file(out)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[key], after[key]) for key in before)
    assert not kdbts(monkeypatch, "info", out)
    assert "of 31 convolutions" in capsys.readouterr().out


def test_mistakes_are_one_sentence(
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out.safetensors"
    for words, sentence in (
        ([weights, "--out", tmp_path / "out.pt"], "only a .safetensors of this package"),
        ([weights, "--out", out, "--images", tmp_path / "empty"], "holds no image"),
        (["nobody", "--out", out], "neither a file nor a shipped name"),
    ):
        assert kdbts(monkeypatch, "quantise", *words) == 2
        told = capsys.readouterr().err
        assert sentence in " ".join(told.split()) and "Traceback" not in told
    assert not out.exists()
