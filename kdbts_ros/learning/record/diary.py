"""What the leading process writes and shows while a run goes; the others keep silent."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdbts_ros.density.network.network import DensityNetwork
from kdbts_ros.encoded_images import read_image
from kdbts_ros.errors import UserError
from kdbts_ros.learning.config.training import TrainingConfig
from kdbts_ros.learning.record.page import write_page
from kdbts_ros.learning.record.progress import StepReport
from kdbts_ros.learning.record.run_folder import RunFolder
from kdbts_ros.learning.record.watch import Watcher


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


class Diary:
    """Metrics, looks at held-out data, the page of the run and TensorBoard's files."""

    def __init__(self, config: TrainingConfig, folder: RunFolder) -> None:
        self._config = config
        self._folder = folder
        self._watcher = Watcher(config, folder)
        self._board = Board(folder.path / "tensorboard") if config.tensorboard else None
        self._sums: dict[str, float] = {}
        self._count = 0

    def resumed(self, step: int) -> None:
        """Note that what was written after `step` was lost and is done again."""
        self._folder.record(resumed=step)

    def step(self, report: StepReport) -> None:
        """Take in the figures of a step; their means are written every `log_every` steps."""
        timed = {"seconds": report.seconds, "waited": report.waited}
        for name, value in {**report.values, **timed}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        if report.step % self._config.log_every:
            return
        means = {name: total / self._count for name, total in self._sums.items()}
        means["samples_per_s"] = report.batch / max(means.pop("seconds"), 1e-9)
        self._sums, self._count = {}, 0
        rounded = {name: float(f"{mean:.6g}") for name, mean in means.items()}
        self._folder.record(step=report.step, stage=report.stage, **rounded)
        if self._board is not None:
            self._board.figures("training", report.step, rounded)

    def look(self, network: DensityNetwork, step: int) -> dict[str, float]:
        """Figures of what is held out; pictures, curves and the page are brought up to date."""
        figures = self._watcher.look(network, step)
        self._folder.record(step=step, watched=figures)
        if self._board is not None:
            self._board.figures("held out", step, figures)
            for file in sorted((self._folder.path / "pictures").glob(f"*_{step:07d}.png")):
                self._board.picture(file.stem.rpartition("_")[0], step, file)
        self.page()
        return figures

    def page(self) -> None:
        """Write the page of the run as it stands."""
        try:
            write_page(self._folder.path, self._config.name)
        except OSError as error:
            raise UserError(f"cannot write the page of {self._folder.path}: {error}") from error
