"""A whole run on a tiny network: it learns, stops, resumes, exports, and survives a full disk."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import plain_world
import pytest
import torch

from kdbts_ros.density.checkpoint import load_network
from kdbts_ros.errors import UserError
from kdbts_ros.learning import loop, sources
from kdbts_ros.learning.config_file import parse_config
from kdbts_ros.learning.loop import Trainer


class BlindWatcher:
    """Looks at nothing: what is watched has tests of its own."""

    def __init__(self, *arguments: object) -> None:
        pass

    def look(self, network: object, step: int) -> dict[str, float]:
        return {}


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LabelledWorlds", plain_world.PlainWorlds)
    monkeypatch.setattr(sources, "SyntheticClips", plain_world.PlainClips)
    monkeypatch.setattr(loop, "Watcher", BlindWatcher)


def settings(folder: Path, steps: int = 3, **changes: Any) -> dict[str, Any]:
    pool = {"capacity": 8, "minimum": 2, "reuse": 100}
    return {
        "name": "tiny",
        "out": str(folder),
        "threads": 1,
        "average": 0.9,
        "network": {
            "image_height": plain_world.HEIGHT_PX,
            "image_width": plain_world.WIDTH_PX,
            "feature_channels": 8,
            "decoder_channels": [8, 8, 8, 16, 16],
            "head_width": 16,
        },
        "stages": [
            {
                "kind": "supervised",
                "steps": steps,
                "batch": 2,
                "points": 64,
                "rays": 16,
                "samples": 8,
                "pool": pool,
            },
            {
                "kind": "photometric",
                "steps": 2,
                "batch": 2,
                "patches": 2,
                "samples": 8,
                "pool": pool,
            },
        ],
        **changes,
    }


def test_a_run_goes_through_its_stages_and_exports(tmp_path: Path) -> None:
    trainer = Trainer(parse_config(settings(tmp_path)), resume=False)
    assert trainer.run()
    assert trainer.step == 5
    network, info = load_network(trainer.export())
    assert info.notes["steps"] == "5"
    assert network.spec.image_width == plain_world.WIDTH_PX
    lines = (tmp_path / "tiny" / "metrics.jsonl").read_text().splitlines()
    assert all("step" in json.loads(line) for line in lines)


def test_sigterm_saves_and_resume_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = parse_config(settings(tmp_path, steps=4))
    trainer = Trainer(config, resume=False)
    descend = trainer._descend

    def descend_and_interrupt(*arguments: Any) -> dict[str, float]:
        if trainer.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return descend(*arguments)

    monkeypatch.setattr(trainer, "_descend", descend_and_interrupt)
    assert not trainer.run()
    assert trainer.step == 2
    resumed = Trainer(config, resume=True)
    assert resumed.step == 2 and resumed.stage_step == 2
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
    assert resumed.run()
    assert resumed.step == 6


def test_an_existing_run_is_not_overwritten(tmp_path: Path) -> None:
    config = parse_config(settings(tmp_path))
    Trainer(config, resume=False)._save()
    with pytest.raises(UserError, match="--resume"):
        Trainer(config, resume=False)


def test_resuming_nothing_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to resume"):
        Trainer(parse_config(settings(tmp_path)), resume=True)


def test_resume_refuses_another_network(tmp_path: Path) -> None:
    Trainer(parse_config(settings(tmp_path)), resume=False)._save()
    changed = settings(tmp_path)
    changed["network"]["head_width"] = 32
    with pytest.raises(UserError, match="network section"):
        Trainer(parse_config(changed), resume=True)


def test_a_full_disk_keeps_the_previous_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(parse_config(settings(tmp_path)), resume=False)
    trainer._save()
    before = (trainer.folder.path / "state.pt").read_bytes()

    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match="No space left"):
        trainer._save()
    assert (trainer.folder.path / "state.pt").read_bytes() == before
    assert not list(trainer.folder.path.glob("*.partial"))


def test_a_damaged_state_is_one_sentence(tmp_path: Path) -> None:
    config = parse_config(settings(tmp_path))
    Trainer(config, resume=False)._save()
    (tmp_path / "tiny" / "state.pt").write_bytes(b"not a state")
    with pytest.raises(UserError, match="damaged"):
        Trainer(config, resume=True)
