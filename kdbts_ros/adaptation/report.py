"""What came of an adaptation, as Markdown, HTML and pictures."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kdbts_ros.adaptation.checks import Check
from kdbts_ros.adaptation.judge import Score
from kdbts_ros.files import make_folder, write_png, write_text


@dataclass(frozen=True, eq=False)
class Outcome:
    """Everything a report tells. after None: only the checks were made."""

    title: str
    checks: Sequence[Check]
    before: Score | None
    after: Score | None
    verdict: str
    pictures: Sequence[npt.NDArray[np.uint8]]


def write(folder: Path, outcome: Outcome) -> Path:
    """Write report.md, report.html and the pictures; the path of the HTML page.

    Raises:
        UserError: the folder cannot be written.
    """
    names = [f"held_out_{k}.png" for k in range(len(outcome.pictures))]
    make_folder(folder)
    for name, picture in zip(names, outcome.pictures, strict=True):
        write_png(folder / name, picture)
    write_text(folder / "report.md", _markdown(outcome, names))
    page = folder / "report.html"
    write_text(page, _html(outcome, names))
    return page


def _rows(outcome: Outcome) -> list[tuple[str, str, str]]:
    if outcome.before is None or outcome.after is None:
        return []
    before, after = outcome.before, outcome.after
    return [
        ("photometric error", f"{before.photometric:.4f}", f"{after.photometric:.4f}"),
        ("depth against matching", f"{before.depth:.3f}", f"{after.depth:.3f}"),
    ]


def _markdown(outcome: Outcome, names: Sequence[str]) -> str:
    lines = [f"# {outcome.title}", "", outcome.verdict, "", "| check | | |", "|---|---|---|"]
    lines += [f"| {c.name} | {c.grade} | {c.sentence} |" for c in outcome.checks]
    rows = _rows(outcome)
    if rows:
        lines += ["", "| on held-out clips | before | after |", "|---|---|---|"]
        lines += [f"| {name} | {a} | {b} |" for name, a, b in rows]
    lines += ["", *(f"![held-out clip]({name})" for name in names)]
    return "\n".join(lines) + "\n"


def _html(outcome: Outcome, names: Sequence[str]) -> str:
    def row(cells: Sequence[str], tag: str = "td") -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    checks = "".join(row((c.name, c.grade, c.sentence)) for c in outcome.checks)
    figures = "".join(row(cells) for cells in _rows(outcome))
    if figures:
        figures = f"<table>{row(('on held-out clips', 'before', 'after'), 'th')}{figures}</table>"
    pictures = "".join(f'<p><img src="{name}" alt="held-out clip"></p>' for name in names)
    style = (
        "body{font:15px sans-serif;max-width:70em;margin:2em auto}td,th{padding:.3em .8em;"
        "text-align:left;vertical-align:top}img{max-width:100%}"
    )
    title = html.escape(outcome.title)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{style}</style><h1>{title}</h1><p>{html.escape(outcome.verdict)}</p>"
        f"<table>{checks}</table>{figures}{pictures}</html>\n"
    )
