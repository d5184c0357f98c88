"""The moving average of the weights."""

from __future__ import annotations

import torch
from torch import nn

from kdbts_ros.learning.run.average import WeightAverage


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
