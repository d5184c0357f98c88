"""From the optical depth of a map's column to the probability that something stands in it.

Physically a column of optical depth tau (the sum of density times layer thickness) stops the share
1 - exp(-tau) of light. As a probability that is overconfident: faint densities at several heights
add up although they are doubts about one and the same object. A fitted curve, steeper in log tau
and shifted, turns the sum into what was found to stand there on worlds that nothing was trained on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kdbts_ros.errors import UserError

Floats = npt.NDArray[np.float32]

NOTE = "calibration"
# Behind this optical depth 5 in 100,000 of the light is left: no surface is told by it.
MOST_SURFACE = 10.0
# Below this optical depth the logarithm would diverge; nothing stands where so little is.
_FAINTEST = 1e-12


@dataclass(frozen=True)
class Curve:
    """ceiling / (1 + (half / tau)^steepness): logistic in log tau (Platt 1999 on a log scale).

    half: optical depth at which half the ceiling is reached, > 0. steepness: > 0, so that the curve
    rises. ceiling: in (0, 1], the share that is really occupied where the network is surest.
    """

    half: float
    steepness: float
    ceiling: float = 1.0

    def __post_init__(self) -> None:
        values = (self.half, self.steepness, self.ceiling)
        if not (np.isfinite(values).all() and min(values) > 0 and self.ceiling <= 1):
            raise UserError(
                "a calibration curve needs half > 0, steepness > 0 and 0 < ceiling <= 1, got "
                + ", ".join(f"{value:g}" for value in values)
            )

    def probability(self, optical_depth: Floats) -> Floats:
        logit = self.steepness * np.log(np.maximum(optical_depth, _FAINTEST) / self.half)
        return np.asarray(self.ceiling * 0.5 * (1 + np.tanh(logit / 2)), np.float32)


@dataclass(frozen=True)
class ProbabilityCurves:
    """One curve for observed and one for completed columns; None keeps the opacity itself.

    occupied_from: probability in (0, 1) from which a column is best called occupied. One half is
    right only for who finds a missed obstacle as bad as a false one.
    surface_from: optical depth along a ray, > 0, at which depth is told; None: as an uncalibrated
    network tells it.
    """

    observed: Curve | None = None
    completed: Curve | None = None
    occupied_from: float = 0.5
    surface_from: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.occupied_from < 1:
            raise UserError(
                f"a calibration needs 0 < occupied_from < 1, got {self.occupied_from:g}"
            )
        if self.surface_from is not None and not 0 < self.surface_from < MOST_SURFACE:
            raise UserError(
                f"a calibration needs 0 < surface_from < {MOST_SURFACE:g}, got "
                f"{self.surface_from:g}"
            )

    def probability(self, optical_depth: npt.ArrayLike, observed: npt.NDArray[np.bool_]) -> Floats:
        """Probability of columns; NaN (unknown) stays NaN.

        Args:
            optical_depth: (...) sum of density times layer thickness over the band, >= 0.
            observed: (...) whether light of any view reaches the column.
        """
        depth = np.asarray(optical_depth, np.float32)
        found = np.empty_like(depth)
        # A logarithm and an exponential per column: by the one curve that it needs.
        for curve, chosen in ((self.observed, observed), (self.completed, ~observed)):
            found[chosen] = _probability(curve, depth[chosen])
        return found


def write_note(curves: Mapping[str, ProbabilityCurves]) -> str:
    """Curves by head as the note of a checkpoint, JSON."""
    return json.dumps({head: _entry(each) for head, each in curves.items()})


def read_note(text: str | None) -> dict[str, ProbabilityCurves]:
    """What `write_note` wrote, by head; empty of a checkpoint without the note.

    Raises:
        UserError: it is something else, or its curves do not rise.
    """
    if text is None:
        return {}
    try:
        return {str(head): _curves(entry) for head, entry in json.loads(text).items()}
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise UserError(f"the checkpoint's calibration cannot be read: {error}") from None


def _curves(entry: dict[str, Any]) -> ProbabilityCurves:
    curves = {
        kind: None
        if entry[kind] is None
        else Curve(**{k: float(v) for k, v in entry[kind].items()})
        for kind in ("observed", "completed")
    }
    surface = entry.get("surface_from")
    return ProbabilityCurves(
        **curves,
        occupied_from=float(entry["occupied_from"]),
        surface_from=None if surface is None else float(surface),
    )


def _entry(curves: ProbabilityCurves) -> dict[str, Any]:
    """As JSON; files without a calibrated depth stay as they were before there was one."""
    entry = asdict(curves)
    if curves.surface_from is None:
        del entry["surface_from"]
    return entry


def _probability(curve: Curve | None, optical_depth: Floats) -> Floats:
    if curve is None:
        return np.asarray(-np.expm1(-optical_depth), np.float32)
    return curve.probability(optical_depth)
