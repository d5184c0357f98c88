"""Fitting probabilities: what was put in comes out, and the checkpoint keeps its weights."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from safetensors import safe_open

from kdbts_ros.density.birds_eye_map import map_together
from kdbts_ros.density.checkpoints.checkpoint import load_network, save_network, write_annotated
from kdbts_ros.density.maps.probability import NOTE, Curve, ProbabilityCurves, write_note
from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.calibrate import (
    Evidence,
    best_threshold,
    fit,
    fit_curve,
    gather,
    with_threshold,
)
from kdbts_ros.evaluation.columns import Box, columns_of
from kdbts_ros.evaluation.occupancy import OccupancySettings
from kdbts_ros.evaluation.samples import CALIBRATION_SEED, synthetic_samples
from kdbts_ros.evaluation.scores import ColumnTruth, frame_table
from kdbts_ros.evaluation.shown import adapter_of, shown
from test.density.networks import tiny_network, tiny_scene

TRUE = ProbabilityCurves(Curve(0.8, 2.0, 0.9), Curve(3.0, 1.2, 0.6))


def evidence(seed: int, columns: int = 40_000) -> Evidence:
    """Columns whose outcomes follow the true curves."""
    rng = np.random.default_rng(seed)
    depth = rng.lognormal(0.0, 1.2, columns).astype(np.float32)
    observed = rng.random(columns) < 0.7
    occupied = rng.random(columns) < TRUE.probability(depth, observed)
    truth = ColumnTruth(occupied, observed, np.full(columns, 9.0))
    return Evidence(f"frame {seed}", depth, observed, truth)


def test_the_fit_finds_the_curves_that_made_the_outcomes():
    found = fit([evidence(0), evidence(1)])
    for curve, true in ((found.observed, TRUE.observed), (found.completed, TRUE.completed)):
        depth = np.geomspace(0.05, 20, 50).astype(np.float32)
        np.testing.assert_allclose(curve.probability(depth), true.probability(depth), atol=0.03)
    fresh = [evidence(2)]
    before = frame_table([frame.score(ProbabilityCurves()) for frame in fresh]).measures()["ece"]
    after = frame_table([frame.score(found) for frame in fresh]).measures()["ece"]
    assert after < 0.02 < before


def test_the_threshold_is_the_one_of_highest_iou():
    frames = [evidence(3)]
    best = best_threshold(frames, TRUE)
    ious = {
        t: frame_table([frame.score(TRUE, t) for frame in frames]).measures()["iou"]
        for t in (best, best - 0.1, best + 0.1, 0.5, 0.05)
    }
    assert max(ious.values()) == ious[best]
    assert with_threshold(TRUE, frames).occupied_from == best
    assert with_threshold(TRUE, frames, 0.3).occupied_from == 0.3


def test_too_few_columns_are_refused():
    few = np.ones(10, np.float32)
    with pytest.raises(UserError, match="more worlds"):
        fit_curve(few, few > 0)
    with pytest.raises(UserError, match="more worlds"):
        fit_curve(np.ones(500, np.float32), np.zeros(500, bool))


def test_what_is_gathered_is_the_optical_depth_of_the_map():
    scene, settings = tiny_scene(), OccupancySettings(resolution=0.5)
    scene.curves = TRUE
    (sample,) = synthetic_samples(1, CALIBRATION_SEED)
    (found,) = gather(scene, [sample], settings)
    assert scene.curves == TRUE
    columns = columns_of(sample, settings.band, settings.box, settings.resolution)
    scene.set_views(sample.views)
    sigma, _ = scene.density(columns.points.reshape(-1, 3))
    _, thickness = settings.band.levels()
    expected = np.nansum(sigma.reshape(columns.points.shape[:2]), 0) * thickness
    clear = expected < 5
    np.testing.assert_allclose(found.optical_depth[clear], expected[clear], rtol=2e-2, atol=1e-3)
    assert clear.mean() > 0.5


def test_notes_are_added_and_weights_keep_their_bytes(tmp_path):
    source = save_network(tmp_path / "a.safetensors", tiny_network(), {"licence": "Apache-2.0"})
    note = write_note({"bts": TRUE})
    out = write_annotated(source, tmp_path / "b.safetensors", {NOTE: note})
    _, info = load_network(out)
    assert info.notes == {"licence": "Apache-2.0", NOTE: note}
    with safe_open(source, "pt") as a, safe_open(out, "pt") as b:
        assert set(a.keys()) == set(b.keys())
        for key in a.keys():  # noqa: SIM118
            one, other = a.get_tensor(key), b.get_tensor(key)
            assert one.dtype == other.dtype
            assert one.numpy().tobytes() == other.numpy().tobytes()
    assert SceneCompleter.load(str(out), "cpu").curves == TRUE


def test_the_map_takes_the_threshold_of_its_checkpoint(tmp_path):
    source = save_network(tmp_path / "a.safetensors", tiny_network(), {})
    calibration = dataclasses.replace(TRUE, occupied_from=0.12)
    note = {NOTE: write_note({"bts": calibration})}
    out = write_annotated(source, tmp_path / "b.safetensors", note)
    (sample,) = synthetic_samples(1, CALIBRATION_SEED)
    for setting, expected in ((0.0, 0.12), (0.4, 0.4)):
        pipeline = Pipeline(
            PipelineSettings(
                str(out), "cpu", range_m=12, resolution=0.5, occupied_threshold=setting
            )
        )
        found = pipeline.process(sample.view, sample.T_world_base)
        assert np.array_equal(found.trinary == 100, found.occupancy.probability >= expected)


def test_what_is_gathered_is_shown_as_the_node_shows_it(tmp_path):
    """A robot's camera is not the network's: what is fitted must be what a map is made of."""
    scene = tiny_scene()
    settings = OccupancySettings(box=Box((0.5, 8.0), (-4.0, 4.0)), resolution=0.2)
    (sample,) = synthetic_samples(1, CALIBRATION_SEED, place="office")
    (found,) = gather(scene, [sample], settings)
    scene.set_views([shown(sample.view, sample, adapter_of(scene))])
    columns = columns_of(sample, settings.band, settings.box, settings.resolution)
    wanted = map_together(scene, sample.T_world_base, columns.window, settings.band)
    np.testing.assert_array_equal(found.observed, wanted.observed[columns.compared])
    assert np.isfinite(found.optical_depth).any()
