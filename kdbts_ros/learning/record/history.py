"""What a run has written down about itself, read back in order."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdbts_ros.reading import foreign, reading

METRICS = "metrics.jsonl"
# What a line says besides figures to draw.
PLACE = ("time", "step", "stage")
# No figure to draw; neither is what is no number.
LARGEST = 1e300


@dataclass
class Series:
    """One figure over the steps."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class History:
    """Figures of training and of looks at what is held out, each by name.

    Attributes:
        stages: the step at which each stage began, by number.
        trained, watched: series by the name of the figure.
    """

    stages: dict[int, int]
    trained: dict[str, Series]
    watched: dict[str, Series]

    @property
    def step(self) -> int:
        """The last step that was written down."""
        return max(
            (s.steps[-1] for s in (*self.trained.values(), *self.watched.values())), default=0
        )


def read_history(folder: Path) -> History:
    """The figures of a run folder; none where nothing was written yet.

    Steps that were taken twice, because a run was stopped between two states and resumed, count
    once: what was written after the state that was resumed from is dropped. A last line that a
    crash cut short is dropped as well.
    """
    file = folder / METRICS
    lines: list[str] = []
    if file.is_file():
        # A page is drawn of what can be read; a line that a crash has torn is left out.
        with reading(file, "remove it, and the page begins anew"):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    history = History({}, {}, {})
    for line in _continued(_parsed(lines)):
        step = int(line["step"])
        if "watched" in line:
            _append(history.watched, step, line["watched"])
            continue
        history.stages.setdefault(int(line.get("stage", 0)), step)
        _append(history.trained, step, {k: v for k, v in line.items() if k not in PLACE})
    return history


def _parsed(lines: Iterable[str]) -> list[dict[str, Any]]:
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except foreign("json"):
            continue
    return [line for line in found if isinstance(line, dict) and _in_place(line)]


def _in_place(line: dict[str, Any]) -> bool:
    """Whether what says where a line belongs is whole numbers."""
    places = (line.get(name, 0) for name in ("step", "stage", "resumed"))
    return all(type(place) is int for place in places) and isinstance(line.get("watched", {}), dict)


def _continued(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for line in lines:
        if "resumed" in line:
            kept = [before for before in kept if before["step"] <= line["resumed"]]
        elif "step" in line:
            kept.append(line)
    return kept


def _append(series: dict[str, Series], step: int, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, int | float) and abs(value) < LARGEST:
            into = series.setdefault(name, Series())
            into.steps.append(step)
            into.values.append(float(value))
