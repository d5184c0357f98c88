"""The mean of runs of one network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from kdbts_ros.density.checkpoints.checkpoint import load_network, save_network, sha256
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.errors import UserError
from kdbts_ros.learning.weights.merging import merge
from test.density.networks import thin_spec


def saved(path: Path, seed: int, **changes: object) -> Path:
    torch.manual_seed(seed)
    network = DensityNetwork(thin_spec("bts", (8,), **changes))  # type: ignore[arg-type]
    return save_network(path, network, {"run": str(seed), "calibration": "{}"}, half=False)


def test_the_mean_lies_between_its_runs_and_names_them(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a.safetensors", 1), saved(tmp_path / "b.safetensors", 2)
    network, info = load_network(merge([a, b], tmp_path / "mean.safetensors"))
    first, second = (load_network(path)[0].state_dict() for path in (a, b))
    for key, value in network.state_dict().items():
        if value.is_floating_point():
            # Convolutions are stored in half precision.
            expected = (first[key] + second[key]) / 2
            torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-6)
    assert json.loads(info.notes["mean_of"]) == [sha256(a), sha256(b)]
    assert info.notes["run"] == "1" and "calibration" not in info.notes


def test_other_networks_have_no_mean(tmp_path: Path) -> None:
    a = saved(tmp_path / "a.safetensors", 1)
    b = saved(tmp_path / "b.safetensors", 2, size=(96, 64))
    with pytest.raises(UserError, match="another network than"):
        merge([a, b], tmp_path / "mean.safetensors")
    with pytest.raises(UserError, match="two checkpoints or more"):
        merge([a], tmp_path / "mean.safetensors")
