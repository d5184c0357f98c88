"""What one look found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["good", "note", "bad"]


@dataclass(frozen=True)
class Finding:
    """One line: good, note (it works, and could be better) or bad (no map comes).

    step: what was looked at. sentence: what was found, and if it is bad, what cures it.
    """

    step: str
    level: Level
    sentence: str


def verdict(findings: Sequence[Finding]) -> str:
    """What keeps a map from coming, the first of it first."""
    bad = [finding for finding in findings if finding.level == "bad"]
    if not bad:
        return "nothing was found that keeps a map from coming"
    more = f" (then {len(bad) - 1} more, above)" if len(bad) > 1 else ""
    return f"what keeps a map from coming, {bad[0].step}: {bad[0].sentence}{more}"


def as_json(findings: Sequence[Finding]) -> dict[str, object]:
    """Everything that was found, for programs."""
    return {
        "map_can_come": all(finding.level != "bad" for finding in findings),
        "verdict": verdict(findings),
        "findings": [asdict(finding) for finding in findings],
    }


def changes(before: Sequence[Finding], now: Sequence[Finding]) -> list[Finding]:
    """Findings whose level or step is new, for who watches; figures alone are no change."""
    known = {(finding.step, finding.level) for finding in before}
    return [finding for finding in now if (finding.step, finding.level) not in known]
