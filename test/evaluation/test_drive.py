"""Counting maps along a drive by hand, and a short drive through the whole evaluation."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic.rig import front_stereo, training_camera
from kdbts_ros.density.maps.grid import GridWindow
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation import drive_report, drive_score
from kdbts_ros.evaluation.drive import DriveEvaluation, DriveResult, DriveSettings, methods_for
from kdbts_ros.evaluation.report import write_json
from test.density.networks import tiny_scene


def counted():
    """Two rows: the upper is seen, its right half hidden; the lower was passed."""
    probability = np.array([[0.9, 0.1, 0.6, np.nan], [0.7, np.nan, 0.2, 0.5]], np.float32)
    truth = np.array([[1, 0, 0, 1], [1, 1, 0, 0]], bool)
    seen = np.array([[1, 1, 1, 1], [0, 0, 0, 0]], bool)
    hidden = np.array([[0, 0, 1, 1], [0, 0, 0, 0]], bool)
    sets = drive_score.cell_sets(seen, hidden, ~seen)
    return probability, truth, sets


def test_iou_by_hand():
    probability, truth, sets = counted()
    counts = drive_score.count(probability, truth, sets)
    assert counts.sum((1, 2)).tolist() == [4, 2, 4, 8]
    # seen: one hit, one alarm, one unknown miss; hidden: alarm and miss; passed: hit, alarm, miss.
    assert drive_score.iou(counts, 0.5).tolist() == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])
    assert drive_score.iou(counts, 0.66)[0] == pytest.approx(1 / 2)
    assert drive_score.best_iou(counts[0])[0] == pytest.approx(1 / 2)
    shares = drive_score.known_shares(probability, sets)
    assert shares.tolist() == pytest.approx([3 / 4, 1 / 2, 3 / 4, 6 / 8])
    assert np.isnan(drive_score.iou(np.zeros((2, drive_score.BINS)), 0.5))


def test_passed_cells_follow_the_window():
    cells = drive_score.PassedCells()
    first = GridWindow(0.5, 4, 4, 0.0, 0.0)
    seen = np.zeros((4, 4), bool)
    seen[:, 2:] = True
    assert not cells.add(seen, first).any()
    moved = GridWindow(0.5, 4, 4, 0.5, 0.0)
    passed = cells.add(seen, moved)
    assert passed[:, 1].all() and passed.sum() == 4
    assert not cells.add(seen, GridWindow(0.5, 4, 4, 100.0, 0.0)).any()


def test_gains_have_an_interval_over_drives():
    rng = np.random.default_rng(0)

    def counts(hits):
        found = np.zeros((3, 4, 2, drive_score.BINS), np.int64)
        found[:, :, 1, -1], found[:, :, 1, 0] = hits, 100 - hits
        return found

    picture = np.zeros((4, 4, 3), np.uint8)
    results = [
        DriveResult(
            k,
            {"single frame": counts(40 + rng.integers(3)), "4 views": counts(50)},
            {"single frame": np.ones((3, 4)), "4 views": np.ones((3, 4))},
            {"single frame": 0.3, "4 views": 0.5},
            {},
            picture,
        )
        for k in range(5)
    ]
    gain, low, high = drive_report.gain(results, "4 views", "single frame", "hidden")
    assert 0.07 < low <= gain <= high <= 0.1
    assert list(drive_report.gains(results)) == ["4 views over single frame, hidden"]


def test_methods_are_those_the_weights_allow():
    assert [m.name for m in methods_for(False)] == ["single frame", "single frame, accumulated"]
    assert [m.name for m in methods_for(True)] == [
        "single frame", "2 views", "3 views", "4 views",
        "single frame, accumulated", "4 views, accumulated",
    ]  # fmt: skip
    with pytest.raises(UserError, match="8 frames"):
        DriveSettings(frames=8)


def test_a_second_camera_adds_views_and_changes_nothing_else():
    rig = front_stereo(training_camera(128, 48))
    scene = tiny_scene("mvbts")
    results = [
        DriveEvaluation(
            DriveSettings(frames=9, range_m=8.0, resolution=0.5, rig=rig, cameras=cameras),
            tiny_scene(),
            scene,
        ).run(5)
        for cameras in (("left",), ("left", "right"))
    ]
    one, two = (result.counts for result in results)
    assert (one["single frame"] == two["single frame"]).all()
    assert (one["2 views"] != two["2 views"]).any()
    with pytest.raises(UserError, match="has the cameras left, right, got left, rear"):
        DriveSettings(cameras=("left", "rear"))


def test_a_drive_is_measured_by_every_method(tmp_path):
    rig = front_stereo(training_camera(128, 48))
    settings = DriveSettings(frames=10, range_m=8.0, resolution=0.5, moving=True, rig=rig)
    scene = tiny_scene("mvbts")
    result = DriveEvaluation(settings, tiny_scene(), scene).run(5)
    assert list(result.counts) == [m.name for m in methods_for(True)]
    for counts in result.counts.values():
        assert counts.shape == (2, 4, 2, drive_score.BINS)
        # The same cells for every method.
        assert (counts.sum((2, 3)) == result.counts["single frame"].sum((2, 3))).all()
    assert result.views_used["4"] > 2
    assert set(result.thresholds.values()) == {scene.curves.occupied_from}
    assert np.isnan(result.known["single frame"][:, 2]).sum() == 0
    assert (result.known["single frame"][:, 2] == 0).all()
    assert (result.known["single frame, accumulated"][:, 2] == 1).all()
    write_json(tmp_path / "a.json", drive_report.as_json([result], {}))
    found = json.loads((tmp_path / "a.json").read_text())
    assert set(found["methods"]["4 views"]) == {*drive_score.SETS, "known", "from", "best", "at"}
    drive_report.write(tmp_path / "report", [result], "A drive", ["Words."])
    assert (tmp_path / "report" / "report.md").read_text().count(".png") == 2
