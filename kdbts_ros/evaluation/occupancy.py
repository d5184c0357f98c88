"""Occupancy of a network against an exact world: the truth decides what is visible.

Columns of the published map are compared within a box ahead of the robot. Unlike the reference's
LiDAR protocol, neither the truth nor the set of hidden columns depends on the method's own depth,
and a density is judged by its opacity, not by its raw value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.truth import column_truth, visible
from kdbts_ros.density.bev import GridWindow, HeightBand, map_around
from kdbts_ros.density.camera import inverse, transform
from kdbts_ros.density.pipeline import map_with_robot
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.samples import Sample
from kdbts_ros.pictures import Rgb, panel

Bools = npt.NDArray[np.bool_]
RELIABILITY_BINS = 10


@dataclass(frozen=True)
class Box:
    """Where columns are compared, in the base frame, metres."""

    x: tuple[float, float] = (3.0, 20.0)
    y: tuple[float, float] = (-9.0, 9.0)


@dataclass
class OccupancyReport:
    """Mean measures over frames, pooled IoU, reliability, and every frame's own measures."""

    measures: dict[str, float]
    frames: list[tuple[str, dict[str, float]]]
    reliability: list[tuple[float, float, int]]
    pictures: list[tuple[str, Rgb]] = field(default_factory=list)


@dataclass(frozen=True)
class Columns:
    """Compared columns of one frame, flat: probability, truth, and whether any level is visible."""

    probability: npt.NDArray[np.float32]
    occupied: Bools
    visible: Bools


def evaluate_occupancy(
    scene: SceneCompleter,
    samples: Iterable[Sample],
    band: HeightBand,
    threshold: float,
    resolution: float = 0.2,
    box: Box | None = None,
    pictures: int = 4,
) -> OccupancyReport:
    """Compare the map of every synthetic sample with its world."""
    box = box or Box()
    per_frame, pooled = [], []
    drawn: list[tuple[str, Rgb]] = []
    for sample in samples:
        if sample.world is None:
            raise UserError(
                f"{sample.name} has no exact world; occupancy needs --dataset synthetic"
            )
        scene.set_views([sample.view])
        side = 2 * max(abs(v) for v in (*box.x, *box.y))
        x, y = sample.T_world_base[:2, 3]
        window = GridWindow.around(float(x), float(y), side, resolution)
        found = map_around(scene, sample.T_world_base, window, band)
        columns, truth = compared_columns(sample, window, found.probability, band, box)
        per_frame.append((sample.name, column_measures(columns, threshold)))
        pooled.append(columns)
        if len(drawn) < pictures:
            maps = [("map", found.trinary(threshold)), ("true map", truth)]
            shown = [
                (name, map_with_robot(window, grid, sample.T_world_base)) for name, grid in maps
            ]
            picture = panel(sample.view.image, scene.depth_map().valid(), shown)
            drawn.append((sample.name, picture))
    measures = mean_over_frames([m for _, m in per_frame])
    measures["iou"] = pooled_iou(pooled, threshold)
    measures["hidden_iou"] = pooled_iou(pooled, threshold, hidden=True)
    reliability = reliability_bins(pooled)
    measures["ece"] = expected_calibration_error(reliability)
    measures["frames"] = len(per_frame)
    return OccupancyReport(measures, per_frame, reliability, drawn)


def compared_columns(
    sample: Sample,
    window: GridWindow,
    probability: npt.NDArray[np.float32],
    band: HeightBand,
    box: Box,
) -> tuple[Columns, npt.NDArray[np.int8]]:
    """The columns of the box that the map knows, and the true map (H,W) of -1, 0, 100 there."""
    assert sample.world is not None
    x, y = window.centres()
    occupied = column_truth(sample.world, x, y, band.low, band.high)
    X, Y = np.meshgrid(x, y)
    base = transform(inverse(sample.T_world_base), np.stack([X, Y, np.zeros_like(X)], -1))
    inside = (base[..., 0] >= box.x[0]) & (base[..., 0] <= box.x[1])
    inside &= (base[..., 1] >= box.y[0]) & (base[..., 1] <= box.y[1])
    known = np.isfinite(probability) & inside
    heights, _ = band.levels()
    points = np.stack(
        [np.broadcast_to(a, (len(heights), known.sum())) for a in (X[known], Y[known])]
        + [np.repeat(heights[:, None], known.sum(), 1)],
        axis=-1,
    )
    view = sample.view
    lit = visible(sample.world, view.camera, view.T_world_cam, points.reshape(-1, 3))
    any_lit = np.asarray(lit.reshape(len(heights), -1).any(0))
    columns = Columns(probability[known], occupied[known], any_lit)
    truth = np.where(np.isfinite(probability), np.where(occupied, 100, 0), -1).astype(np.int8)
    return columns, truth


def column_measures(columns: Columns, threshold: float) -> dict[str, float]:
    """O_* over all columns; IE_* over the invisible ones, NaN where a set is empty.

    IE_rec is the recall of empty columns nobody can see: what completion is for.
    """
    p, o, hidden = columns.probability >= threshold, columns.occupied, ~columns.visible
    return {
        "O_acc": _share(p == o),
        "O_prec": _share(o[p]),
        "O_rec": _share(p[o]),
        "IE_acc": _share((p == o)[hidden]),
        "IE_prec": _share(~o[~p & hidden]),
        "IE_rec": _share(~p[~o & hidden]),
    }


def mean_over_frames(frames: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each measure over the frames where it is defined."""
    return {name: float(np.nanmean([frame[name] for frame in frames])) for name in frames[0]}


def pooled_iou(frames: list[Columns], threshold: float, hidden: bool = False) -> float:
    """Intersection over union of occupied columns, all frames together."""
    hits = union = 0
    for columns in frames:
        chosen = ~columns.visible if hidden else np.ones_like(columns.visible)
        p, o = (columns.probability >= threshold)[chosen], columns.occupied[chosen]
        hits += int((p & o).sum())
        union += int((p | o).sum())
    return hits / union if union else float("nan")


def reliability_bins(frames: list[Columns]) -> list[tuple[float, float, int]]:
    """(mean probability, share occupied, count) of each tenth of the probability scale."""
    probability = np.concatenate([c.probability for c in frames])
    occupied = np.concatenate([c.occupied for c in frames])
    index = np.minimum((probability * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    bins = []
    for k in range(RELIABILITY_BINS):
        chosen = index == k
        if chosen.any():
            bins.append(
                (
                    float(probability[chosen].mean()),
                    float(occupied[chosen].mean()),
                    int(chosen.sum()),
                )
            )
    return bins


def expected_calibration_error(bins: list[tuple[float, float, int]]) -> float:
    """Mean distance between probability and frequency, weighted by count."""
    total = sum(count for _, _, count in bins)
    return sum(abs(p - o) * count for p, o, count in bins) / total if total else float("nan")


def _share(values: npt.NDArray[np.bool_]) -> float:
    return float(values.mean()) if values.size else float("nan")
