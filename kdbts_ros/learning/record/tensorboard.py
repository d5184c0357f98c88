"""The same figures for TensorBoard, where it is installed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdbts_ros.encoded_images import read_image
from kdbts_ros.errors import UserError


class Board:
    """Writes event files to a folder."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError where TensorBoard is not installed."""
        try:
            module: Any = importlib.import_module("torch.utils.tensorboard")
        except ImportError:
            raise UserError(
                "the config asks for tensorboard, which is not installed: "
                "pip install tensorboard, or set tensorboard: false (index.html needs nothing)"
            ) from None
        self._writer = module.SummaryWriter(str(folder))

    def figures(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Add one point to each curve of a group."""
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)

    def picture(self, place: str, step: int, file: Path) -> None:
        """Add a PNG."""
        self._writer.add_image(place, read_image(file), step, dataformats="HWC")
        self._writer.flush()
