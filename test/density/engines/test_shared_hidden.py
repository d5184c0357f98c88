"""Two heads over one hidden layer: one map for both, and each says what it says alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo, load_network, save_network
from kdbts_ros.density.engines.plain_torch import TorchQueries
from kdbts_ros.density.geometry.affine_grid import AffineGrid
from kdbts_ros.density.geometry.lattice import Lattice
from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from test.density.networks import NUMBERS, base_pose, thin_spec, view, with_numbers


def shared_spec(**changes: object) -> NetworkSpec:
    values: dict[str, object] = {"student_widths": (32,), "shared_hidden": True, **changes}
    return thin_spec("mvbts", (32, 16, 8), (128, 64), feature_channels=16, **values)


def network() -> DensityNetwork:
    torch.manual_seed(3)
    made = DensityNetwork(shared_spec()).eval()
    with torch.no_grad():
        assert made.student is not None
        for parameter in (*made.head.parameters(), *made.student.mlp.lin_out.parameters()):
            parameter.mul_(3.0)
        made.decoder.output.conv.weight.mul_(4.0)
    return made


def scene(pack: bool = True) -> SceneCompleter:
    made = network()
    found = SceneCompleter(
        made, CheckpointInfo("test", made.spec, "0" * 64), torch.device("cpu"), "float32"
    )
    if not pack:
        found.engine.trunk = None  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("pack", [True, False])
@pytest.mark.parametrize("numbers", NUMBERS)
def test_both_heads_answer_from_one_map(numbers: str, pack: bool) -> None:
    asked = with_numbers(scene(pack), numbers)
    encoded = [asked.encode(view(0)), asked.encode(view(1, x=0.5))]
    for one in encoded:
        assert len(one.feature_maps) == 2
        assert one.feature_maps[0].data_ptr() == one.feature_maps[1].data_ptr()
    lattice = Lattice.from_bounds((1.5, 12.0), (-4.0, 4.0), (0.0, 2.0), 0.5)
    grid = AffineGrid.of_lattice(lattice, base_pose(yaw=0.2))
    size = encoded[0].nbytes
    for count, head in ((2, "mvbts"), (1, "kdbts"), (2, "mvbts")):
        asked.use(encoded[:count])
        assert asked.head_in_use == head
        plain = TorchQueries(
            asked.field.heads[count % 2], asked.views, [v.feature_maps[0] for v in asked.views]
        )
        found, expected = asked.queries.grid_densities(grid), plain.grid_densities(grid)
        assert np.isfinite(expected).any()
        np.testing.assert_allclose(found, expected, rtol=2e-2, atol=2e-3)
    integers = numbers == "integers"
    assert set(encoded[0].kept) == ({"mvbts", "kdbts"} if integers else set())
    # The counts of a map are held once, as the map is.
    assert encoded[0].nbytes - size == (encoded[0].feature_maps[0].numel() * 2 if integers else 0)


def test_the_check_at_load_passes_for_both(tmp_path: Path) -> None:
    asked = scene()
    asked.check_engine()
    assert asked.engine_note == ""


def test_a_file_keeps_what_is_shared_and_gives_the_student_alone(tmp_path: Path) -> None:
    made = network()
    path = save_network(tmp_path / "both.safetensors", made, {}, half=False)
    both, info = load_network(path)
    assert info.spec == shared_spec()
    student = both.student
    assert student is not None
    assert student.mlp.lin_in is both.density_head.first_layers().lin_in
    alone, single = load_network(path, head="kdbts")
    assert not single.spec.shared_hidden and single.spec.head_widths == (32,)
    torch.testing.assert_close(
        alone.density_head.first_layers().lin_in.weight, student.mlp.lin_in.weight, rtol=0, atol=0
    )


@pytest.mark.parametrize("widths", [(), (16,)])
def test_heads_of_other_widths_share_nothing(widths: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="one hidden width"):
        shared_spec(student_widths=widths)
