"""The folder of a run: its state, its metrics, its pictures."""

from __future__ import annotations

import io
import json
import os
import pickle
import time
from collections.abc import Mapping
from typing import Any

import torch

from kdbts_ros.errors import UserError
from kdbts_ros.learning.config import TrainingConfig

STATE = "state.pt"


class RunFolder:
    """Writes a run's files; every failure is one sentence, and never costs the last good state.

    With `writes` false nothing is written: of several processes only one keeps the records.
    """

    def __init__(self, config: TrainingConfig, writes: bool = True) -> None:
        self.path = config.folder
        self._writes = writes
        self._started = time.time()
        if not writes:
            return
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
        if not self._writes:
            return
        target = self.path / STATE
        partial = target.with_name(STATE + ".partial")
        try:
            with partial.open("wb") as file:
                torch.save(dict(state), file)
                file.flush()
                # A power cut after the renaming must not find an empty file of the good name.
                os.fsync(file.fileno())
            partial.replace(target)
        except (OSError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            partial.unlink(missing_ok=True)
            kept = f"the previous one in {target} is kept" if target.exists() else "none is kept"
            raise UserError(
                f"cannot write the training state ({reason}); free disk space, then use "
                f"--resume: {kept}"
            ) from error

    def read_state(self) -> bytes:
        """The file of the last state."""
        try:
            return (self.path / STATE).read_bytes()
        except FileNotFoundError:
            raise UserError(f"nothing to resume: {self.path / STATE} does not exist") from None
        except OSError as error:
            raise UserError(f"cannot read {self.path / STATE}: {error.strerror}") from error

    def decode_state(self, content: bytes) -> dict[str, Any]:
        """The state in a file's content; only tensors and plain values are unpickled."""
        target = self.path / STATE
        try:
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise UserError(
                f"{target} is damaged ({str(error).splitlines()[0]}); start a run of another name"
            ) from error
        if not isinstance(state, dict):
            raise UserError(f"{target} is not a training state; start a run of another name")
        return _of_this_version(state)

    def record(self, **values: object) -> None:
        """Append a line to metrics.jsonl."""
        if not self._writes:
            return
        line = json.dumps({"time": round(time.time() - self._started, 1), **values})
        try:
            with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise UserError(f"cannot write metrics to {self.path}: {error}") from error


def _of_this_version(state: dict[str, Any]) -> dict[str, Any]:
    """A state as it is written now; version 0.1 had another arrangement of the same parts."""
    if "progress" not in state or "optimiser" not in state:
        return state
    position = {k: v for k, v in state["progress"].items() if k != "received"}
    descent = {"optimiser": state["optimiser"], "scaler": {}, "average": state.get("average", {})}
    kept = {k: v for k, v in state.items() if k in ("network_config", "network")}
    return {**kept, "descent": descent, "position": position}
