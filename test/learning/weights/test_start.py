"""Starting from other weights: what fits is taken, what does not is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kdbts_ros.density.checkpoints.checkpoint import load_network, save_network
from kdbts_ros.density.network.heads import MultiViewHead
from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec
from kdbts_ros.density.network.positional_encoding import PositionalCode
from kdbts_ros.errors import UserError
from kdbts_ros.learning.frames.draws import Draws
from kdbts_ros.learning.frames.sampling import draw_views, drop_views
from kdbts_ros.learning.weights.start import adopt, adopt_heads

SMALL = {"trunk": "resnet18", "feature_channels": 8, "decoder_channels": (8, 8, 8, 16, 16)}
SINGLE = NetworkSpec(head="bts", head_widths=(16,), **SMALL)
BOTH = NetworkSpec(head="mvbts", head_widths=(24, 4, 4), student_widths=(16,), **SMALL)


def saved(spec: NetworkSpec, folder: Path) -> Path:
    torch.manual_seed(1)
    return save_network(folder / f"{spec.head}.safetensors", DensityNetwork(spec), {}, half=False)


def densities(network: DensityNetwork) -> torch.Tensor:
    """Densities of a few points in the frame of one view."""
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(1, 1, 8, 16, 32, generator=generator)
    points = torch.rand(1, 40, 3, generator=generator) + torch.tensor([-0.5, -0.5, 4.0])
    identity = torch.eye(4).reshape(1, 1, 4, 4)
    return network.density(features, torch.eye(3).reshape(1, 1, 3, 3), identity, points)[0]


def test_a_single_view_head_becomes_the_student(tmp_path: Path) -> None:
    donor, info = load_network(saved(SINGLE, tmp_path))
    network = DensityNetwork(BOTH)
    left = adopt(network, donor, info)
    assert left and all(name.startswith("head.") for name in left)
    both = tmp_path / "both.safetensors"
    save_network(both, network, {}, half=False)
    student, found = load_network(both, head="kdbts")
    assert found.spec.head == "kdbts" and not found.spec.student_widths
    assert torch.equal(densities(student), densities(donor.eval()))


def test_a_two_headed_file_gives_both_heads_or_one(tmp_path: Path) -> None:
    path = saved(BOTH, tmp_path)
    whole, info = load_network(path)
    assert list(whole.heads()) == ["", "student_"] and info.spec == BOTH
    assert not torch.equal(densities(whole), densities(load_network(path, head="kdbts")[0]))
    with pytest.raises(UserError, match="holds the head 'mvbts', not 'bts'"):
        load_network(path, head="bts")


def test_another_trunk_is_refused(tmp_path: Path) -> None:
    donor, info = load_network(saved(SINGLE, tmp_path))
    wider = NetworkSpec(**{**vars(BOTH), "feature_channels": 12})
    with pytest.raises(UserError, match="a trunk, ResNet-18, that does not fit"):
        adopt(DensityNetwork(wider), donor, info)


def test_a_decoder_of_other_widths_starts_afresh_where_asked(tmp_path: Path) -> None:
    donor, info = load_network(saved(SINGLE, tmp_path))
    network = DensityNetwork(NetworkSpec(**{**vars(BOTH), "decoder_channels": (4, 8, 8, 8, 16)}))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    left = adopt(network, donor, info, fresh_decoder=True)
    assert left and all(name.startswith(("decoder.", "head.")) for name in left)
    after = network.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in left)
    taken = [name for name in after if name.startswith("encoder.")]
    assert all(torch.equal(after[name], donor.state_dict()[name]) for name in taken)


def test_a_student_needs_a_teacher() -> None:
    with pytest.raises(UserError, match="cannot carry a student"):
        NetworkSpec(head="bts", student_widths=(64,))


def test_the_first_view_is_never_silenced() -> None:
    draws = Draws(0, 0, 0, range(2))
    usable = drop_views(torch.ones(2, 3, 2000, dtype=torch.bool), 0.5, draws)
    assert usable[:, 0].all()
    assert 0.45 < usable[:, 1:].float().mean() < 0.55


def test_drawn_views_begin_with_the_reference() -> None:
    rng = np.random.default_rng(0)
    drawn = [tuple(draw_views(4, 3, rng)) for _ in range(60)]
    assert set(drawn) == {(0, 1, 2), (0, 1, 3), (0, 2, 3)}
    assert tuple(draw_views(1, 1, rng)) == (0,)


def test_heads_alone_may_come_from_elsewhere(tmp_path: Path) -> None:
    donor, info = load_network(saved(BOTH, tmp_path))
    spec = NetworkSpec(**{**vars(BOTH), "trunk": "efficientnet_lite0"})
    network = DensityNetwork(spec)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    adopt_heads(network, donor, info)
    for name, value in network.state_dict().items():
        heads = name.startswith(("head.", "student."))
        assert torch.equal(value, donor.state_dict()[name] if heads else before[name]), name
    narrow = DensityNetwork(NetworkSpec(**{**vars(BOTH), "head_widths": (16, 4, 4)}))
    with pytest.raises(UserError, match="heads that do not fit"):
        adopt_heads(narrow, donor, info)


@pytest.mark.parametrize("shared", [False, True])
def test_a_fusion_may_begin_as_the_mean_of_the_views(shared: bool) -> None:
    spec = NetworkSpec(
        **{
            **vars(BOTH),
            "head_widths": (16, 4, 4),
            "student_widths": (16,),
            "shared_hidden": shared,
        }
    )
    network = DensityNetwork(spec)
    assert isinstance(network.head, MultiViewHead) and network.student is not None
    network.head.begin_as_mean(network.student)
    vectors = torch.randn(2, 3, 50, 8 + PositionalCode.width) * 3
    seen = torch.rand(2, 3, 50) < 0.6
    seen[:, 0] = True
    told = network.head.fuse(network.head.first_layers()(vectors), seen)
    alone = network.student.mlp(vectors)[..., 0]
    mean = (alone * seen).sum(1) / seen.sum(1)
    torch.testing.assert_close(told, mean, rtol=1e-5, atol=1e-5)
    # What has no say yet can still learn to have one.
    told.sum().backward()
    passes, votes = network.head.mlp2, network.head.mlp.lin_out
    assert (passes.lin_out.weight.grad != 0).sum() > 2
    assert votes.weight.grad is not None and votes.weight.grad[1].abs().sum() > 0


def test_a_fusion_of_other_widths_cannot_begin_as_the_mean() -> None:
    network = DensityNetwork(BOTH)
    assert isinstance(network.head, MultiViewHead) and network.student is not None
    with pytest.raises(UserError, match="as many hidden units as the student, 16"):
        network.head.begin_as_mean(network.student)
    lone = DensityNetwork(NetworkSpec(**{**vars(BOTH), "head_widths": (16, 4, 1)}))
    assert isinstance(lone.head, MultiViewHead) and lone.student is not None
    with pytest.raises(UserError, match="two or more after the fusion"):
        lone.head.begin_as_mean(lone.student)
