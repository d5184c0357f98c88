"""Fitting a checkpoint's calibration on worlds that it neither learnt from nor is judged on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from kdbts_ros.density.birds_eye_map import map_together
from kdbts_ros.density.maps.probability import Curve, ProbabilityCurves
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.columns import columns_of
from kdbts_ros.evaluation.occupancy import OccupancySettings
from kdbts_ros.evaluation.samples import Sample
from kdbts_ros.evaluation.scores import PROBABILITY_BINS, ColumnTruth, FrameScore, score
from kdbts_ros.evaluation.shown import adapter_of, shown

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

# Columns of one kind below this many cannot carry three parameters.
_FEWEST = 200


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a network said of one frame's columns (N,): optical depth and observed, beside truth."""

    name: str
    optical_depth: Floats
    observed: Bools
    truth: ColumnTruth

    def score(self, calibration: ProbabilityCurves, threshold: float | None = None) -> FrameScore:
        """The frame as it would be scored with a calibration, by default at its own threshold."""
        probability = calibration.probability(self.optical_depth, self.observed)
        occupied_from = calibration.occupied_from if threshold is None else threshold
        return score(self.name, self.truth, probability, occupied_from)


def gather(
    scene: SceneCompleter, samples: Iterable[Sample], settings: OccupancySettings
) -> list[Evidence]:
    """Query the map of every sample without the calibration that the scene may have."""
    kept, scene.curves = scene.curves, ProbabilityCurves()
    try:
        return [_evidence(scene, sample, settings) for sample in samples]
    finally:
        scene.curves = kept


def _evidence(scene: SceneCompleter, sample: Sample, settings: OccupancySettings) -> Evidence:
    columns = columns_of(sample, settings.band, settings.box, settings.resolution)
    adapter = adapter_of(scene)
    scene.set_views([shown(view, sample, adapter) for view in sample.views])
    # A curve is of one head: what the newest view says alone is of another.
    found = map_together(scene, sample.T_world_base, columns.window, settings.band)
    opacity = found.probability[columns.compared].astype(np.float64)
    # Without curves the map holds 1 - exp(-tau); beyond tau = 16 float32 cannot tell it from 1.
    optical_depth = -np.log1p(-np.minimum(opacity, 1 - 1e-7))
    observed = found.observed[columns.compared]
    return Evidence(sample.name, optical_depth.astype(np.float32), observed, columns.truth)


def fit(frames: Sequence[Evidence]) -> ProbabilityCurves:
    """The curves of maximum likelihood for observed and for completed columns.

    Raises:
        UserError: too few columns of a kind, or nothing occupied, to fit anything.
    """
    depth = np.concatenate([frame.optical_depth for frame in frames])
    observed = np.concatenate([frame.observed for frame in frames])
    occupied = np.concatenate([frame.truth.occupied for frame in frames])
    known = np.isfinite(depth)
    return ProbabilityCurves(
        observed=fit_curve(depth[known & observed], occupied[known & observed]),
        completed=fit_curve(depth[known & ~observed], occupied[known & ~observed]),
    )


def fit_curve(optical_depth: Floats, occupied: Bools) -> Curve:
    """The curve under which the (N,) outcomes are likeliest.

    Raises:
        UserError: fewer than 200 columns, or all alike.
    """
    if len(occupied) < _FEWEST or occupied.all() or not occupied.any():
        raise UserError(
            f"{len(occupied)} columns, {int(occupied.sum())} of them occupied, are too few to fit "
            "a calibration; give more worlds"
        )

    def curve(parameters: npt.NDArray[np.float64]) -> Curve:
        log_half, log_steepness, ceiling = parameters.tolist()
        values = np.exp(log_half), np.exp(log_steepness), 1 / (1 + np.exp(-ceiling))
        return Curve(*(float(value) for value in values))

    def surprise(parameters: npt.NDArray[np.float64]) -> float:
        p = np.clip(curve(parameters).probability(optical_depth), 1e-6, 1 - 1e-6)
        return float(-np.mean(np.where(occupied, np.log(p), np.log1p(-p))))

    # Three parameters and a smooth curve: the simplex needs no gradient and does not mind the ends.
    start = np.array([0.0, 0.0, 2.0])
    simplex = np.vstack([start, start + 0.7 * np.eye(3)])
    options = {"initial_simplex": simplex, "xatol": 1e-3, "fatol": 1e-7, "maxiter": 400}
    bounds = [(-7.0, 5.0), (-3.0, 2.5), (-4.0, 7.0)]
    found = minimize(surprise, start, method="Nelder-Mead", bounds=bounds, options=options)
    return curve(found.x)


def with_threshold(
    calibration: ProbabilityCurves, frames: Sequence[Evidence], given: float | None = None
) -> ProbabilityCurves:
    """The calibration with a given threshold, or with the best one on these frames."""
    occupied_from = best_threshold(frames, calibration) if given is None else given
    return replace(calibration, occupied_from=occupied_from)


def best_threshold(frames: Sequence[Evidence], calibration: ProbabilityCurves) -> float:
    """The probability from which columns are best called occupied, see `threshold_of_best_iou`."""
    return threshold_of_best_iou([frame.score(calibration) for frame in frames])


def threshold_of_best_iou(frames: Sequence[FrameScore]) -> float:
    """The probability from which columns are best called occupied: the one of highest IoU.

    Few columns are occupied, so that calling all of them free is right nine times in ten; the IoU
    does not reward that.
    """
    counts = np.sum([frame.histogram.sum(0) for frame in frames], axis=0)
    # Columns at or above each threshold, occupied last; then what a threshold there would give.
    above = np.cumsum(counts[::-1], axis=0)[::-1]
    free, occupied = above.T
    iou = occupied / np.maximum(free + counts[:, 1].sum(), 1)
    return float(np.clip(np.argmax(iou) / PROBABILITY_BINS, 0.01, 0.99))
