"""Every command that prints figures writes them with --json as well."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from kdbts_ros.adaptation.judge import Score
from kdbts_ros.adaptation.run import Result
from kdbts_ros.cli.main import app, register, run
from kdbts_ros.density.checkpoints.checkpoint import save_network
from test.datasets.conftest import FRAMES, make_raw
from test.density.networks import tiny_network

# They play, draw or show, or leave a summary.json or soak.json of their own.
WITHOUT_FIGURES = {
    *("play", "demo", "soak", "view", "figures density", "figures depth", "checkpoint merge"),
    "checkpoint fuse",
    "quantise",
}


def commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        whole = f"{above} {name}".strip()
        if hasattr(command, "commands"):
            yield from commands(command, whole)
        else:
            yield whole, command


def kdbts(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["kdbts", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        run()
    return int(ended.value.code or 0)


def test_no_command_with_figures_lacks_the_option() -> None:
    register()
    lacking = {
        name
        for name, command in commands(typer.main.get_command(app))
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert lacking <= WITHOUT_FIGURES


def test_what_a_checkpoint_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_network(tmp_path / "tiny.safetensors", tiny_network(), {"licence": "none"})
    out = tmp_path / "info.json"
    assert not kdbts(monkeypatch, "info", path, "--json", out)
    found = json.loads(out.read_text())
    assert found["parameters"] == sum(p.numel() for p in tiny_network().parameters())
    assert found["notes"]["licence"] == "none" and len(found["sha256"]) == 64


def test_what_a_bag_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, out = make_raw(tmp_path / "raw"), tmp_path / "bag.json"
    words = ("bag", "kitti-raw", root, tmp_path / "bag", "--drive", "0009", "--json", out)
    assert not kdbts(monkeypatch, *words)
    found = json.loads(out.read_text())
    assert found["frames"] == FRAMES
    assert found["bytes"] == sum(p.stat().st_size for p in (tmp_path / "bag").iterdir())


def test_what_an_adaptation_came_to() -> None:
    done = Result(True, True, "Better.", None, Score(0.2, 0.1), Score(0.15, 0.09))
    assert done.figures() == {
        "finished": True,
        "improved": True,
        "before": {"photometric": 0.2, "depth": 0.1},
        "after": {"photometric": 0.15, "depth": 0.09},
    }
    assert Result(False, False, "interrupted", None).figures()["after"] is None
