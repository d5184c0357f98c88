"""The folder of a run: its state, its metrics, its pictures."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Mapping
from typing import Any

import torch

from kdbts_ros.errors import UserError
from kdbts_ros.learning.config import TrainingConfig

STATE = "state.pt"


class RunFolder:
    """Writes a run's files; every failure is one sentence, and never costs the last good state."""

    def __init__(self, config: TrainingConfig) -> None:
        self.path = config.folder
        self._started = time.time()
        try:
            (self.path / "pictures").mkdir(parents=True, exist_ok=True)
            (self.path / "config.json").write_text(config.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise UserError(f"cannot write to the run folder {self.path}: {error}") from error

    @staticmethod
    def holds_state(config: TrainingConfig) -> bool:
        """Whether an earlier session of this run left a state."""
        return (config.folder / STATE).is_file()

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Write tensors and plain values beside the old state, then take its place.

        Raises:
            UserError: the disk is full or read-only; the old state is untouched.
        """
        target = self.path / STATE
        partial = target.with_name(STATE + ".partial")
        try:
            torch.save(dict(state), partial)
            partial.replace(target)
        except (OSError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            partial.unlink(missing_ok=True)
            kept = f"the previous one in {target} is kept" if target.exists() else "none is kept"
            raise UserError(
                f"cannot write the training state ({reason}); free disk space, then use "
                f"--resume: {kept}"
            ) from error

    def load_state(self) -> dict[str, Any]:
        """The last state; only tensors and plain values are unpickled."""
        target = self.path / STATE
        try:
            state = torch.load(target, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise UserError(f"nothing to resume: {target} does not exist") from None
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise UserError(
                f"{target} is damaged ({str(error).splitlines()[0]}); start a run of another name"
            ) from error
        if not isinstance(state, dict):
            raise UserError(f"{target} is not a training state; start a run of another name")
        return state

    def record(self, **values: object) -> None:
        """Append a line to metrics.jsonl."""
        line = json.dumps({"time": round(time.time() - self._started, 1), **values})
        try:
            with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise UserError(f"cannot write metrics to {self.path}: {error}") from error
