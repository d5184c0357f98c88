"""The log of a run as one local page: curves, figures and pictures over time.

Everything lies in the run folder and is written anew as the run goes; no server, no network and no
other program than a browser is needed.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kdbts_ros.learning.record.history import History, Series, read_history

PAGE, CURVES = "index.html", "curves.png"
COLUMNS = 3
# Pictures of one place that are shown, evenly spread over the run, the last one included.
SHOWN = 6
PICTURE = re.compile(r"(?P<place>.+)_(?P<step>\d+)\.png")
# Figures of training that span more than this are drawn on a logarithmic axis.
LINEAR_SPAN = 20.0
STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 76em; padding: 0 1em; }
table { border-collapse: collapse; } td, th { padding: .15em .9em .15em 0; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.row { display: flex; flex-wrap: wrap; gap: .6em; } figure { margin: 0; width: 24em; }
img { width: 100%; border: 1px solid #ccc; } figcaption { color: #555; }
"""


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
    # Text that changes with the step keeps browsers from showing an old picture of that name.
    curves = f'<img src="{CURVES}?{history.step}" alt="curves of the run">'
    parts = [
        f"<h1>{html.escape(name)}</h1>",
        f"<p>step {history.step}{'; ' + html.escape(note) if note else ''}</p>",
        _table("Now", history.trained),
        _table("Held out", history.watched),
        f"<h2>Curves</h2>{curves}",
        *(_strip(place, found) for place, found in pictures.items()),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="refresh" content="60"><title>{html.escape(name)}</title>'
        f"<style>{STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _table(title: str, figures: Mapping[str, Series]) -> str:
    if not figures:
        return ""
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td>"
        + "".join(f'<td class="number">{value:.4g}</td>' for value in _summary(series))
        + "</tr>"
        for name, series in figures.items()
    )
    head = "<tr><th>figure</th><th>first</th><th>lowest</th><th>highest</th><th>last</th></tr>"
    return f"<h2>{title}</h2><table>{head}{rows}</table>"


def _summary(series: Series) -> tuple[float, float, float, float]:
    values = series.values
    return values[0], min(values), max(values), values[-1]


def _strip(place: str, pictures: list[tuple[int, str]]) -> str:
    figures = "".join(
        f'<figure><a href="pictures/{html.escape(file)}"><img src="pictures/{html.escape(file)}" '
        f'alt="{html.escape(place)} at step {step}"></a>'
        f"<figcaption>step {step}</figcaption></figure>"
        for step, file in pictures
    )
    return f'<h2>{html.escape(place)}</h2><div class="row">{figures}</div>'


def _replace(file: Path, text: str) -> None:
    partial = file.with_name(file.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
