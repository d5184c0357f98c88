"""What one look at a recording gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Grade = Literal["good", "poor", "bad"]


@dataclass(frozen=True)
class Check:
    """One verdict: good, poor (it will work less well) or bad (do not start)."""

    name: str
    grade: Grade
    sentence: str
