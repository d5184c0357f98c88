"""Two processes learn what one learns; one that stops ends the other with a sentence."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.config_file import parse_config
from kdbts_ros.learning.run.loop import Trainer
from kdbts_ros.learning.run.parallel import Ranks
from test.learning import plain_world

ROOT = Path(__file__).resolve().parents[3]
BATCH = 4
# Starting Python with torch several times takes minutes on a machine that others keep busy.
pytestmark = pytest.mark.timeout(900)


def config_for(folder: Path, **changes: Any) -> dict[str, Any]:
    config = plain_world.settings(folder, steps=4, **changes)
    # What is frozen has no gradient to share, and thaws with the stage.
    config["stages"].insert(1, {**config["stages"][0], "steps": 1, "freeze_trunk": True})
    # Scenes of the batch lend each other their style, whoever draws them.
    config["stages"][0] |= {"mix_style": 0.9, "feature_noise": 0.5, "mirrored": 0.5}
    for stage in config["stages"]:
        stage["batch"] = BATCH
    return config


def start_two(folder: Path, stop_at: int, **changes: Any) -> list[subprocess.Popen[str]]:
    """Two processes of one run with the variables that torchrun sets."""
    file = folder / "config.json"
    file.write_text(json.dumps(config_for(folder, **changes)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    return [
        subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("rank.py")), str(file), str(stop_at)],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def test_two_processes_take_the_steps_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "two").mkdir()
    processes = start_two(tmp_path / "two", stop_at=-1)
    plain_world.replace_sources(monkeypatch)
    alone = Trainer(parse_config(config_for(tmp_path / "one")), resume=False)
    losses: list[float] = []
    alone.listeners.append(lambda report: losses.append(report.values["loss"]))
    assert alone.run()
    for process in processes:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
    found = torch.load(tmp_path / "two" / "found.pt", weights_only=True)
    torch.testing.assert_close(
        torch.tensor(found["losses"]), torch.tensor(losses), rtol=1e-4, atol=1e-5
    )
    for name, value in alone.network.state_dict().items():
        torch.testing.assert_close(found["network"][name], value, rtol=1e-3, atol=1e-4, msg=name)
    assert (tmp_path / "two" / "tiny" / "state.pt").is_file()


def test_a_process_that_stops_ends_the_other_with_a_sentence(tmp_path: Path) -> None:
    first, second = start_two(tmp_path, stop_at=2, patience_seconds=8)
    try:
        _, errors = first.communicate(timeout=600)
        assert first.returncode == 1
        sentences = [line for line in errors.splitlines() if line.startswith("kdbts:")]
        assert len(sentences) == 1, errors
        assert "did not answer within 8 s" in sentences[0] and "--resume" in sentences[0]
        assert "Traceback" not in errors
        state = torch.load(tmp_path / "tiny" / "state.pt", weights_only=True)
        assert state["position"]["step"] == 2
    finally:
        second.kill()
        second.communicate()


def test_a_batch_that_cannot_be_shared_is_one_sentence() -> None:
    with pytest.raises(UserError, match="multiple of 3"):
        Ranks(1, 3).places(8)
    assert [list(Ranks(r, 2).places(4)) for r in range(2)] == [[0, 1], [2, 3]]
