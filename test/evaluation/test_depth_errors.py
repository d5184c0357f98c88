"""Errors by distance and the steadiness of the scale, on made-up depths."""

from __future__ import annotations

import numpy as np
import pytest

from kdbts_ros.evaluation.depth_errors import DepthErrors

TRUTH = np.array([3.0, 5.0, 5.0, 8.0, 15.0, 30.0, 60.0]).repeat(20)


def test_rows_tell_share_ratio_and_error_of_their_pixels() -> None:
    errors = DepthErrors()
    errors.add(np.where(TRUTH < 6, 1.5, 0.8) * TRUTH, TRUTH, np.where(TRUTH < 10, 1.05, 2) * TRUTH)
    table = errors.table()
    assert list(table) == [
        *("< 4 m", "4-6 m", "6-10 m", "10-20 m", "20-40 m", "> 40 m"),
        *("ground", "not ground"),
    ]
    assert table["4-6 m"] == pytest.approx({"share": 2 / 7, "ratio": 1.5, "abs_rel": 0.5}, rel=1e-3)
    assert table["> 40 m"] == pytest.approx(
        {"share": 1 / 7, "ratio": 0.8, "abs_rel": 0.2}, rel=1e-3
    )
    assert table["ground"]["share"] == pytest.approx(4 / 7)
    assert table["not ground"]["ratio"] == pytest.approx(0.8, rel=1e-3)


def test_no_prediction_is_the_far_cap_and_no_pixel_is_no_number() -> None:
    errors = DepthErrors()
    near = TRUTH[:20]
    errors.add(np.full_like(near, np.nan), near, near)
    assert errors.table()["< 4 m"]["ratio"] == pytest.approx(np.exp(3.0), rel=1e-3)
    assert np.isnan(errors.table()["> 40 m"]["ratio"])
    assert errors.table()["> 40 m"]["share"] == 0


def test_steadiness_is_that_of_the_frames_medians() -> None:
    errors = DepthErrors()
    for factor in (1.0, 1.1, 1.0, 1.1):
        errors.add(factor * TRUTH, TRUTH, TRUTH)
    found = errors.steadiness()
    assert found["ground_ratio_mean"] == pytest.approx(1.05)
    assert found["ground_ratio_std"] == pytest.approx(0.05)
    assert found["ratio_step"] == pytest.approx(0.1)
