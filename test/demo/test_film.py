"""PNG panels and the film."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from kdbts_ros.demo.film import chosen_panels, film_at, playback_rate, save_panel
from kdbts_ros.errors import UserError


def test_a_film_of_odd_sized_pictures_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with film_at(path, 8.0) as film:
        for shade in range(0, 250, 50):
            film.add(np.full((45, 81, 3), (shade, 0, 0), np.uint8))
        film.add(np.zeros((30, 60, 3), np.uint8))
    read = cv2.VideoCapture(str(path))
    frames = []
    while True:
        ok, frame = read.read()
        if not ok:
            break
        frames.append(frame)
    read.release()
    assert len(frames) == 6
    assert {frame.shape for frame in frames} == {(44, 80, 3)}
    assert frames[4][20, 40, 2] > 150, "colours are not swapped"


def test_a_panel_keeps_its_colours(tmp_path: Path) -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[..., 0] = 200
    save_panel(tmp_path / "panel.png", picture)
    read = cv2.imread(str(tmp_path / "panel.png"))
    assert read is not None
    assert (read[..., 2] == 200).all() and not read[..., :2].any()


def test_a_panel_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.*panel\.png"):
        save_panel(tmp_path / "nowhere" / "panel.png", np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize("frames", [1, 3, 12, 100])
def test_panels_are_few_and_spread(frames: int) -> None:
    chosen = chosen_panels(frames, 12)
    assert len(chosen) == min(frames, 12)
    assert {0, frames - 1} <= chosen <= set(range(frames))


def test_a_film_runs_as_fast_as_the_world_did() -> None:
    assert playback_rate([0, 200_000_000, 400_000_000, 900_000_000]) == pytest.approx(5.0)
    assert playback_rate([7]) == 10.0
