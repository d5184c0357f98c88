"""Checkpoints: every key accounted for, nothing unpickled, every refusal one sentence."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import pytest
import torch

from kdbts_ros.density.checkpoints import original_keys
from kdbts_ros.density.checkpoints.checkpoint import (
    STUDENTS,
    expected_shapes,
    load_network,
    resolve,
    save_network,
    shipped_names,
)
from kdbts_ros.density.checkpoints.weight_files import read_header
from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec
from kdbts_ros.errors import UserError
from test.density.networks import thin_spec, tiny_network


def original_state(network: DensityNetwork, *heads: str) -> dict[str, torch.Tensor]:
    """The network's weights under the names of an original training file, with its dead weight."""
    state = {}
    for key, value in network.state_dict().items():
        if key.startswith("encoder."):
            state[original_keys.ENCODER + key.removeprefix("encoder.")] = value
        elif key.startswith("decoder.output"):
            state[f"{original_keys.DECODER}10.conv.{key.rsplit('.', 1)[1]}"] = value
        elif key.startswith("decoder."):
            _, side, index, _, kind = key.split(".")
            number = 2 * int(index) + (side == "after")
            state[f"{original_keys.DECODER}{number}.conv.conv.{kind}"] = value
        elif key.startswith("head."):
            for head in heads:
                tail = key.removeprefix("head.")
                tail = tail.removeprefix("mlp.") if head in ("bts", "kdbts") else tail
                state[original_keys.HEAD_PREFIXES[head] + tail] = value
    state[original_keys.ENCODER + "fc.weight"] = torch.zeros(1000, 512)
    state[original_keys.DECODER + "12.conv.weight"] = torch.zeros(16, 8, 3, 3)
    state["renderer.net.code_xyz._freqs"] = torch.zeros(1, 12, 1)
    state["renderer.renderer.iter_idx"] = torch.tensor(7)
    return state


def same_weights(a: DensityNetwork, b: DensityNetwork) -> bool:
    theirs = b.state_dict()
    return all(
        torch.equal(value, theirs[key])
        for key, value in a.state_dict().items()
        if not key.endswith("num_batches_tracked")
    )


@pytest.mark.parametrize("head", ["bts", "kdbts", "mvbts", "simple_multiview"])
@pytest.mark.parametrize("wrap", ["training", "bare", "parallel"])
def test_original_files_load_in_every_wrapping(tmp_path, head, wrap):
    network = tiny_network(head)
    state = original_state(network, head)
    if wrap == "parallel":
        state = {f"module.{key}": value for key, value in state.items()}
    content = state if wrap == "bare" else {"model": state, "trainer": {"iteration": 3}}
    torch.save(content, tmp_path / "original.pt")
    loaded, info = load_network(tmp_path / "original.pt")
    assert same_weights(network, loaded)
    assert info.spec.head == head
    assert info.spec.head_widths == network.spec.head_widths
    assert info.account is not None
    assert info.account.used.keys() | info.account.unused.keys() == {
        key.removeprefix("module.") for key in state
    }
    assert "ImageNet classifier" in info.account.unused.values()


def test_a_file_with_two_heads_must_be_told_which(tmp_path):
    torch.save(original_state(tiny_network(), "bts", "kdbts"), tmp_path / "two.pt")
    with pytest.raises(UserError, match=r"several heads.*name the head"):
        load_network(tmp_path / "two.pt")
    assert load_network(tmp_path / "two.pt", "kdbts")[1].spec.head == "kdbts"
    with pytest.raises(UserError, match="no 'mvbts' head"):
        load_network(tmp_path / "two.pt", "mvbts")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("renderer.net.heads.brandnew.weight", "does not know.*brandnew"),
        ("renderer.net.mlp_coarse.blocks.0.fc_0.weight", "residual blocks"),
    ],
)
def test_unknown_keys_are_refused_by_name(tmp_path, extra, message):
    state = original_state(tiny_network(), "bts")
    state[extra] = torch.zeros(2)
    torch.save(state, tmp_path / "odd.pt")
    with pytest.raises(UserError, match=message):
        load_network(tmp_path / "odd.pt")


def test_unsupported_heads_are_named(tmp_path):
    state = {
        key: value
        for key, value in original_state(tiny_network(), "bts").items()
        if "mlp_coarse" not in key
    }
    state["renderer.net.heads.multiviewhead.transformer.weight"] = torch.zeros(2)
    torch.save(state, tmp_path / "dft.pt")
    with pytest.raises(UserError, match="DFT transformer"):
        load_network(tmp_path / "dft.pt")


def test_incomplete_and_broken_weights_are_refused(tmp_path):
    state = original_state(tiny_network(), "bts")
    missing = dict(state)
    del missing[original_keys.ENCODER + "layer2.0.conv1.weight"]
    torch.save(missing, tmp_path / "missing.pt")
    with pytest.raises(UserError, match=r"lacks encoder\.layer2"):
        load_network(tmp_path / "missing.pt")
    state[original_keys.ENCODER + "conv1.weight"] = torch.full((64, 3, 7, 7), torch.nan)
    torch.save(state, tmp_path / "nan.pt")
    with pytest.raises(UserError, match="NaN"):
        load_network(tmp_path / "nan.pt")
    state[original_keys.ENCODER + "conv1.weight"] = torch.zeros(64, 3, 5, 5)
    torch.save(state, tmp_path / "shape.pt")
    with pytest.raises(UserError, match="wrong shapes"):
        load_network(tmp_path / "shape.pt")


class Malicious:
    """Unpickling this would run code."""

    def __reduce__(self):
        return (print, ("executed",))


def test_files_that_are_no_checkpoint_get_one_sentence(tmp_path, capsys):
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    torch.save([1, 2, 3], tmp_path / "list.pt")
    with (tmp_path / "evil.pt").open("wb") as file:
        pickle.dump({"model": Malicious()}, file)
    torch.save({"model": {"a": Malicious()}}, tmp_path / "evil_zip.pt")
    for name in ("text.pt", "empty.safetensors", "list.pt", "evil.pt", "evil_zip.pt", "absent.pt"):
        with pytest.raises(UserError) as refused:
            load_network(tmp_path / name)
        assert name.split(".")[0] in str(refused.value)
        assert "\n" not in str(refused.value)
    assert "executed" not in capsys.readouterr().out


def test_our_format_round_trips_with_its_notes(tmp_path):
    network = tiny_network("mvbts")
    save_network(tmp_path / "full.safetensors", network, {"licence": "Apache-2.0"}, half=False)
    loaded, info = load_network(tmp_path / "full.safetensors")
    assert same_weights(network, loaded)
    assert info.spec == network.spec
    assert info.notes == {"licence": "Apache-2.0"}
    assert len(info.sha256) == 64
    half = save_network(tmp_path / "half.safetensors", network, {})
    assert half.stat().st_size < 0.6 * (tmp_path / "full.safetensors").stat().st_size
    with pytest.raises(UserError, match="holds the head 'mvbts'"):
        load_network(half, "bts")


def test_who_may_read_other_files_may_read_weights(tmp_path):
    """A node may run as another user than who trained: safetensors keeps files to their owner."""
    other = tmp_path / "other"
    other.touch()
    saved = save_network(tmp_path / "saved.safetensors", tiny_network(), {})
    assert saved.stat().st_mode == other.stat().st_mode


def test_writing_where_nothing_can_be_written_leaves_no_half_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        save_network(tmp_path / "file" / "x.safetensors", tiny_network(), {})


@pytest.mark.parametrize(
    "fields", [{"trunk": "resnet34"}, {"head": "dft"}, {"image_width": 100}, {"depth_near": -1.0}]
)
def test_impossible_networks_are_refused(fields):
    with pytest.raises(UserError):
        NetworkSpec(**fields)


def spec_in(path: Path) -> dict[str, object]:
    return json.loads(read_header(path).texts["spec"])


def test_a_resnet_is_described_as_before_there_were_other_trunks(tmp_path: Path) -> None:
    """By its depth, so that earlier versions of the package read what this one writes."""
    network = tiny_network()
    path = save_network(tmp_path / "r18.safetensors", network, {})
    assert spec_in(path)["layers"] == 18 and "trunk" not in spec_in(path)
    assert load_network(path)[1].spec == network.spec


@pytest.mark.parametrize("size", [0, 1, 2])
def test_a_network_of_another_trunk_loads_as_it_was_written(tmp_path: Path, size: int) -> None:
    spec = thin_spec(size=(64, 32), trunk=f"efficientnet_lite{size}")
    network = DensityNetwork(spec).eval()
    path = save_network(tmp_path / "lite.safetensors", network, {}, half=False)
    assert spec_in(path)["trunk"] == spec.trunk and "layers" not in spec_in(path)
    loaded, info = load_network(path)
    assert info.spec == spec
    assert same_weights(network, loaded)


@pytest.mark.parametrize(("name", "teacher"), STUDENTS.items())
def test_a_shipped_student_is_the_single_view_head_of_its_teacher(name: str, teacher: str) -> None:
    student, info = load_network(name)
    both, whole = load_network(teacher)
    assert info.spec.head == "kdbts" and not info.spec.student_widths
    assert whole.spec.head == "mvbts" and info.sha256 == whole.sha256
    taught = both.state_dict()["student.mlp.lin_out.weight"]
    assert torch.equal(student.state_dict()["head.mlp.lin_out.weight"], taught)


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_weights_are_small_and_have_a_card_with_their_checksum(name: str) -> None:
    path = resolve(name)
    assert path.stat().st_size <= 30e6
    _, info = load_network(name)
    assert info.sha256 in path.with_suffix(".md").read_text()


def test_asking_for_shapes_imports_no_algebra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes start with it, and torch's symbolic shapes cost seconds to import."""
    monkeypatch.setitem(sys.modules, "torch.fx.experimental.symbolic_shapes", None)
    shapes = expected_shapes(thin_spec("bts", (8,), (96, 64)))
    assert shapes.keys() == DensityNetwork(thin_spec("bts", (8,), (96, 64))).state_dict().keys()
