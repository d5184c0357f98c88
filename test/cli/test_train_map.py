"""`kdbts train-map`, from a shipped checkpoint to one whose maps are completed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from kdbts_ros.cli import main
from kdbts_ros.density.checkpoints.checkpoint import load_network
from kdbts_ros.density.checkpoints.weight_files import read_safetensors
from kdbts_ros.density.scene import SceneCompleter

main.register()


def train(*words: str, checkpoint: str = "kdbts"):
    return CliRunner().invoke(main.app, ["train-map", checkpoint, *words])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("heads") / "mapped.safetensors"
    found = train("--out", str(out), "--worlds", "8", "--epochs", "2", "--held-out", "2",
                  "--json", str(out.with_suffix(".json")), "--device", "cpu")  # fmt: skip
    assert found.exit_code == 0, found.output
    return out


def test_the_file_holds_the_network_as_it_was_and_a_head(trained: Path) -> None:
    network, info = load_network(trained)
    before, _ = load_network("mvbts")
    theirs = before.state_dict()
    assert all((value == theirs[key]).all() for key, value in network.state_dict().items())
    assert set(info.map_heads) == {"kdbts"}
    head = info.map_heads["kdbts"]
    figures = json.loads(trained.with_suffix(".json").read_text())
    assert head.spec.occupied_from == figures["occupied_from"]
    assert figures["steps"] == 2
    assert [np.isfinite(row["iou"]) for row in figures["held_out"].values()] == [True, True]
    scene = SceneCompleter.load(str(trained), device="cpu")
    assert scene.map_head(1) is not None
    assert scene.occupied_from(1) == head.spec.occupied_from


def test_maps_of_several_views_get_a_head_beside_that_of_one(tmp_path: Path) -> None:
    common = ("--worlds", "8", "--epochs", "1", "--held-out", "2", "--device", "cpu")
    one, both = tmp_path / "one.safetensors", tmp_path / "both.safetensors"
    found = train("--out", str(one), *common, checkpoint="mvbts")
    assert found.exit_code == 0, found.output
    more = ("--views", "stereo,temporal:1", "--begin-with-own")
    found = train("--out", str(both), *more, *common, checkpoint=str(one))
    assert found.exit_code == 0, found.output
    heads = load_network(both)[1].map_heads
    assert set(heads) == {"mvbts", "kdbts"}
    before = load_network(one)[1].map_heads["kdbts"].state_dict()
    assert all(torch.equal(before[key], v) for key, v in heads["kdbts"].state_dict().items())
    scene = SceneCompleter.load(str(both), device="cpu")
    assert [scene.occupied_from(n) for n in (1, 3)] == [
        heads[name].spec.occupied_from for name in ("kdbts", "mvbts")
    ]
    # What one view says alone is in the maps of several: its calibration concerns both heads.
    out = tmp_path / "calibrated.safetensors"
    for head, kept in (("mvbts", {"kdbts"}), ("kdbts", set())):
        words = ["calibrate", str(both), "--out", str(out), "--worlds", "8", "--held-out", "2"]
        views = ["--views", "stereo"] if head == "mvbts" else []
        found = CliRunner().invoke(main.app, [*words, *views])
        assert found.exit_code == 0, found.output
        assert set(load_network(out)[1].map_heads) == kept


@pytest.mark.parametrize(
    ("words", "reason"),
    [(("--views", "temporal:1"), "reads one view"), (("--begin-with-own",), "has no map head")],
)
def test_what_cannot_be_is_a_sentence(words: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    found = train("--out", str(tmp_path / "out.safetensors"), *words)
    assert reason in str(found.exception)


def test_it_goes_on_only_when_told_and_only_with_the_same(trained: Path) -> None:
    common = ("--out", str(trained), "--worlds", "8", "--epochs", "2", "--held-out", "2")
    assert "holds an earlier training" in str(train(*common).exception)
    other = train(*common, "--seed", "5", "--resume")
    assert "is of another head" in str(other.exception)
    assert "first world was" in str(other.exception)
    before = read_safetensors(trained)
    again = train(*common, "--resume", "--device", "cpu")
    assert again.exit_code == 0, again.output
    after = read_safetensors(trained)
    assert all(torch.equal(after[key], value) for key, value in before.items()), "nothing to do"


def test_what_has_no_calibration_is_refused(trained: Path, tmp_path: Path) -> None:
    from kdbts_ros.density.checkpoints.checkpoint import save_network

    network, _ = load_network("kdbts")
    plain = save_network(tmp_path / "plain.safetensors", network, {})
    found = train("--out", str(tmp_path / "out.safetensors"), checkpoint=str(plain))
    assert "has no calibration" in str(found.exception)


def test_info_tells_of_the_head_and_calibrate_leaves_it_out(trained: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    told = runner.invoke(main.app, ["info", str(trained)])
    assert "128x128 cells of 0.2 m" in " ".join(told.output.split())
    out = tmp_path / "calibrated.safetensors"
    found = runner.invoke(
        main.app,
        ["calibrate", str(trained), "--out", str(out), "--worlds", "8", "--held-out", "2"],
    )
    assert found.exit_code == 0, found.output
    assert "is left out" in found.output
    assert not load_network(out)[1].map_heads
