"""The page of a run: its curves, its pictures over time, and what is left out of it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from kdbts_ros.errors import UserError
from kdbts_ros.learning.record import diary
from kdbts_ros.learning.record.diary import Board
from kdbts_ros.learning.record.history import read_history
from kdbts_ros.learning.record.page import SHOWN, pictures_of, smoothed, write_page


def write_lines(folder: Path, lines: list[dict[str, object]], tail: str = "") -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text + tail)


def run_folder(folder: Path) -> Path:
    (folder / "pictures").mkdir()
    lines: list[dict[str, object]] = [
        {"step": s, "stage": s // 60, "loss": 1 / s, "samples_per_s": 5.0}
        for s in range(10, 100, 10)
    ]
    lines.append({"step": 90, "watched": {"map_iou": 0.25, "world_abs_rel": 0.2}})
    write_lines(folder, lines)
    for step in range(0, 100, 10):
        picture = np.full((20, 40, 3), step, np.uint8)
        cv2.imwrite(str(folder / "pictures" / f"world0_{step:07d}.png"), picture)
    return folder


def test_a_page_shows_curves_figures_and_pictures_over_time(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    write_page(folder, "a <run>")
    page = (folder / "index.html").read_text()
    assert "a &lt;run&gt;" in page
    assert "map_iou" in page and "samples_per_s" in page
    assert page.count('<img src="pictures/') == SHOWN
    assert "world0_0000000.png" in page and "world0_0000090.png" in page
    curves = cv2.imread(str(folder / "curves.png"))
    assert curves.shape[1] > 800
    assert curves.std() > 5
    assert not list(folder.glob("*partial*"))


def test_nothing_is_written_of_an_empty_run(tmp_path: Path) -> None:
    write_page(tmp_path, "empty")
    assert not list(tmp_path.iterdir())


def test_steps_that_were_taken_twice_count_once(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [{"step": s, "stage": 0, "loss": float(s)} for s in (1, 2, 3)]
    lines += [{"resumed": 1}, {"step": 2, "stage": 1, "loss": 20.0}]
    write_lines(tmp_path, lines, tail='{"step": 3, "lo')
    history = read_history(tmp_path)
    assert history.trained["loss"].steps == [1, 2]
    assert history.trained["loss"].values == [1.0, 20.0]
    assert history.stages == {0: 1, 1: 2}


def test_pictures_are_spread_over_the_run(tmp_path: Path) -> None:
    for step in (0, 5, 7):
        (tmp_path / f"drive0_{step:07d}.png").touch()
    (tmp_path / "notes.png").touch()
    assert [step for step, _ in pictures_of(tmp_path)["drive0"]] == [0, 5, 7]


def test_smoothing_keeps_the_mean_of_what_is_flat() -> None:
    assert smoothed([3.0] * 50) == pytest.approx([3.0] * 50)
    assert smoothed([]) == []


def test_a_missing_tensorboard_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(diary.importlib, "import_module", absent)
    with pytest.raises(UserError, match="pip install tensorboard"):
        Board(tmp_path)
