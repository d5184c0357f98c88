"""Occupancy measures by hand, their intervals, and what they say of extremes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kdbts_ros.evaluation.intervals import FrameTable
from kdbts_ros.evaluation.scores import (
    ColumnTruth,
    breakdown,
    calibration_error,
    frame_measures,
    frame_table,
    receiver_curve,
    reliability,
    score,
)

P = np.array([0.9, 0.2, 0.8, 0.1, 0.9, 0.1, 0.7, 0.3], np.float32)
TRUTH = ColumnTruth(
    occupied=np.array([1, 1, 0, 0, 1, 1, 0, 0], bool),
    visible=np.array([1, 1, 1, 1, 0, 0, 0, 0], bool),
    distance=np.array([4, 4, 4, 4, 9, 9, 30, 30.0]),
)


def scored(probability=P, truth=TRUTH, threshold=0.5):
    return score("frame", truth, probability, threshold)


def random_frames(count, rng, columns=400, skill=0.3):
    frames = []
    for k in range(count):
        occupied = rng.random(columns) < 0.2
        noise = rng.random(columns)
        p = np.clip(skill * occupied + (1 - skill) * noise, 0, 1).astype(np.float32)
        truth = ColumnTruth(occupied, rng.random(columns) < 0.7, rng.uniform(3, 20, columns))
        frames.append(score(str(k), truth, p, 0.5))
    return frames


def test_measures_by_hand():
    assert set(frame_measures(scored()).values()) == {0.5}
    strict = frame_measures(scored(threshold=0.85))
    assert strict["O_prec"] == 1.0
    assert strict["IE_rec"] == 1.0
    assert strict["IE_acc"] == 0.75


def test_sets_that_are_empty_are_not_a_number():
    visible = ColumnTruth(TRUTH.occupied, np.ones(8, bool), TRUTH.distance)
    assert math.isnan(frame_measures(scored(truth=visible))["IE_acc"])
    found = frame_table([scored(truth=visible)]).measures()
    assert math.isnan(found["hidden_iou"]) and math.isnan(found["IE_rec"])
    assert found["frames"] == 1


def test_a_frame_without_a_measure_does_not_count_for_it():
    visible = ColumnTruth(TRUTH.occupied, np.ones(8, bool), TRUTH.distance)
    found = frame_table([scored(), scored(truth=visible)]).measures()
    assert found["IE_acc"] == 0.5


def test_iou_pools_frames():
    assert frame_table([scored()]).measures()["iou"] == pytest.approx(2 / 6)
    assert frame_table([scored(), scored()]).measures()["iou"] == pytest.approx(2 / 6)


def test_what_is_unknown_counts_as_free():
    unknown = P.copy()
    unknown[0] = np.nan
    free = P.copy()
    free[0] = 0
    assert frame_measures(scored(unknown)) == frame_measures(scored(free))


def test_the_breakdown_splits_the_columns():
    parts = breakdown([scored()])
    assert parts["visible"]["columns"] == parts["hidden"]["columns"] == 4
    assert parts["0-8 m"]["columns"] == 4
    assert parts["0-8 m, hidden"]["columns"] == 0
    assert parts["beyond 16 m"]["acc"] == 0.5
    assert parts["8-12 m"]["rec"] == 0.5


def test_reliability_of_a_calibrated_map_has_no_error():
    rng = np.random.default_rng(0)
    p = rng.random(200_000).astype(np.float32)
    truth = ColumnTruth(rng.random(len(p)) < p, np.ones(len(p), bool), np.full(len(p), 5.0))
    frames = [score("calibrated", truth, p, 0.5)]
    assert calibration_error(reliability(frames)) < 0.01
    assert frame_table(frames).measures()["ece"] == calibration_error(reliability(frames))
    sure = ColumnTruth(np.zeros(10, bool), np.ones(10, bool), np.full(10, 5.0))
    wrong = [score("wrong", sure, np.ones(10, np.float32), 0.5)]
    assert frame_table(wrong).measures()["ece"] == pytest.approx(1.0)
    assert math.isnan(frame_table(wrong, certain=True).measures()["ece"])


def test_the_receiver_curve_rises_from_nothing_to_everything():
    curve = receiver_curve(random_frames(3, np.random.default_rng(0)))
    assert curve[0].tolist() == [0, 0] and curve[-1].tolist() == [1, 1]
    assert (np.diff(curve, axis=0) >= 0).all()
    perfect = score("perfect", TRUTH, TRUTH.occupied.astype(np.float32), 0.5)
    assert receiver_curve([perfect])[1].tolist() == [0, 1]


def test_intervals_hold_the_mean_and_shrink_with_more_frames():
    rng = np.random.default_rng(1)
    few, many = frame_table(random_frames(8, rng)), frame_table(random_frames(128, rng))
    for table in (few, many):
        found, spans = table.measures(), table.intervals(300)
        assert all(spans[name][0] <= found[name] <= spans[name][1] for name in ("O_acc", "iou"))
    narrow, wide = many.intervals(300)["O_acc"], few.intervals(300)["O_acc"]
    assert narrow[1] - narrow[0] < wide[1] - wide[0]
    assert frame_table(random_frames(1, rng)).intervals() == {}


def test_pairing_tells_apart_what_frames_blur():
    """Each frame is much harder or easier than the difference between the two methods."""
    rng = np.random.default_rng(2)
    base = rng.uniform(0, 1, 40)
    first = FrameTable.of_measures([{"abs_rel": float(b)} for b in base])
    second = FrameTable.of_measures(
        [{"abs_rel": float(b - 0.02 + 0.01 * rng.normal())} for b in base]
    )
    low, high = first.difference_intervals(second, 300)["abs_rel"]
    assert low < -0.02 < high < 0
    a, b = first.intervals(300)["abs_rel"], second.intervals(300)["abs_rel"]
    assert a[0] < b[1] and b[0] < a[1]
