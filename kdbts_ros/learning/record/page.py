"""The log of a run as one local page: curves, figures and pictures over time.

Everything lies in the run folder and is written anew as the run goes; no server, no network and no
other program than a browser is needed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kdbts_ros.learning.record.history import History, Series, read_history
from kdbts_ros.learning.record.templates import rendered

PAGE, CURVES = "index.html", "curves.png"
COLUMNS = 3
# Pictures of one place that are shown, evenly spread over the run, the last one included.
SHOWN = 6
PICTURE = re.compile(r"(?P<place>.+)_(?P<step>\d+)\.png")
# Figures of training that span more than this are drawn on a logarithmic axis.
LINEAR_SPAN = 20.0
TEMPLATE = Path(__file__).with_name("page.html.j2")


def write_page(folder: Path, name: str, note: str = "") -> None:
    """Draw `curves.png` and write `index.html` of a run folder; nothing where nothing is known."""
    history = read_history(folder)
    if not (history.trained or history.watched):
        return
    draw_curves(history, folder / CURVES)
    _replace(folder / PAGE, _page(history, pictures_of(folder / "pictures"), name, note))


def draw_curves(history: History, file: Path) -> None:
    """One panel for each figure: those of training thin and smoothed, those of looks with dots."""
    panels = [(k, v, False) for k, v in history.trained.items()]
    panels += [(k, v, True) for k, v in history.watched.items()]
    rows = math.ceil(len(panels) / COLUMNS)
    figure = Figure(figsize=(4.2 * COLUMNS, 2.5 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(rows, COLUMNS, squeeze=False)).ravel()
    for axis, (name, series, watched) in zip(axes, panels, strict=False):
        _draw(axis, name, series, watched)
        axis.set_xlim(0, max(1.0, 1.02 * history.step))
        for start in list(history.stages.values())[1:]:
            axis.axvline(start, color="#bbb", linewidth=0.8, linestyle="--")
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    partial = file.with_name("partial_" + file.name)
    figure.savefig(partial, dpi=90)
    partial.replace(file)


def pictures_of(folder: Path) -> dict[str, list[tuple[int, str]]]:
    """Step and file name of the pictures of each watched place, evenly spread over the run."""
    places: dict[str, list[tuple[int, str]]] = {}
    for file in sorted(folder.glob("*.png")):
        if match := PICTURE.fullmatch(file.name):
            places.setdefault(match["place"], []).append((int(match["step"]), file.name))
    chosen = {}
    for place, found in places.items():
        found.sort()
        indices = np.unique(np.linspace(0, len(found) - 1, min(SHOWN, len(found))).round())
        chosen[place] = [found[int(i)] for i in indices]
    return chosen


def _draw(axis: Axes, name: str, series: Series, watched: bool) -> None:
    axis.set_title(("held out: " if watched else "") + name, fontsize=10)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.3)
    if watched:
        axis.plot(series.steps, series.values, "o-", markersize=3, color="tab:orange")
        return
    axis.plot(series.steps, series.values, linewidth=0.6, alpha=0.4, color="tab:blue")
    axis.plot(series.steps, smoothed(series.values), linewidth=1.4, color="tab:blue")
    if min(series.values) > 0 and max(series.values) > LINEAR_SPAN * min(series.values):
        axis.set_yscale("log")


def smoothed(values: list[float]) -> list[float]:
    """A running mean over about a twentieth of what there is, both ends included."""
    width = max(1, len(values) // 20)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - width, 0), np.minimum(index + width + 1, len(values))
    return ((sums[high] - sums[low]) / (high - low)).tolist()


def _page(
    history: History, pictures: Mapping[str, list[tuple[int, str]]], name: str, note: str
) -> str:
    tables = [("Now", _rows(history.trained)), ("Held out", _rows(history.watched))]
    return rendered(
        TEMPLATE,
        name=name,
        note=note,
        step=history.step,
        tables=tables,
        curves=CURVES,
        pictures=pictures,
    )


def _rows(figures: Mapping[str, Series]) -> list[tuple[str, list[str]]]:
    return [
        (name, [f"{value:.4g}" for value in _summary(series)]) for name, series in figures.items()
    ]


def _summary(series: Series) -> tuple[float, float, float, float]:
    values = series.values
    return values[0], min(values), max(values), values[-1]


def _replace(file: Path, text: str) -> None:
    partial = file.with_name(file.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
