"""The folder of a run: its state, its metrics, its pictures."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from kdbts_ros.files import make_folder, write_text, writing
from kdbts_ros.learning.config.training import TrainingConfig
from kdbts_ros.learning.record.state_file import StateFile

STATE = "state.pt"


class RunFolder:
    """Writes a run's files; every failure is one sentence, and never costs the last good state.

    With `writes` false nothing is written: of several processes only one keeps the records.
    """

    def __init__(self, config: TrainingConfig, writes: bool = True) -> None:
        self.path = config.folder
        self._writes = writes
        self._state = StateFile(self.path / STATE)
        self._started = time.time()
        if writes:
            make_folder(self.path / "pictures")

    def note(self, config: TrainingConfig) -> None:
        """Write down what is run here, once a resumed state agrees to it."""
        if self._writes:
            write_text(self.path / "config.json", config.model_dump_json(indent=2) + "\n")

    @staticmethod
    def holds_state(config: TrainingConfig) -> bool:
        """Whether an earlier session of this run left a state."""
        return (config.folder / STATE).is_file()

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Replace the last state; see `StateFile.save`."""
        if self._writes:
            self._state.save(state)

    def read_state(self) -> bytes:
        """The content of the last state."""
        return self._state.read()

    def decode_state(self, content: bytes) -> dict[str, Any]:
        """The state in a content, whichever version wrote it."""
        return _of_this_version(self._state.decode(content))

    def record(self, **values: object) -> None:
        """Append a line to metrics.jsonl."""
        if not self._writes:
            return
        line = json.dumps({"time": round(time.time() - self._started, 1), **values})
        metrics = self.path / "metrics.jsonl"
        with writing(metrics), metrics.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _of_this_version(state: dict[str, Any]) -> dict[str, Any]:
    """A state as it is written now; version 0.1 had another arrangement of the same parts."""
    if "progress" not in state or "optimiser" not in state:
        return state
    position = {k: v for k, v in state["progress"].items() if k != "received"}
    descent = {"optimiser": state["optimiser"], "scaler": {}, "average": state.get("average", {})}
    kept = {k: v for k, v in state.items() if k in ("network_config", "network")}
    return {**kept, "descent": descent, "position": position}
