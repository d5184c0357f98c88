"""The rate over a stage, and the moving average of the weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kdbts_ros.learning.config.stages import OptimiserConfig, SupervisedStage
from kdbts_ros.learning.run.optimiser import (
    WeightAverage,
    learning_rate,
    level_factors,
    stage_share,
)


def filled(value: float) -> nn.Linear:
    layer = nn.Linear(2, 1)
    nn.init.constant_(layer.weight, value)
    nn.init.constant_(layer.bias, value)
    return layer


def test_the_average_follows_and_the_own_weights_return() -> None:
    layer = filled(0.0)
    average = WeightAverage(layer, 0.9)
    nn.init.constant_(layer.weight, 1.0)
    for _ in range(500):
        average.update(layer)
    nn.init.constant_(layer.weight, 2.0)
    average.update(layer)
    with average.applied(layer):
        torch.testing.assert_close(layer.weight, torch.full((1, 2), 1.1))
    assert (layer.weight == 2).all()


def test_no_decay_keeps_no_average() -> None:
    layer = filled(3.0)
    average = WeightAverage(layer, 0.0)
    average.update(layer)
    with average.applied(layer):
        assert (layer.weight == 3).all()
    assert list(average.state_dict()) == ["updates"]


def test_state_survives() -> None:
    layer = filled(1.0)
    average = WeightAverage(layer, 0.5)
    average.update(layer)
    other = WeightAverage(filled(7.0), 0.5)
    other.load_state_dict(average.state_dict())
    blank = filled(0.0)
    with other.applied(blank):
        assert (blank.weight == 1).all()


def test_the_nearer_limit_ends_a_stage() -> None:
    stage = SupervisedStage(kind="supervised", steps=100, minutes=1)
    assert stage_share(stage, 50, 6) == 0.5
    assert stage_share(stage, 50, 45) == 0.75
    assert stage_share(stage, 1000, 0) == 1


def test_rate_warms_up_and_decays() -> None:
    optimiser = OptimiserConfig(rate=1e-3, final_rate=1e-5, warm_up_steps=9)
    assert learning_rate(optimiser, 0, 0) == pytest.approx(1e-4)
    assert learning_rate(optimiser, 9, 0) == pytest.approx(1e-3)
    assert learning_rate(optimiser, 50, 1) == pytest.approx(1e-5)


def test_steps_of_the_rate_do_not_depend_on_the_length_of_the_stage() -> None:
    optimiser = OptimiserConfig(
        rate=1e-4, final_rate=2e-6, warm_up_steps=0, decay="step", decay_steps=100
    )
    rates = [learning_rate(optimiser, step, share=0.9) for step in (0, 99, 100, 250)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 2e-6])


def test_what_sees_edges_learns_least() -> None:
    optimiser = OptimiserConfig(trunk_rate=0.1, trunk_decay=0.5)
    factors = level_factors(optimiser, 5)
    assert factors == pytest.approx([0.00625, 0.0125, 0.025, 0.05, 0.1])
    assert level_factors(OptimiserConfig(), 5) == [1.0] * 5
    assert level_factors(optimiser, 0) == []
