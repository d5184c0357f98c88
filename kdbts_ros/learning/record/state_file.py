"""The file that `--resume` continues: tensors and plain values, replaced as a whole."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from kdbts_ros.errors import UserError


class StateFile:
    """Writes and reads one file; every failure is one sentence and costs no earlier state."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, state: Mapping[str, Any]) -> None:
        """Write beside the old state, then take its place.

        Raises:
            UserError: the disk is full or read-only; the old state is untouched.
        """
        partial = self.path.with_name(self.path.name + ".partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save(dict(state), file)
                file.flush()
                # A power cut after the renaming must not find an empty file of the good name.
                os.fsync(file.fileno())
            partial.replace(self.path)
        except (OSError, RuntimeError) as error:
            # Where even removing fails, the sentence below still has to be said.
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            kept = "the last saved state is kept" if self.path.exists() else "nothing is saved yet"
            raise UserError(
                f"cannot write {self.path} ({str(error).splitlines()[0]}): free disk space, then "
                f"use --resume; {kept}"
            ) from error

    def read(self) -> bytes:
        """The content, to be decoded here or in another process.

        Raises:
            UserError: there is none, or it cannot be read.
        """
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            raise UserError(f"nothing to resume: {self.path} does not exist") from None
        except OSError as error:
            raise UserError(f"cannot read {self.path}: {error.strerror}") from error

    def decode(self, content: bytes) -> dict[str, Any]:
        """The state in a content; only tensors and plain values are unpickled.

        Raises:
            UserError: it is damaged, or no state.
        """
        try:
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise UserError(
                f"{self.path} is damaged ({str(error).splitlines()[0]}): remove it and start again"
            ) from error
        if not isinstance(state, dict):
            raise UserError(f"{self.path} is no training state: remove it and start again")
        return state

    def load(self) -> dict[str, Any]:
        """What was saved last; errors as those of `read` and `decode`."""
        return self.decode(self.read())
