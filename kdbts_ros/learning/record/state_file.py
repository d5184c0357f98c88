"""The file that `--resume` continues: tensors and plain values, replaced as a whole."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from kdbts_ros.density.checkpoints.weight_files import unpickled
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown
from kdbts_ros.reading import telling


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
        with telling(
            lambda reason: f"{shown(self.path)} is damaged ({reason}): remove it and start again",
            "torch",
            "zip",
        ):
            try:
                state = unpickled(io.BytesIO(content))
            except UserError as error:
                raise UserError(f"{shown(self.path)} {error}") from None
        if not isinstance(state, dict):
            raise UserError(f"{self.path} is no training state: remove it and start again")
        network = state.get("network")
        for key, value in network.items() if isinstance(network, dict) else ():
            if isinstance(value, torch.Tensor) and not value.isfinite().all():
                raise UserError(f"{self.path} has NaN or infinity in {key!s:.80}: remove it and "
                                "start again")  # fmt: skip
        return state

    def load(self) -> dict[str, Any]:
        """What was saved last; errors as those of `read` and `decode`."""
        return self.decode(self.read())
