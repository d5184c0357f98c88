"""Where depth is told: the fit finds it, the checkpoint keeps it, and every depth image has it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kdbts_ros.density.checkpoints.checkpoint import load_network, save_network
from kdbts_ros.density.maps.probability import NOTE, ProbabilityCurves, write_note
from kdbts_ros.density.network.volume_rendering import HALF_THICKNESS
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.evaluation.calibrate_depth import CANDIDATES, DepthEvidence, gather_depth
from kdbts_ros.evaluation.depth import told_depth
from kdbts_ros.evaluation.samples import CALIBRATION_SEED, synthetic_samples
from kdbts_ros.evaluation.shown import adapter_of, shown
from kdbts_ros.evaluation.views import ViewChoice
from test.density.networks import tiny_network, tiny_scene, view


def depth_told(scene: SceneCompleter, surface_from: float | None) -> np.ndarray:
    scene.curves = replace(scene.curves, surface_from=surface_from)
    return scene.depth_map(2).depth


def test_depth_is_told_further_away_the_more_light_is_let_through() -> None:
    scene = tiny_scene()
    scene.set_views([view()])
    near, half, far = (depth_told(scene, at) for at in (0.3, HALF_THICKNESS, 1.2))
    assert (near <= half).all() and (half <= far).all() and (near < far).mean() > 0.9
    expected = scene.queries.depths(0, scene.samples_of(scene.views[0]), half.shape, 0.0)
    np.testing.assert_array_equal(half, expected.surface)
    np.testing.assert_array_equal(depth_told(scene, None), expected.expected)


def test_the_candidate_of_least_error_is_taken_and_none_that_helps_nothing() -> None:
    errors = np.full((3, len(CANDIDATES)), 0.4)
    errors[:, 7] = 0.1
    evidence = DepthEvidence(errors, np.full(3, 0.2))
    assert evidence.best() == CANDIDATES[7]
    assert evidence.error_of(CANDIDATES[7]) == pytest.approx(0.1)
    assert evidence.error_of(None) == pytest.approx(0.2)
    assert DepthEvidence(errors, np.full(3, 0.05)).best() is None
    joined = DepthEvidence.of([evidence, DepthEvidence(errors, np.full(3, 0.3))])
    assert joined.errors.shape == (6, len(CANDIDATES))
    assert joined.error_of(None) == pytest.approx(0.25)


def test_what_is_gathered_are_the_errors_of_the_depth_that_would_be_told() -> None:
    """Where the truth is what a candidate tells, that candidate has no error and is the best."""
    scene = tiny_scene()
    scene.curves = ProbabilityCurves(surface_from=0.5)
    (sample,) = synthetic_samples(1, CALIBRATION_SEED, ViewChoice())
    scene.set_views([shown(sample.view, sample, adapter_of(scene))])
    scene.curves, kept = replace(scene.curves, surface_from=CANDIDATES[12]), scene.curves
    told, seen = told_depth(scene.depth_map(2), sample.view.camera, sample.depth.shape)
    scene.curves = kept
    found = gather_depth(scene, replace(sample, depth=np.where(seen, told, np.float32(0))))
    assert scene.curves == kept, "the calibration that it has stays"
    assert found.errors.shape == (1, len(CANDIDATES))
    assert found.best() == CANDIDATES[12]
    assert found.error_of(CANDIDATES[12]) < 1e-6 < found.error_of(CANDIDATES[13])


def test_the_checkpoint_tells_where_depth_is_told(tmp_path) -> None:
    note = write_note({"bts": ProbabilityCurves(surface_from=1.1)})
    file = save_network(tmp_path / "tiny.safetensors", tiny_network("bts"), {NOTE: note})
    scene = SceneCompleter.load(file, "cpu", "float32")
    assert scene.surface_of("bts") == 1.1
    assert load_network(file)[1].notes[NOTE] == note
    plain = save_network(tmp_path / "plain.safetensors", tiny_network("bts"), {})
    assert SceneCompleter.load(plain, "cpu", "float32").surface_of("bts") is None
