"""Evaluation results as JSON, Markdown and PNG."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from kdbts_ros.files import make_folder, write_png, write_text
from kdbts_ros.pictures import Rgb

Rows = Mapping[str, Mapping[str, float]]


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write figures as JSON, NaN as null, so that any reader takes it."""
    make_folder(path.parent)
    write_text(path, json.dumps(_without_nan(content), indent=2) + "\n")


def markdown_table(rows: Rows, digits: int = 3) -> str:
    """One line per row name, one column per measure."""
    columns = list(next(iter(rows.values())))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, values in rows.items():
        cells = [_number(values.get(column, math.nan), digits) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_report(
    folder: Path, title: str, text: Sequence[str], pictures: Sequence[tuple[str, Rgb]]
) -> None:
    """report.md and its PNGs."""
    make_folder(folder)
    parts = [f"# {title}", *text]
    for index, (name, picture) in enumerate(pictures):
        file = f"{index:02d}_{name.replace(' ', '_')}.png"
        write_png(folder / file, picture)
        parts.append(f"![{name}]({file})")
    write_text(folder / "report.md", "\n\n".join(parts) + "\n")


def _number(value: float, digits: int) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.0f}" if float(value).is_integer() and value > 1 else f"{value:.{digits}f}"


def _without_nan(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return value
