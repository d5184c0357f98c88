"""Training a map head: it learns what cells tell of their neighbours, and goes on to the step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdbts_ros.density.map_head import LOG_ODDS, UNKNOWN_ODDS
from kdbts_ros.density.network.map_head import PLANES, MapHeadSpec
from kdbts_ros.errors import UserError
from kdbts_ros.learning.map_head import fitting
from kdbts_ros.learning.map_head.evidence import Evidence
from kdbts_ros.learning.map_head.fitting import Fit, FitSettings, loss_of

N = 32
SPEC = MapHeadSpec(2, 0.2, (0.0,), N, (8, 8, 8, 8), 4, 4)
FEW = FitSettings(epochs=2.0, batch=4, rate=5e-3)


def faces(worlds: int = 24) -> Evidence:
    """Walls of which the map knows a face one cell deep, and that are really six cells deep."""
    rng = np.random.default_rng(0)
    planes = np.zeros((worlds, PLANES, N, N), np.float16)
    truth = np.zeros((worlds, N, N), np.bool_)
    planes[:, 0], planes[:, 2] = -3.0 / LOG_ODDS, 1
    for k in range(worlds):
        row, column = rng.integers(2, N - 12, 2)
        planes[k, 0, row : row + 10, column] = 2.0 / LOG_ODDS
        truth[k, row : row + 10, column : column + 6] = True
    features = np.zeros((worlds, 2, N // 2, N // 2), np.float16)
    return Evidence(planes, features, truth)


def test_it_learns_how_deep_things_are_that_the_map_knows_the_face_of():
    found = faces()
    fit = Fit(SPEC, [found], FitSettings(epochs=20.0, batch=4, rate=5e-3))
    planes, features = (torch.from_numpy(x.astype(np.float32)) for x in
                        (found.planes, found.features))  # fmt: skip
    truth = torch.from_numpy(found.truth.astype(np.float32))
    before = float(loss_of(torch.zeros_like(truth), planes, truth))
    fit.run(fit.steps, lambda loss: None)
    with torch.no_grad():
        after = float(loss_of(fit.averaged()(planes, features), planes, truth))
    assert after < 0.8 * before


def test_what_is_stopped_and_continued_is_what_was_never_stopped():
    whole = Fit(SPEC, [faces()], FEW)
    whole.run(whole.steps, lambda loss: None)
    first = Fit(SPEC, [faces()], FEW)
    first.run(5, lambda loss: None)
    second = Fit(SPEC, [faces()], FEW)
    second.restore(first.state())
    assert second.step == 5
    told: list[float] = []
    second.run(second.steps, told.append)
    assert len(told) == whole.steps - 5
    theirs = second.averaged().state_dict()
    for key, value in whole.averaged().state_dict().items():
        assert torch.equal(value, theirs[key]), key


def test_a_state_of_a_training_of_another_length_is_refused():
    first = Fit(SPEC, [faces()], FEW)
    first.run(2, lambda loss: None)
    longer = Fit(SPEC, [faces()], FitSettings(epochs=3.0, batch=4, rate=5e-3))
    with pytest.raises(UserError, match="has 12 steps, and this one 18: give the first command's"):
        longer.restore(first.state())


def test_what_nobody_knows_costs_nothing():
    planes = torch.zeros(1, PLANES, N, N)
    planes[:, 0] = UNKNOWN_ODDS / LOG_ODDS
    planes[:, 2, :, : N // 2] = 1
    truth = torch.zeros(1, N, N)
    truth[..., N // 2 :] = 1
    right = float(loss_of(torch.zeros(1, N, N), planes, truth))
    assert right == pytest.approx(float(np.log1p(np.exp(UNKNOWN_ODDS))), rel=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_a_cut_map_is_known_where_it_was_kept_alone(seed, monkeypatch):
    monkeypatch.setattr(fitting, "CUT", 1.0)
    planes = torch.ones(2, PLANES, N, N)
    features, truth = torch.ones(2, 2, N // 2, N // 2), torch.zeros(2, N, N)
    cut, seen, same = fitting._varied(planes, features, truth, np.random.default_rng(seed))
    assert torch.equal(same, truth)
    known = cut[:, 2] > 0
    assert known.any() and not known.all()
    assert (cut[:, 0][~known] == UNKNOWN_ODDS / LOG_ODDS).all()
    assert (planes == 1).all() and (features == 1).all(), "what lies on the disk stays"
    assert set(seen.unique().tolist()) <= {0.0, 1.0}


def test_mirrored_and_not_are_both_seen(monkeypatch):
    monkeypatch.setattr(fitting, "CUT", 0.0)
    planes = torch.arange(N).float()[:, None].expand(1, PLANES, N, N)
    features, truth = torch.zeros(1, 2, N // 2, N // 2), planes[:, 0]
    firsts = set()
    for seed in range(12):
        found, _, beside = fitting._varied(planes, features, truth, np.random.default_rng(seed))
        assert torch.equal(found[:, 0], beside)
        firsts.add(float(found[0, 0, 0, 0]))
    assert firsts == {0.0, float(N - 1)}
