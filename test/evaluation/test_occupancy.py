"""Occupancy measures by hand, and a perfect map against an exact world."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic.truth import column_truth
from kdbts_ros.density.bev import GridWindow, HeightBand
from kdbts_ros.evaluation.occupancy import (
    Box,
    Columns,
    column_measures,
    compared_columns,
    expected_calibration_error,
    pooled_iou,
    reliability_bins,
)
from kdbts_ros.evaluation.samples import synthetic_samples


def columns():
    """Eight columns: hits, misses and alarms, half of them hidden."""
    return Columns(
        probability=np.array([0.9, 0.2, 0.8, 0.1, 0.9, 0.1, 0.7, 0.3], np.float32),
        occupied=np.array([1, 1, 0, 0, 1, 1, 0, 0], bool),
        visible=np.array([1, 1, 1, 1, 0, 0, 0, 0], bool),
    )


def test_measures_by_hand():
    found = column_measures(columns(), 0.5)
    assert found == {
        "O_acc": 0.5,
        "O_prec": 0.5,
        "O_rec": 0.5,
        "IE_acc": 0.5,
        "IE_prec": 0.5,
        "IE_rec": 0.5,
    }
    strict = column_measures(columns(), 0.85)
    assert strict["O_prec"] == 1.0
    assert strict["IE_rec"] == 1.0
    assert strict["IE_acc"] == 0.75


def test_sets_that_are_empty_are_not_a_number():
    found = columns()
    everything_visible = Columns(found.probability, found.occupied, np.ones(8, bool))
    assert math.isnan(column_measures(everything_visible, 0.5)["IE_acc"])
    assert math.isnan(pooled_iou([everything_visible], 0.5, hidden=True))


def test_iou_pools_frames():
    assert pooled_iou([columns()], 0.5) == pytest.approx(2 / 6)
    assert pooled_iou([columns(), columns()], 0.5) == pytest.approx(2 / 6)


def test_reliability_of_a_calibrated_map_has_no_error():
    rng = np.random.default_rng(0)
    probability = rng.random(200_000).astype(np.float32)
    calibrated = Columns(probability, rng.random(200_000) < probability, np.ones(200_000, bool))
    assert expected_calibration_error(reliability_bins([calibrated])) < 0.01
    certain = Columns(np.ones(10, np.float32), np.zeros(10, bool), np.ones(10, bool))
    assert expected_calibration_error(reliability_bins([certain])) == pytest.approx(1.0)


def test_the_true_map_of_a_world_is_perfect():
    (sample,) = synthetic_samples(1)
    x, y = sample.T_world_base[:2, 3]
    window = GridWindow.around(float(x), float(y), 40.0, 0.5)
    band = HeightBand()
    truth = column_truth(sample.world, *window.centres(), band.low, band.high)
    perfect, drawn = compared_columns(sample, window, truth.astype(np.float32), band, Box())
    measures = column_measures(perfect, 0.5)
    assert measures["O_acc"] == measures["O_rec"] == measures["IE_acc"] == 1.0
    assert pooled_iou([perfect], 0.5) == 1.0
    assert perfect.visible.any()
    assert not perfect.visible.all()
    assert set(np.unique(drawn)) == {0, 100}
