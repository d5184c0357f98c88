"""Smooth surfaces out of noisy matching costs.

Hirschmüller, "Stereo processing by semi-global matching and mutual information" (PAMI 2008).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kdbts_ros.loops import njit

Floats = npt.NDArray[np.float32]

# What a step by one plane and by more costs between neighbours, in units of matching cost.
SLOPE, JUMP = 0.06, 0.5


def aggregate(costs: Floats, slope: float = SLOPE, jump: float = JUMP) -> Floats:
    """Costs (S,H,W) plus those of the best smooth paths from four sides, (S,H,W)."""
    volume = np.ascontiguousarray(costs.transpose(1, 2, 0))
    total = np.zeros_like(volume)
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        _sweep(volume, total, dy, dx, np.float32(slope), np.float32(jump))
    return total.transpose(2, 0, 1)


@njit(cache=True)
def _sweep(volume, total, dy, dx, slope, jump):  # type: ignore[no-untyped-def]
    """Add the path costs (H,W,S) along one direction to `total`."""
    height, width, planes = volume.shape
    lines = height if dx else width
    length = width if dx else height
    before = np.zeros(planes, np.float32)
    now = np.zeros(planes, np.float32)
    for line in range(lines):
        for step in range(length):
            at = step if dx + dy > 0 else length - 1 - step
            y, x = (line, at) if dx else (at, line)
            if step == 0:
                for s in range(planes):
                    now[s] = volume[y, x, s]
            else:
                least = before.min()
                for s in range(planes):
                    best = min(before[s], least + jump)
                    if s > 0:
                        best = min(best, before[s - 1] + slope)
                    if s < planes - 1:
                        best = min(best, before[s + 1] + slope)
                    now[s] = volume[y, x, s] + best - least
            for s in range(planes):
                total[y, x, s] += now[s]
                before[s] = now[s]
