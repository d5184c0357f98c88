"""The report of an adaptation: what it says of checks and figures, and that names are no markup."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kdbts_ros.adaptation.judge import Score
from kdbts_ros.adaptation.report import Outcome, write
from kdbts_ros.adaptation.verdict import Check

CHECKS = [Check("overlap", "good", "enough"), Check("light", "poor", "dark <here>")]


def outcome(after: Score | None) -> Outcome:
    picture = np.zeros((4, 6, 3), np.uint8)
    before = Score(0.123456, 0.25)
    return Outcome("adapting a <bag>", CHECKS, before, after, "Kept: it is better.", [picture] * 2)


def test_both_reports_tell_checks_figures_and_pictures(tmp_path: Path) -> None:
    page = write(tmp_path, outcome(Score(0.1, 0.2)))
    assert page == tmp_path / "report.html"
    table = [
        "| check | | |",
        "|---|---|---|",
        "| overlap | good | enough |",
        "| light | poor | dark <here> |",
        "",
        "| on held-out clips | before | after |",
        "|---|---|---|",
        "| photometric error | 0.1235 | 0.1000 |",
        "| depth against matching | 0.250 | 0.200 |",
        "",
        "![held-out clip](held_out_0.png)",
        "![held-out clip](held_out_1.png)",
    ]
    text = (tmp_path / "report.md").read_text()
    assert text.startswith("# adapting a <bag>\n\nKept: it is better.\n\n")
    assert text.splitlines()[4:] == table
    html = page.read_text()
    assert "<h1>adapting a &lt;bag&gt;</h1>" in html and "dark &lt;here&gt;" in html
    assert "<td>photometric error</td><td>0.1235</td><td>0.1000</td>" in html
    assert all((tmp_path / f"held_out_{k}.png").is_file() for k in range(2))


def test_checks_alone_have_no_figures(tmp_path: Path) -> None:
    html = write(tmp_path, outcome(None)).read_text()
    assert "held-out clips" not in html and "overlap" in html
    assert "held-out clips" not in (tmp_path / "report.md").read_text()
