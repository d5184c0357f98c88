"""The folder of results: cleared of an earlier demo, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdbts_ros.demo.output_bag import recorded_to
from kdbts_ros.demo.results import Results


class Failed(Exception):
    """Of a demo under way."""


def test_a_demo_that_failed_does_not_keep_the_next_from_running(tmp_path: Path) -> None:
    """Its recording has no metadata, and would be refused as one that exists already."""
    results = Results(tmp_path / "demo_out")
    for _ in range(2):
        results.clear()
        with pytest.raises(Failed), recorded_to(results.outputs):
            raise Failed
        assert results.outputs.is_dir()
    results.clear()
    with recorded_to(results.outputs):
        pass
    assert (results.outputs / "metadata.yaml").is_file()


def test_what_an_earlier_demo_left_goes_and_the_rest_stays(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.clear()
    (results.panels / "frame_0001.png").touch()
    mine = [results.panels / "mine.png", tmp_path / "notes.txt"]
    for file in (*mine, results.summary, results.overview):
        file.touch()
    results.clear()
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(mine)


def test_a_folder_of_the_users_own_is_not_removed(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.outputs.mkdir()
    (results.outputs / "thesis.txt").touch()
    results.clear()
    assert (results.outputs / "thesis.txt").is_file()
