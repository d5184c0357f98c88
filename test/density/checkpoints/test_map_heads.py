"""Map heads in files: what is written is read, and what is damaged is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from kdbts_ros.density.checkpoints.checkpoint import load_network, save_network, write_annotated
from kdbts_ros.density.checkpoints.weight_files import read_header, read_safetensors
from kdbts_ros.density.network.map_head import MapHeadNetwork, MapHeadSpec
from kdbts_ros.errors import UserError
from test.density.networks import tiny_network

SPEC = MapHeadSpec(16, 0.2, (0.0, 1.0), 32, (8, 8, 8, 8), 4, 8, 0.21)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "plain.safetensors"
    return save_network(path, tiny_network("bts"), {"camera": "{}"})


@pytest.fixture(scope="module")
def headed(plain: Path) -> Path:
    torch.manual_seed(3)
    network = MapHeadNetwork(SPEC)
    torch.nn.init.normal_(network.out.weight)
    return write_annotated(plain, plain.with_name("headed.safetensors"), {}, {"bts": network})


def test_a_head_is_read_as_it_was_written(headed: Path) -> None:
    _, info = load_network(headed)
    assert set(info.map_heads) == {"bts"}
    read = info.map_heads["bts"]
    assert read.spec == SPEC and not read.training
    torch.manual_seed(3)
    expected = MapHeadNetwork(SPEC)
    torch.nn.init.normal_(expected.out.weight)
    theirs = expected.state_dict()
    for key, value in read.state_dict().items():
        stored = theirs[key].half().float() if value.ndim == 4 else theirs[key]
        assert torch.equal(value, stored), key


def test_the_network_beside_it_keeps_every_byte(plain: Path, headed: Path) -> None:
    before, after = (read_safetensors(path, keep_kinds=True) for path in (plain, headed))
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert set(after) > set(before)


def test_notes_are_added_beside_a_head_and_a_head_can_be_left_out(
    plain: Path, headed: Path, tmp_path: Path
) -> None:
    noted = write_annotated(headed, tmp_path / "noted.safetensors", {"key": "value"})
    assert set(load_network(noted)[1].map_heads) == {"bts"}
    without = write_annotated(headed, tmp_path / "without.safetensors", {}, {"bts": None})
    assert not load_network(without)[1].map_heads
    assert read_header(without).shapes == read_header(plain).shapes
    assert "map_heads" not in read_header(without).texts


def test_weights_made_from_these_have_none(headed: Path, tmp_path: Path) -> None:
    network, _ = load_network(headed)
    again = save_network(tmp_path / "again.safetensors", network, {})
    assert not load_network(again)[1].map_heads


def damaged(headed: Path, out: Path, text: str | None, drop: str = "") -> Path:
    texts = dict(read_header(headed).texts)
    weights = read_safetensors(headed, keep_kinds=True)
    if text is None:
        del texts["map_heads"]
    else:
        texts["map_heads"] = text
    save_file({k: v for k, v in weights.items() if k != drop}, out, texts)
    return out


GOOD = {
    "features": 16, "resolution": 0.2, "heights": [0.0, 1.0], "cells": 32,
    "widths": [8, 8, 8, 8], "fine": 4, "gathered": 8, "occupied_from": 0.21,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "damaged description: its map heads cannot be read"),
        ("[]", "has unknown|damaged description"),
        ("7", "damaged description"),
        (json.dumps({"bts": 7}), "damaged description"),
        (json.dumps({"bts": {**GOOD, "depth": 7}}), "damaged description"),
        (json.dumps({"bts": {**GOOD, "cells": 1 << 30}}), "damaged description.*no head over maps"),
        (json.dumps({"bts": {**GOOD, "widths": [8, 8, 8, 16]}}), "wrong shapes"),
        (json.dumps({"b/ts": GOOD}), "damaged description"),
        (json.dumps({f"h{k}": GOOD for k in range(9)}), "damaged description"),
        ("[" * 100_000, "damaged description"),
        (None, "has unknown"),
    ],
)
def test_damage_is_one_sentence(headed: Path, tmp_path: Path, text: str | None, words: str) -> None:
    path = damaged(headed, tmp_path / "damaged.safetensors", text)
    with pytest.raises(UserError, match=words) as caught:
        load_network(path)
    assert "\n" not in str(caught.value)


def test_a_tensor_that_is_missing_is_named(headed: Path, tmp_path: Path) -> None:
    path = damaged(headed, tmp_path / "less.safetensors", json.dumps({"bts": GOOD}),
                   "map_head.bts.out.bias")  # fmt: skip
    with pytest.raises(UserError, match=r"lacks map_head\.bts\.out\.bias"):
        load_network(path)


def test_a_head_that_is_not_a_number_is_refused(headed: Path, tmp_path: Path) -> None:
    weights = read_safetensors(headed, keep_kinds=True)
    weights["map_head.bts.out.bias"][0] = float("nan")
    path = tmp_path / "nan.safetensors"
    save_file(weights, path, read_header(headed).texts)
    with pytest.raises(UserError, match=r"NaN or infinity in map_head\.bts\.out\.bias"):
        load_network(path)
