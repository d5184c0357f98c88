"""Measures of many frames, and how far they could lie from here with other frames.

Efron's percentile bootstrap (1979): frames are drawn again with replacement, each with all of its
points, because the points of one frame are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Interval = tuple[float, float]
Pooled = Callable[[Array], dict[str, float]]

RESAMPLES = 1000
LEVEL = 0.95
_SEED = 1979


def no_pool(sums: Array) -> dict[str, float]:
    """For tables whose measures are all means over frames."""
    return {}


@dataclass(frozen=True, eq=False)
class FrameTable:
    """Frames as rows, so that frames can be weighed.

    Attributes:
        names: of the measures that are means over frames.
        rows: (F,M) their values, NaN where a frame does not define one.
        sums: (F,K) numbers that add up over frames.
        pooled: measures of the added sums (K,).
    """

    names: tuple[str, ...]
    rows: Array
    sums: Array
    pooled: Pooled = no_pool

    @classmethod
    def of_measures(cls, frames: Sequence[dict[str, float]]) -> FrameTable:
        """A table of means only."""
        rows = np.array([list(frame.values()) for frame in frames], np.float64)
        return cls(tuple(frames[0]), rows, np.zeros((len(frames), 0)))

    def __len__(self) -> int:
        return len(self.rows)

    def measures(self) -> dict[str, float]:
        """Every frame weighing the same, and `frames`, their count."""
        return {**self._weighed(np.ones(len(self))), "frames": float(len(self))}

    def intervals(self, resamples: int = RESAMPLES) -> dict[str, Interval]:
        """95 % interval of each measure; (NaN, NaN) of a single frame."""
        return _intervals([self._weighed(weights) for weights in _draws(len(self), resamples)])

    def difference_intervals(
        self, other: FrameTable, resamples: int = RESAMPLES
    ) -> dict[str, Interval]:
        """95 % interval of other minus self, measured on the same frames in the same order.

        Pairing removes what makes a frame hard for both: far fewer frames tell the two apart.
        """
        assert len(self) == len(other)
        drawn = []
        for weights in _draws(len(self), resamples):
            a, b = self._weighed(weights), other._weighed(weights)
            drawn.append({name: b[name] - a[name] for name in a})
        return _intervals(drawn)

    def _weighed(self, weights: Array) -> dict[str, float]:
        known = np.isfinite(self.rows)
        total = weights @ known
        means = weights @ np.where(known, self.rows, 0) / np.where(total > 0, total, np.nan)
        return {
            **dict(zip(self.names, means.tolist(), strict=True)),
            **self.pooled(weights @ self.sums),
        }


def _draws(frames: int, resamples: int) -> Array:
    """(R,F) how often each frame is drawn; no draws of a single frame."""
    rng = np.random.default_rng(_SEED)
    count = resamples if frames > 1 else 0
    return rng.multinomial(frames, np.full(frames, 1 / frames), count).astype(np.float64)


def _intervals(drawn: Sequence[dict[str, float]]) -> dict[str, Interval]:
    return {name: _interval([d[name] for d in drawn]) for name in (drawn[0] if drawn else ())}


def _interval(values: Sequence[float]) -> Interval:
    known = np.array([v for v in values if np.isfinite(v)])
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
