"""Curves of an evaluation as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kdbts_ros.evaluation.scores import FrameScore, frame_table, receiver_curve, reliability
from kdbts_ros.files import make_folder, writing

Scores = Mapping[str, Sequence[FrameScore]]


def curves_figure(path: Path, networks: Scores, certain: Scores) -> None:
    """Receiver curves of all and of hidden columns, and reliability; one line per network.

    certain: methods of 0 and 1, which are a point each. The circle marks the threshold.
    """
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    axes = figure.subplots(1, 3)
    for axis, hidden in zip(axes[:2], (False, True), strict=True):
        for name, frames in networks.items():
            curve = receiver_curve(frames, hidden)
            (line,) = axis.plot(*curve.T, label=name)
            axis.plot(*_rates(frames, hidden), "o", color=line.get_color(), markersize=5)
        for (name, frames), marker in zip(certain.items(), "svD^", strict=False):
            axis.plot(*_rates(frames, hidden), marker, color="grey", label=name, markersize=6)
        axis.plot([0, 1], [0, 1], ":", color="lightgrey", zorder=0)
        kind = "hidden columns" if hidden else "all columns"
        axis.set(xlabel="free columns called occupied", ylabel="occupied columns found",
                 xlim=(0, 1), ylim=(0, 1), title=kind)  # fmt: skip
    axes[0].legend(fontsize=8, loc="lower right")
    _reliability(axes[2], networks)
    _save(figure, path)


def _reliability(axis, networks: Scores) -> None:  # type: ignore[no-untyped-def]
    axis.plot([0, 1], [0, 1], ":", color="grey")
    for name, frames in networks.items():
        probability, share, count = reliability(frames).T
        error = frame_table(frames).measures()["ece"]
        (line,) = axis.plot(probability, share, "-", label=f"{name}, error {error:.3f}")
        # The area of a dot is its share of the columns.
        axis.scatter(probability, share, 6 + 300 * count / count.sum(), color=line.get_color())
    axis.set(xlabel="probability in the map", ylabel="share really occupied", xlim=(0, 1),
             ylim=(0, 1), title="reliability")  # fmt: skip
    axis.legend(fontsize=8, loc="upper left")


def _rates(frames: Sequence[FrameScore], hidden: bool) -> tuple[float, float]:
    """False and true positive rate at the threshold of the scores."""
    total = np.sum(
        [f.confusion[0].sum(0) if hidden else f.confusion.sum((0, 1)) for f in frames], 0
    )
    rates = total[1] / np.maximum(total.sum(0), 1)
    return float(rates[0]), float(rates[1])


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    make_folder(path.parent)
    with writing(path):
        figure.savefig(path)
