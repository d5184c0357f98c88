"""Results of drives as a table, JSON, curves and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kdbts_ros.evaluation.drive import SETTLING, DriveResult, pooled
from kdbts_ros.evaluation.drive_score import SETS, best_iou, iou
from kdbts_ros.evaluation.report import markdown_table, write_report
from kdbts_ros.pictures import Rgb

RESAMPLINGS = 2000
MEANING = (
    "IoU of occupied columns against the true map, all frames of all drives together, on cells "
    "that are the same for every method. seen: the newest image has them in view; hidden: those of "
    "which nothing is visible from there; passed: only earlier images had them; all: seen and "
    "passed. Unknown cells count as not occupied. known: share of all that the method knows. "
    "from: probability from which the method calls a column occupied. best: IoU over all at the "
    "threshold that would suit it."
)


def table(results: Sequence[DriveResult]) -> dict[str, dict[str, float]]:
    """Measures by method."""
    rows = {}
    for name in results[0].counts:
        counts = pooled(results, name)
        threshold = results[0].thresholds[name]
        values = dict(zip(SETS, map(float, iou(counts, threshold)), strict=True))
        values["known"] = float(np.nanmean(np.concatenate([r.known[name][:, -1] for r in results])))
        values["from"] = threshold
        values["best"], values["at"] = best_iou(counts[SETS.index("all")])
        rows[name] = values
    return rows


def gain(
    results: Sequence[DriveResult], method: str, over: str, cells: str
) -> tuple[float, float, float]:
    """IoU of a method less that of another, with the ends of its 95 % interval.

    Percentile bootstrap over drives: frames of one drive are not independent (Efron 1979).
    """
    k = SETS.index(cells)
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(results), (RESAMPLINGS, len(results)))
    whole, resampled = [], []
    for name in (method, over):
        counts = np.stack([r.counts[name].sum(0)[k] for r in results])  # (drives,2,BINS)
        threshold = results[0].thresholds[name]
        whole.append(float(iou(counts.sum(0), threshold)))
        resampled.append(iou(counts[drawn].sum(1), threshold))
    low, high = np.nanpercentile(resampled[0] - resampled[1], [2.5, 97.5])
    return whole[0] - whole[1], float(low), float(high)


def gains(results: Sequence[DriveResult]) -> dict[str, dict[str, float]]:
    """What more views and the rolling map add, each with its interval."""
    names = list(results[0].counts)
    pairs = {}
    if "4 views" in names:
        pairs["4 views over single frame, hidden"] = ("4 views", names[0], "hidden")
    for name in names:
        if name.endswith(", accumulated"):
            plain = name.removesuffix(", accumulated")
            pairs[f"{name} over {plain}, all"] = (name, plain, "all")
    found = {}
    for title, (method, over, cells) in pairs.items():
        difference, low, high = gain(results, method, over, cells)
        found[title] = {"gain": difference, "low": low, "high": high}
    return found


def curves(results: Sequence[DriveResult]) -> dict[str, list[float]]:
    """IoU over all cells of every frame number, all drives together."""
    found = {}
    for name, threshold in results[0].thresholds.items():
        counts = np.asarray(sum(r.counts[name] for r in results))
        found[name] = [float(value) for value in iou(counts[:, -1], threshold)]
    return found


def curve_picture(curve: Mapping[str, Sequence[float]], title: str) -> Rgb:
    """A line per method."""
    figure = Figure(figsize=(8, 4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, values in curve.items():
        style = "-" if name.endswith("accumulated") else "--"
        axes.plot(np.arange(len(values)) + SETTLING, values, style, label=name)
    axes.set(xlabel="frame", ylabel="IoU, all cells seen so far", title=title, ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, ncols=2)
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    decoded = cv2.imdecode(np.frombuffer(drawn.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(np.asarray(decoded), cv2.COLOR_BGR2RGB), np.uint8)


def as_json(results: Sequence[DriveResult], settings: Mapping[str, object]) -> dict[str, object]:
    """Everything measured."""
    return {
        "settings": dict(settings),
        "methods": table(results),
        "gains": gains(results),
        "curves": curves(results),
        "views_used": results[0].views_used,
        "seeds": [r.seed for r in results],
        "frames": sum(len(next(iter(r.counts.values()))) for r in results),
    }


def write(
    folder: Path,
    results: Sequence[DriveResult],
    title: str,
    sentences: Sequence[str],
    pictures: int = 4,
) -> None:
    """report.md with the table, the curves and the last maps of some drives."""
    drawn = [("curves", curve_picture(curves(results), "IoU against the true map"))]
    drawn += [(f"drive {r.seed}", r.picture) for r in results[:pictures]]
    rows = gains(results)
    parts = [*sentences, MEANING, markdown_table(table(results))]
    if rows:
        parts += ["Differences, with 95 % intervals over drives:", markdown_table(rows)]
    write_report(folder, title, parts, drawn)
