"""Depth measures against values worked out by hand, and the baselines against brute force."""

import math

import numpy as np
import pytest

from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.depth_metrics import (
    MEASURES,
    constant_depth,
    depth_metrics,
    evaluated_pixels,
    ground_plane_depth,
    mean_metrics,
)


def test_hand_computed_measures() -> None:
    truth = np.array([[10.0, 20.0, 0.0]])
    pred = np.array([[12.0, 10.0, 5.0]])
    got = depth_metrics(pred, truth, crop="none")
    assert got["abs_rel"] == pytest.approx((2 / 10 + 10 / 20) / 2)
    assert got["sq_rel"] == pytest.approx((4 / 10 + 100 / 20) / 2)
    assert got["rmse"] == pytest.approx(math.sqrt((4 + 100) / 2))
    log = (math.log(12 / 10) ** 2 + math.log(2) ** 2) / 2
    assert got["rmse_log"] == pytest.approx(math.sqrt(log))
    # 12/10 = 1.2 is within 1.25; 20/10 = 2 is beyond 1.25^3 = 1.953.
    assert (got["a1"], got["a2"], got["a3"]) == (0.5, 0.5, 0.5)
    assert tuple(got) == MEASURES


def test_cap_drops_truth_and_clamps_predictions() -> None:
    truth = np.array([[80.0, 79.0, 1e-3]])
    got = depth_metrics(np.array([[1.0, 500.0, 1.0]]), truth, crop="none")
    assert got["abs_rel"] == pytest.approx(1 / 79)


def test_missing_predictions_count_as_far() -> None:
    got = depth_metrics(np.array([[np.nan, 40.0]]), np.array([[40.0, 40.0]]), crop="none")
    assert got["abs_rel"] == pytest.approx(0.5)


def test_median_scaling_removes_a_common_factor() -> None:
    truth = np.random.default_rng(0).uniform(2, 30, (6, 7))
    got = depth_metrics(truth * 0.3, truth, crop="none", scaling="median")
    assert got["rmse"] == pytest.approx(0, abs=1e-9)
    assert got["a1"] == 1.0


def test_garg_crop_of_a_kitti_image() -> None:
    mask = evaluated_pixels(np.full((375, 1242), 10.0))
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max()) == (153, 370)
    assert (columns.min(), columns.max()) == (44, 1196)
    assert mask.sum() == (371 - 153) * (1197 - 44)


def test_mean_weighs_frames_equally() -> None:
    one = depth_metrics(np.full((1, 1), 2.0), np.full((1, 1), 1.0), crop="none")
    many = depth_metrics(np.full((9, 9), 1.0), np.full((9, 9), 1.0), crop="none")
    got = mean_metrics([one, many])
    assert got["abs_rel"] == pytest.approx(0.5)
    assert got["frames"] == 2


def test_ground_plane_is_hit_where_geometry_says() -> None:
    camera = Camera(8, 6, 4.0, 4.0, 4.0, 3.0)
    depth = ground_plane_depth(camera, 1.5)
    assert (depth[:3] == 80).all()
    # Bottom row: centre at v = 5.5, so the ray falls (5.5 - 3) / 4 per metre.
    np.testing.assert_allclose(depth[5], 1.5 / (2.5 / 4), rtol=1e-6)
    tilted = ground_plane_depth(camera, 1.5, pitch=0.1)
    y, z = 2.5 / 4, 1.0
    np.testing.assert_allclose(tilted[5], 1.5 / (y * math.cos(0.1) + z * math.sin(0.1)), rtol=1e-6)


def test_constant_depth_is_the_best_constant() -> None:
    rng = np.random.default_rng(1)
    truths = [rng.uniform(1, 60, (4, 5)), rng.uniform(5, 20, (8, 9))]
    best = constant_depth(truths, crop="none")

    def abs_rel(value: float) -> float:
        frames = [depth_metrics(np.full(t.shape, value), t, crop="none") for t in truths]
        return mean_metrics(frames)["abs_rel"]

    assert abs_rel(best) <= min(abs_rel(value) for value in np.linspace(1, 60, 400)) + 1e-12


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: depth_metrics(np.ones((2, 2)), np.ones((2, 3))), "differ in shape"),
        (lambda: depth_metrics(np.ones((2, 2)), np.zeros((2, 2)), crop="none"), "no pixel"),
        (lambda: depth_metrics(np.ones((2, 2)), np.ones((2, 2)), crop="middle"), "crop 'middle'"),
        (
            lambda: depth_metrics(np.ones((1, 1)), np.ones((1, 1)), crop="none", scaling="l2"),
            "scaling 'l2'",
        ),
        (lambda: mean_metrics([]), "no frame"),
        (lambda: constant_depth([]), "no pixel"),
    ],
)
def test_mistakes_are_named(call, words) -> None:
    with pytest.raises(UserError, match=words):
        call()
