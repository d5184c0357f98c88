"""What a method got right in one frame, as counts that add up, and measures of many frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from kdbts_ros.evaluation.intervals import FrameTable

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]

MEASURES = ("O_acc", "O_prec", "O_rec", "IE_acc", "IE_prec", "IE_rec")
# Ends of the distance bins, horizontal from the robot, m; what is nearer or farther joins the ends.
DISTANCES = (0.0, 8.0, 12.0, 16.0, np.inf)
PROBABILITY_BINS = 100
RELIABILITY_BINS = 10


@dataclass(frozen=True, eq=False)
class ColumnTruth:
    """The compared columns of one frame, flat (N,).

    occupied: something stands there. visible: some level of the column is seen by the reference
    view in the true world. distance: m from the robot.
    """

    occupied: Bools
    visible: Bools
    distance: npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class FrameScore:
    """Counts of one method on one frame.

    confusion: (2, D, 2, 2) columns by visible, distance bin, predicted occupied, truly occupied.
    histogram: (2, PROBABILITY_BINS, 2) columns by visible, probability, truly occupied.
    mass: (2, PROBABILITY_BINS) sums of the probabilities.
    """

    name: str
    confusion: Counts
    histogram: Counts
    mass: Array


def score(name: str, truth: ColumnTruth, probability: Floats, threshold: float) -> FrameScore:
    """Compare (N,) probabilities with the truth; what a method leaves unknown (NaN) is free."""
    p = np.nan_to_num(probability.astype(np.float64))
    predicted = (p >= threshold).astype(int)
    visible, occupied = truth.visible.astype(int), truth.occupied.astype(int)
    far = np.digitize(truth.distance, DISTANCES[1:-1])
    confusion = np.zeros((2, len(DISTANCES) - 1, 2, 2), np.int64)
    np.add.at(confusion, (visible, far, predicted, occupied), 1)
    index = np.minimum((p * PROBABILITY_BINS).astype(int), PROBABILITY_BINS - 1)
    histogram = np.zeros((2, PROBABILITY_BINS, 2), np.int64)
    np.add.at(histogram, (visible, index, occupied), 1)
    mass = np.zeros((2, PROBABILITY_BINS))
    np.add.at(mass, (visible, index), p)
    return FrameScore(name, confusion, histogram, mass)


def frame_measures(frame: FrameScore) -> dict[str, float]:
    """O_* over all columns and IE_* over the invisible ones of one frame; NaN where a set is empty.

    IE_rec is the recall of empty columns nobody can see: what completion is for.
    """
    (tn, fn), (fp, tp) = frame.confusion.sum((0, 1))
    (hidden_tn, hidden_fn), (hidden_fp, hidden_tp) = frame.confusion[0].sum(0)
    hidden_right = hidden_tn + hidden_tp
    return {
        "O_acc": _ratio(tp + tn, tp + tn + fp + fn),
        "O_prec": _ratio(tp, tp + fp),
        "O_rec": _ratio(tp, tp + fn),
        "IE_acc": _ratio(hidden_right, hidden_right + hidden_fp + hidden_fn),
        "IE_prec": _ratio(hidden_tn, hidden_tn + hidden_fn),
        "IE_rec": _ratio(hidden_tn, hidden_tn + hidden_fp),
    }


def frame_table(frames: Sequence[FrameScore], certain: bool = False) -> FrameTable:
    """`MEASURES` as means over frames; IoU and calibration error of all frames together.

    certain: the method says 0 or 1 only, so that an error of its probabilities means nothing.
    """
    rows = np.array([list(frame_measures(frame).values()) for frame in frames])
    sums = np.stack([_sums(frame) for frame in frames])
    return FrameTable(MEASURES, rows, sums, partial(_pooled, certain=certain))


def _sums(frame: FrameScore) -> Array:
    """(8 + 3 K,): confusion of all and of hidden columns, then the reliability bins."""
    confusion = [frame.confusion.sum((0, 1)), frame.confusion[0].sum(0)]
    bins = [*_tenths(frame.histogram.sum(0)).T, _tenths(frame.mass.sum(0))]
    return np.concatenate([np.ravel(part) for part in (*confusion, *bins)]).astype(np.float64)


def _pooled(sums: Array, certain: bool) -> dict[str, float]:
    free, occupied, mass = np.split(sums[8:], 3)
    return {
        "iou": iou(sums[:4].reshape(2, 2)),
        "hidden_iou": iou(sums[4:8].reshape(2, 2)),
        "ece": float("nan") if certain else calibration_error(_bins(free, occupied, mass)),
    }


def _tenths(fine: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Probability bins (PROBABILITY_BINS, ...) added up to the tenths of the scale."""
    return fine.reshape(RELIABILITY_BINS, -1, *fine.shape[1:]).sum(1)


def _bins(free: Array, occupied: Array, mass: Array) -> Array:
    total = free + occupied
    kept = total > 0
    return np.stack([mass[kept] / total[kept], occupied[kept] / total[kept], total[kept]], -1)


def iou(confusion: npt.NDArray[Any]) -> float:
    """Intersection over union of occupied columns of a (2,2) table, predicted by true."""
    return _ratio(confusion[1, 1], confusion.sum() - confusion[0, 0])


def reliability(frames: Sequence[FrameScore]) -> Array:
    """(K,3): mean probability, share occupied and count of each filled tenth of the scale."""
    free, occupied, mass = np.split(np.sum([_sums(frame) for frame in frames], axis=0)[8:], 3)
    return _bins(free, occupied, mass)


def calibration_error(bins: Array) -> float:
    """Mean distance between probability and frequency, weighted by count (Guo et al., 2017)."""
    return _ratio((np.abs(bins[:, 0] - bins[:, 1]) * bins[:, 2]).sum(), bins[:, 2].sum())


def receiver_curve(frames: Sequence[FrameScore], hidden: bool = False) -> Array:
    """(PROBABILITY_BINS + 1, 2): false and true positive rates from threshold 1 down to 0."""
    counts = sum(frame.histogram[0] if hidden else frame.histogram.sum(0) for frame in frames)
    assert isinstance(counts, np.ndarray)
    above = np.cumsum(counts[::-1], axis=0)
    rates = above / np.maximum(above[-1], 1)
    return np.concatenate([np.zeros((1, 2)), rates])


def breakdown(frames: Sequence[FrameScore]) -> dict[str, dict[str, float]]:
    """Accuracy, precision, recall, IoU and count of columns by visibility and by distance."""
    total = sum(frame.confusion for frame in frames)
    assert isinstance(total, np.ndarray)
    parts = {"visible": total[1].sum(0), "hidden": total[0].sum(0)}
    for k, (low, high) in enumerate(pairwise(DISTANCES)):
        label = f"beyond {low:.0f} m" if np.isinf(high) else f"{low:.0f}-{high:.0f} m"
        parts[label] = total[:, k].sum(0)
        parts[f"{label}, hidden"] = total[0, k]
    return {label: _table_measures(confusion) for label, confusion in parts.items()}


def _table_measures(confusion: npt.NDArray[Any]) -> dict[str, float]:
    (tn, fn), (fp, tp) = confusion
    return {
        "columns": float(confusion.sum()),
        "occupied": _ratio(tp + fn, confusion.sum()),
        "acc": _ratio(tp + tn, confusion.sum()),
        "prec": _ratio(tp, tp + fp),
        "rec": _ratio(tp, tp + fn),
        "free_rec": _ratio(tn, tn + fp),
        "iou": iou(confusion),
    }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
