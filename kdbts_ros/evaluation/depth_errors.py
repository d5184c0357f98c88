"""Where depth is wrong: by distance, on the ground and off it, and how steady its scale is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from kdbts_ros.evaluation.depth_metrics import CAP, Depth
from kdbts_ros.evaluation.report import Rows

# Distances between which errors are told, m.
EDGES = (0.0, 4.0, 6.0, 10.0, 20.0, 40.0, np.inf)
# Truth within this share of the ground's plane counts as ground.
GROUND_WITHIN = 0.08
# Fewer pixels of a frame say nothing of its scale.
_LEAST_PIXELS = 50
# Medians to a thousandth, whatever the number of frames: ratios are counted, not kept.
_STEP, _MOST = 1e-3, 3.0
_COUNTED = round(2 * _MOST / _STEP) + 1


@dataclass
class _Row:
    """Pixels of one kind: how many there are of each ratio, and the sum of |p - t| / t."""

    ratios: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(_COUNTED, np.int64))
    error: float = 0.0

    def add(self, ratio: npt.NDArray[np.float64]) -> None:
        logs = np.clip(np.log(ratio), -_MOST, _MOST)
        index = np.rint((logs + _MOST) / _STEP).astype(np.int64)
        self.ratios += np.bincount(index, minlength=_COUNTED)
        self.error += float(np.abs(ratio - 1).sum())

    def measures(self, pixels: int) -> dict[str, float]:
        count = int(self.ratios.sum())
        if not count:
            return {"share": 0.0, "ratio": np.nan, "abs_rel": np.nan}
        middle = int(np.searchsorted(self.ratios.cumsum(), (count + 1) // 2))
        ratio = float(np.exp(middle * _STEP - _MOST))
        return {"share": count / pixels, "ratio": ratio, "abs_rel": self.error / count}


@dataclass
class DepthErrors:
    """Predicted over true depth of all pixels that count; add frames in the order of the drive."""

    rows: dict[str, _Row] = field(default_factory=dict)
    frames: list[float] = field(default_factory=list)
    ground: list[float] = field(default_factory=list)

    def add(self, pred: Depth, truth: Depth, plane: Depth) -> None:
        """One frame: predicted, true and ground-plane depths (N,) m of the pixels that count.

        No prediction (NaN) counts as the far cap, as in `depth_metrics`.
        """
        p = np.clip(np.where(np.isnan(pred), CAP[1], pred), *CAP).astype(np.float64)
        ratio = p / truth
        ground = np.abs(np.log(plane / truth)) < np.log1p(GROUND_WITHIN)
        for low, high in pairwise(EDGES):
            self._row(_name(low, high)).add(ratio[(truth >= low) & (truth < high)])
        self._row("ground").add(ratio[ground])
        self._row("not ground").add(ratio[~ground])
        self.frames.append(float(np.median(ratio)) if ratio.size else np.nan)
        enough = ground.sum() >= _LEAST_PIXELS
        self.ground.append(float(np.median(ratio[ground])) if enough else np.nan)

    def table(self) -> Rows:
        """By kind of pixel: their share, the median of predicted over true, and abs_rel."""
        pixels = sum(int(row.ratios.sum()) for name, row in self.rows.items() if "ground" in name)
        return {name: row.measures(max(1, pixels)) for name, row in self.rows.items()}

    def steadiness(self) -> dict[str, float]:
        """Of the median ratios of frames, of all pixels and of the ground: mean and standard
        deviation over frames, and the root mean square of steps from one frame to the next."""
        found: dict[str, float] = {}
        for name, ratios in (("ratio", self.frames), ("ground_ratio", self.ground)):
            known = np.array([r for r in ratios if np.isfinite(r)])
            some = known if known.size else np.array([np.nan])
            found |= {
                f"{name}_mean": float(some.mean()),
                f"{name}_std": float(some.std()),
                f"{name}_step": float(np.sqrt(np.mean(np.diff(known) ** 2)))
                if known.size > 1
                else np.nan,
            }
        return found

    def as_json(self) -> dict[str, object]:
        """`table` and `steadiness`."""
        return {"errors_by_distance": self.table(), "steadiness": self.steadiness()}

    def _row(self, name: str) -> _Row:
        return self.rows.setdefault(name, _Row())


def steadiness_rows(errors: Mapping[str, DepthErrors]) -> Rows:
    """`DepthErrors.steadiness` by network."""
    return {name: found.steadiness() for name, found in errors.items()}


def _name(low: float, high: float) -> str:
    if low == 0:
        return f"< {high:g} m"
    return f"> {low:g} m" if np.isinf(high) else f"{low:g}-{high:g} m"
