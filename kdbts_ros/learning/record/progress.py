"""How a stage is going, as a bar on a terminal and as lines in a log."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from kdbts_ros.learning.config.clip_stages import AnyStage

LINE_SECONDS = 30.0
SMOOTHING = 0.05


@dataclass(frozen=True)
class StepReport:
    """One step, as it is told to whoever listens.

    Attributes:
        step, stage: of the whole run, counted after the step, and the number of the stage.
        share: how much of the stage was over before the step.
        batch: images of all processes together.
        values: losses, rate and gradient.
        seconds, waited: how long the step took, and how much of it went by without frames.
    """

    step: int
    stage: int
    share: float
    batch: int
    values: dict[str, float]
    seconds: float
    waited: float


class Progress:
    """Shows a stage: a live bar where there is a terminal, else a line now and then."""

    def __init__(self, index: int, stages: int, stage: AnyStage, shown: bool = True) -> None:
        self._title = f"stage {index + 1}/{stages} {stage.kind}"
        self._shown = shown
        self._console = Console(highlight=False, soft_wrap=True)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
            console=self._console,
            disable=not (shown and self._console.is_terminal),
        )
        self._task = self._bars.add_task(self._title, total=1.0, text="")
        self._said = 0.0
        self._mean: dict[str, float] = {}

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self._shown:
            self._console.print(text)

    def waiting(self, missing: int) -> None:
        """Frames are being made for the next step."""
        self._show(f"waiting for {missing} frames", None)

    def step(self, report: StepReport) -> None:
        """One step is done."""
        times = {"seconds": report.seconds, "waited": report.waited}
        for name, value in {**report.values, **times}.items():
            before = self._mean.get(name, value)
            self._mean[name] = before + SMOOTHING * (value - before)
        shown = "  ".join(f"{n} {v:.4g}" for n, v in self._mean.items() if n not in times)
        rate = report.batch / max(self._mean["seconds"], 1e-9)
        pace = f"{rate:.1f} samples/s, waited {self._mean['waited']:.2f} s"
        self._show(f"step {report.step}  {shown}  {pace}", report.share)

    def _show(self, text: str, share: float | None) -> None:
        self._bars.update(self._task, completed=share, text=text)
        now = time.monotonic()
        if self._shown and not self._console.is_terminal and now - self._said > LINE_SECONDS:
            self._said = now
            percent = "" if share is None else f" {share:.0%}"
            self._console.print(f"{self._title}{percent}  {text}")
