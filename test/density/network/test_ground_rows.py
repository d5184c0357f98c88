"""What the decoder is told of its rows: nothing at first, and the same in every engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo, load_network, save_network
from kdbts_ros.density.engines.cpu import trunk
from kdbts_ros.density.engines.cpu.trunk import PackedTrunk
from kdbts_ros.density.network.decoder import RowBias
from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.learning.weights.start import adopt
from test.density.networks import thin_spec, varied


def told(seed: int = 5, **changes: object) -> DensityNetwork:
    """A network whose rows say something."""
    torch.manual_seed(seed)
    network = varied(DensityNetwork(thin_spec(ground_rows=True, **changes)))
    with torch.no_grad():
        for rows in network.decoder.rows:
            assert isinstance(rows, RowBias)
            rows.lines.normal_(0, 0.5)
    return network


def test_the_second_line_is_the_inverse_depth_of_a_level_ground() -> None:
    """Of a camera at 1.65 m whose horizon is the middle row: z = 1.65 fy / (v - cy)."""
    rows = RowBias(2)
    with torch.no_grad():
        rows.lines.copy_(torch.eye(2))
    height = 96
    row, below = rows(height)[0, :, :, 0].detach().numpy()
    middles = np.arange(height) + 0.5
    depth = 1.65 * 185.0 / np.maximum(middles - height / 2, 1e-9)
    ground = middles > height / 2
    np.testing.assert_allclose(below[ground] * depth[ground] / (1.65 * 185 * 2 / height), 1, 1e-5)
    assert (below[~ground] == 0).all()
    np.testing.assert_allclose(row, 2 * middles / height - 1, atol=1e-6)


def test_rows_start_at_nothing_and_a_donor_without_them_gives_its_features() -> None:
    torch.manual_seed(2)
    donor = DensityNetwork(thin_spec()).eval()
    network = DensityNetwork(thin_spec(ground_rows=True)).eval()
    left = adopt(network, donor, CheckpointInfo("donor", donor.spec, ""))
    assert left == [f"decoder.rows.{k}.lines" for k in range(5)]
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network.encode(images), donor.encode(images), rtol=0, atol=0)


def test_rows_change_features_by_height_and_not_by_column() -> None:
    network = told()
    plain = DensityNetwork(thin_spec()).eval()
    plain.load_state_dict(network.state_dict(), strict=False)
    images = torch.full((1, 3, 64, 64), 0.5)
    with torch.no_grad():
        change = network.decoder.rows[0](2)
        assert change.shape == (1, 16, 2, 1)
        assert not torch.equal(network.encode(images), plain.encode(images))


@pytest.mark.skipif(not trunk.supported(), reason="this PyTorch packs nothing")
@torch.inference_mode()
def test_the_packed_trunk_is_told_as_well() -> None:
    network = told(size=(320, 96))
    fast = PackedTrunk(network.encoder, network.decoder)
    for count in (1, 2, 1):
        images = torch.rand(count, 3, 96, 320).contiguous(memory_format=torch.channels_last)
        expected = network.decoder.trunk(network.encoder(images))
        found, scale = fast(images), expected.abs().max()
        torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=2e-5)


@pytest.mark.parametrize("rows", [True, False])
def test_a_file_keeps_them_and_does_not_mention_what_is_not_there(
    rows: bool, tmp_path: Path
) -> None:
    network = told() if rows else DensityNetwork(thin_spec()).eval()
    path = save_network(tmp_path / "a.safetensors", network, {}, half=False)
    assert (b"ground_rows" in path.read_bytes()) is rows
    again, info = load_network(path)
    assert info.spec.ground_rows is rows
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(again.encode(images), network.encode(images), rtol=0, atol=0)
