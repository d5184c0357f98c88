"""Fitting the optical depth at which a head tells depth, on worlds that it did not learn from.

Half the light is the median of what a network believes only if its doubts are independent from
sample to sample. They are doubts about one and the same surface, and so faint densities before it
add up: depth is told too near, or too far where learning made up for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.evaluation.depth import Looked
from kdbts_ros.evaluation.depth_metrics import CAP, depth_metrics
from kdbts_ros.evaluation.samples import Sample

# Optical depths that are tried, each a seventh above the one before; ln 2 is among them.
CANDIDATES = tuple(float(np.log(2) * 1.15**k) for k in range(-14, 9))
# Every other pixel of the network tells as much as all.
_STRIDE = 2


@dataclass(frozen=True, eq=False)
class DepthEvidence:
    """abs_rel by candidate (frames,candidates), and that of the depth as told without (frames,).

    By that measure a thing told twice as far away counts twice as much as one told half as far:
    of two errors it is the dangerous one.
    """

    errors: npt.NDArray[np.float64]
    as_told: npt.NDArray[np.float64]

    @classmethod
    def of(cls, parts: Sequence[DepthEvidence]) -> DepthEvidence:
        """Of all frames of the parts."""
        errors, as_told = zip(*((part.errors, part.as_told) for part in parts), strict=True)
        return cls(np.concatenate(errors), np.concatenate(as_told))

    def best(self) -> float | None:
        """The candidate of least error; None: none has less than the depth as told without."""
        means = self.errors.mean(0)
        if means.min() >= self.as_told.mean():
            return None
        return CANDIDATES[int(means.argmin())]

    def error_of(self, candidate: float | None) -> float:
        """The mean error by a candidate, or without any."""
        if candidate is None:
            return float(self.as_told.mean())
        return float(self.errors[:, CANDIDATES.index(candidate)].mean())


def gather_depth(scene: SceneCompleter, sample: Sample) -> DepthEvidence:
    """Ask for a sample's depth, by every candidate, a scene that has been shown its view alone.

    `as_told` is without the calibration that the scene may have.
    """
    kept = scene.curves
    # Where a pixel lies in the view is the same for all of them.
    place = Looked.at(scene.depth_map(_STRIDE), sample.view.camera, sample.depth.shape)
    truth = np.where(place.seen, sample.depth, np.float32(0))

    def error(candidate: float | None) -> float:
        scene.curves = replace(kept, surface_from=candidate)
        told = place.told(scene.depth_map(_STRIDE).depth)
        return depth_metrics(told, truth, CAP, "none")["abs_rel"]

    try:
        as_told, *errors = (error(at) for at in (None, *CANDIDATES))
    finally:
        scene.curves = kept
    return DepthEvidence(np.array([errors]), np.array([as_told]))
