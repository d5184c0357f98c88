"""Adapted weights have a calibration of their own, or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from kdbts_ros.adaptation import recalibration
from kdbts_ros.adaptation.recalibration import refit
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.checkpoints.checkpoint import OF_THESE_WEIGHTS, of_descendant
from kdbts_ros.density.maps.probability import NOTE, Curve, ProbabilityCurves, read_note, write_note
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.calibrate import Evidence
from kdbts_ros.evaluation.calibrate_depth import CANDIDATES, DepthEvidence
from kdbts_ros.evaluation.occupancy import OccupancySettings
from kdbts_ros.evaluation.scores import ColumnTruth
from kdbts_ros.evaluation.views import ViewChoice
from test.density.networks import thin_spec

OLD = ProbabilityCurves(Curve(5.0, 3.0), Curve(5.0, 3.0), 0.2)
TRUE = Curve(0.6, 1.4, 0.95)


def worlds(
    network: object,
    notes: object,
    choice: ViewChoice,
    tells: bool,
    advance: Callable[[float], None],
) -> tuple[list[Evidence], list[DepthEvidence]]:
    """Columns that are occupied as often as `TRUE` says, as the network's worlds would be, and
    depths that are best told by the fourth candidate."""
    found = []
    for seed in range(recalibration.FITTED + recalibration.CHECKED):
        rng = np.random.default_rng(seed)
        depth = np.exp(rng.normal(-0.5, 1.5, 400)).astype(np.float32)
        occupied = rng.random(400) < TRUE.probability(depth)
        hidden = rng.random(400) < 0.5
        truth = ColumnTruth(occupied, hidden, np.full(400, 5.0, np.float32))
        found.append(Evidence(f"{seed}", depth, ~hidden, truth))
    advance(1.0)
    errors = np.full((1, len(CANDIDATES)), 0.4)
    errors[0, 3] = 0.1
    return found, [DepthEvidence(errors, np.array([0.2]))] * len(found) if tells else []


def test_the_curves_are_those_of_the_new_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recalibration, "_gather", worlds)
    shares: list[float] = []
    found = refit(DensityNetwork(thin_spec("bts")), {NOTE: write_note({"bts": OLD})}, shares.append)
    new = read_note(found.notes[NOTE])["bts"]
    assert new.observed is not None and new.completed is not None
    at = np.array([0.1, 0.5, 1.0, 3.0], np.float32)
    for curve in (new.observed, new.completed):
        np.testing.assert_allclose(curve.probability(at), TRUE.probability(at), atol=0.05)
    assert 0.2 < new.occupied_from < 0.7
    before, after = _errors(found.sentences[0])
    assert after < 0.03 < before
    assert shares == [1.0]


def _errors(sentence: str) -> tuple[float, float]:
    """Before and after, as they are told."""
    before, _, rest = sentence.partition(" with the curve before, ")
    return float(before.split()[-1]), float(rest.split()[0])


def test_every_head_that_had_a_calibration_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A student is asked with one view, its teacher with several; strangers are forgotten."""
    asked: list[ViewChoice] = []

    def gather(
        network: object, notes: object, choice: ViewChoice, tells: bool, advance: object
    ) -> tuple[list[Evidence], list[DepthEvidence]]:
        asked.append(choice)
        return worlds(network, notes, choice, tells, lambda share: None)

    monkeypatch.setattr(recalibration, "_gather", gather)
    network = DensityNetwork(thin_spec("mvbts", (8, 4, 4), student_widths=(8,)))
    notes = {NOTE: write_note({"mvbts": OLD, "kdbts": OLD, "bts": OLD})}
    found = refit(network, notes, lambda share: None)
    assert read_note(found.notes[NOTE]).keys() == {"mvbts", "kdbts"}
    assert {choice.temporal for choice in asked} == {0, 2}


def test_where_depth_is_told_is_fitted_anew_where_it_was_fitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recalibration, "_gather", worlds)
    for before, after in ((None, None), (1.0, CANDIDATES[3])):
        notes = {NOTE: write_note({"bts": replace(OLD, surface_from=before)})}
        found = refit(DensityNetwork(thin_spec("bts")), notes, lambda share: None)
        assert read_note(found.notes[NOTE])["bts"].surface_from == after


@pytest.mark.parametrize("own", [False, True])
def test_worlds_and_views_are_those_of_the_camera_that_the_network_knows(
    monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    """Weights for rooms were fitted on streets, seen as KITTI's camera sees them."""
    camera = TrainingCamera.looking(81, 0.3, 0.2, (64, 64)) if own else TrainingCamera()
    notes = {NOTE: write_note({"bts": OLD})} | ({"camera": camera.note()} if own else {})
    asked: list[tuple[str, float, TrainingCamera]] = []

    def gather(scene: SceneCompleter, samples: list[str], settings: OccupancySettings) -> list[int]:
        known = TrainingCamera.from_notes(scene.info.notes)
        asked.append((samples[0], settings.resolution, known))
        raise UserError("enough")

    def samples(worlds: int, seed: int, choice: object, place: str) -> list[str]:
        return [place]

    monkeypatch.setattr(recalibration, "gather", gather)
    monkeypatch.setattr(recalibration, "synthetic_samples", samples)
    with pytest.raises(UserError, match="enough"):
        refit(DensityNetwork(thin_spec("bts")), notes, lambda share: None)
    assert asked == [("places", 0.1, camera) if own else ("street", 0.2, camera)]


def test_without_a_calibration_before_there_is_none_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recalibration, "_gather", None)
    found = refit(DensityNetwork(thin_spec()), {"licence": "x"}, lambda share: None)
    assert not found.notes and not found.sentences


def test_what_cannot_be_fitted_is_dropped_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then opacity is the probability, and one half the threshold: nothing of the old is left."""
    monkeypatch.setattr(recalibration, "_gather", lambda *_: ([_empty()] * 40, []))
    found = refit(
        DensityNetwork(thin_spec("bts")), {NOTE: write_note({"bts": OLD})}, lambda share: None
    )
    assert not found.notes
    assert "The calibration of 'bts' is dropped: 0 columns" in found.sentences[0]
    assert ProbabilityCurves().occupied_from == 0.5


def _empty() -> Evidence:
    nothing = np.zeros(0, np.float32)
    truth = ColumnTruth(nothing > 0, nothing > 0, nothing)
    return Evidence("empty", nothing, nothing > 0, truth)


def test_figures_of_weights_do_not_pass_to_what_is_made_of_them() -> None:
    notes = dict.fromkeys((*OF_THESE_WEIGHTS, "camera", "licence"), "x")
    assert of_descendant(notes).keys() == {"camera", "licence"}
