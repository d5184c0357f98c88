"""How a stage is going, as a bar on a terminal and as lines in a log."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from kdbts_ros.learning.config import AnyStage
from kdbts_ros.learning.schedule import stage_share

LINE_SECONDS = 30.0
SMOOTHING = 0.05


class Progress:
    """Shows a stage: a live bar where there is a terminal, else a line now and then."""

    def __init__(self, index: int, stages: int, stage: AnyStage) -> None:
        self._stage = stage
        self._title = f"stage {index + 1}/{stages} {stage.kind}"
        self._console = Console(highlight=False, soft_wrap=True)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}"),
            console=self._console,
            disable=not self._console.is_terminal,
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
        self._console.print(text)

    def waiting(self, having: int, wanted: int) -> None:
        """Frames are being made for the first step."""
        self._show(f"making frames {having}/{wanted}", 0.0)

    def step(
        self, step: int, seconds: float, batch: int, values: dict[str, float], waited: float
    ) -> None:
        """One step is done: its losses, and how long it waited for frames."""
        speed = {"step": (seconds / step), "waited": waited}
        for name, value in {**values, **speed}.items():
            before = self._mean.get(name, value)
            self._mean[name] = before + SMOOTHING * (value - before)
        shown = "  ".join(
            f"{name} {value:.4g}" for name, value in self._mean.items() if name not in speed
        )
        pace = f"{batch * step / seconds:.1f} images/s, waited {self._mean['waited']:.2f} s"
        self._show(f"step {step}  {shown}  {pace}", stage_share(self._stage, step, seconds))

    def _show(self, text: str, share: float) -> None:
        self._bars.update(self._task, completed=share, text=text)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._said > LINE_SECONDS:
            self._said = now
            self._console.print(f"{self._title} {share:.0%}  {text}")
