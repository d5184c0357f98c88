"""One process of a run that several share; started by test_parallel.py as torchrun would."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.config_file import parse_config
from kdbts_ros.learning.record.progress import StepReport
from kdbts_ros.learning.run.loop import Trainer
from kdbts_ros.learning.run.parallel import joined
from test.learning import plain_world


def train(config_file: Path, stop_at: int) -> None:
    """Run; the first process writes every loss and the weights, the last one stops at a step."""
    config = parse_config(json.loads(config_file.read_text()))
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        joined("cpu", config.patience_seconds) as ranks,
    ):
        plain_world.replace_sources(monkeypatch)
        trainer = Trainer(config, resume=False, ranks=ranks)
        losses: list[float] = []

        def listen(report: StepReport) -> None:
            losses.append(report.values["loss"])
            if report.step == stop_at and ranks.rank == ranks.world - 1:
                os.kill(os.getpid(), signal.SIGSTOP)

        trainer.listeners.append(listen)
        trainer.run()
        if ranks.leads:
            found = {"losses": losses, "network": trainer.network.state_dict()}
            torch.save(found, config_file.with_name("found.pt"))


if __name__ == "__main__":
    try:
        train(Path(sys.argv[1]), int(sys.argv[2]))
    except UserError as error:
        sys.exit(f"kdbts: {error}")
