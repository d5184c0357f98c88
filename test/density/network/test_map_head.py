"""The head over maps as a network: what builds one, and what it says before it is trained."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from kdbts_ros.density.network.map_head import PLANES, MapHeadNetwork, MapHeadSpec
from kdbts_ros.errors import UserError

SPEC = MapHeadSpec(8, 0.2, (0.0, 1.0), 32, (8, 8, 8, 8), 4, 8)


def inputs(count: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(count, PLANES, 32, 32), torch.randn(count, 16, 16, 16)


def test_untrained_it_changes_nothing():
    torch.manual_seed(1)
    change = MapHeadNetwork(SPEC)(*inputs())
    assert change.shape == (2, 32, 32)
    assert not change.any()


def test_trained_a_cell_hears_of_cells_far_away():
    torch.manual_seed(1)
    network = MapHeadNetwork(SPEC)
    torch.nn.init.normal_(network.out.weight)
    planes, features = inputs(1)
    there = planes.clone()
    there[..., 2:6, 2:6] += 30
    moved = (network(there, features) - network(planes, features)).abs()[0]
    assert moved[16:, 16:].max() > 1e-5, "of what stands ten cells further"
    elsewhere = features.clone()
    elsewhere[..., 2:4, 2:4] += 3
    assert (network(planes, elsewhere) - network(planes, features)).abs().max() > 1e-6


@pytest.mark.parametrize(
    "wrong",
    [
        {"features": 0},
        {"features": 10_000},
        {"features": 8.0},
        {"resolution": 0.0},
        {"resolution": float("nan")},
        {"heights": ()},
        {"heights": (-1.0,)},
        {"heights": (float("inf"),)},
        {"cells": 40},
        {"cells": 0},
        {"cells": 1 << 20},
        {"widths": (8, 8, 8)},
        {"widths": (8, 8, 8, -8)},
        {"occupied_from": 0.0},
        {"occupied_from": 1.0},
        {"scales": (2.0, 1.0)},
        {"scales": (0.0, 1.0)},
        {"scales": (1.0,)},
    ],
)
def test_a_description_of_no_head_is_refused(wrong):
    with pytest.raises(UserError, match="no head over maps is like this"):
        MapHeadSpec(**{**asdict(SPEC), **wrong})
