"""What came of an adaptation, as Markdown, HTML and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kdbts_ros.adaptation.judge import Score
from kdbts_ros.adaptation.verdict import Check
from kdbts_ros.files import make_folder, write_png, write_text
from kdbts_ros.learning.record.templates import rendered

TEMPLATES = [Path(__file__).with_name(name) for name in ("report.md.j2", "report.html.j2")]


@dataclass(frozen=True, eq=False)
class Outcome:
    """Everything a report tells. after None: only the checks were made. truth: of depth."""

    title: str
    checks: Sequence[Check]
    before: Score | None
    after: Score | None
    verdict: str
    pictures: Sequence[npt.NDArray[np.uint8]]
    truth: str = "matching"


def write(folder: Path, outcome: Outcome) -> Path:
    """Write report.md, report.html and the pictures; the path of the HTML page.

    Raises:
        UserError: the folder cannot be written.
    """
    names = [f"held_out_{k}.png" for k in range(len(outcome.pictures))]
    make_folder(folder)
    for name, picture in zip(names, outcome.pictures, strict=True):
        write_png(folder / name, picture)
    told = {
        "title": outcome.title,
        "verdict": outcome.verdict,
        "checks": outcome.checks,
        "rows": _rows(outcome),
        "pictures": names,
    }
    for template in TEMPLATES:
        write_text(folder / template.stem, rendered(template, **told))
    return folder / "report.html"


def _rows(outcome: Outcome) -> list[tuple[str, str, str]]:
    if outcome.before is None or outcome.after is None:
        return []
    before, after = outcome.before, outcome.after
    return [
        ("photometric error", f"{before.photometric:.4f}", f"{after.photometric:.4f}"),
        (f"depth against {outcome.truth}", f"{before.depth:.3f}", f"{after.depth:.3f}"),
    ]
