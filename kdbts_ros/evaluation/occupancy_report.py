"""What an occupancy evaluation is told as: findings, figures and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kdbts_ros.evaluation.figures import curves_figure
from kdbts_ros.evaluation.findings import Findings
from kdbts_ros.evaluation.intervals import FrameTable
from kdbts_ros.evaluation.lidar_protocol import QUIRKS
from kdbts_ros.evaluation.occupancy import OccupancyEvaluation, OccupancyScores
from kdbts_ros.evaluation.reference import ReferenceEvaluation, ReferenceSettings
from kdbts_ros.evaluation.report import markdown_table, write_report
from kdbts_ros.evaluation.scores import breakdown, frame_table, reliability
from kdbts_ros.evaluation.visible import REACH, VisibleEvaluation, visible_table

CURVES = "curves.png"


class Part(NamedTuple):
    """Of a report: a protocol, what changes its figures, and the figures."""

    heading: str
    sentence: str
    findings: Findings


def truth_findings(scores: OccupancyScores, networks: Sequence[str]) -> Findings:
    """Of the exact protocol; networks: the checkpoint and, where there is one, the second."""
    first, methods = networks[0], scores.methods
    tables = {name: frame_table(frames, name in scores.certain) for name, frames in methods.items()}
    extra = {
        "breakdown": {name: breakdown(methods[name]) for name in networks},
        "reliability": reliability(methods[first]).tolist(),
    }
    return Findings(first, tables, _second(networks), extra)


def reference_findings(evaluation: ReferenceEvaluation, networks: Sequence[str]) -> Findings:
    """Of the reference's LiDAR protocol."""
    tables = {name: FrameTable.of_measures(rows) for name, rows in evaluation.scores.items()}
    windows = evaluation.windows
    extra = {"quirks": sorted(evaluation.settings.quirks), "scans": windows}
    by_frame: dict[str, dict[str, float]] = {}
    if len(set(windows.values())) > 1:
        rows = zip(windows.items(), evaluation.scores[networks[0]], strict=True)
        by_frame = {name: {"scans": float(count), **row} for (name, count), row in rows}
    return Findings(networks[0], tables, _second(networks), extra, by_frame)


def visible_findings(evaluation: VisibleEvaluation, networks: Sequence[str]) -> Findings:
    """Of what scans themselves saw."""
    tables = {name: visible_table(frames) for name, frames in evaluation.counts.items()}
    extra = {"columns": judged_columns(evaluation)}
    return Findings(networks[0], tables, _second(networks), extra)


def judged_columns(evaluation: VisibleEvaluation) -> dict[str, int]:
    """Columns of all frames by what scans know of them."""
    first = next(iter(evaluation.counts.values()))
    by_others, by_own = np.sum(first, axis=(0, 2)).tolist()
    return {
        "free": by_own[0],
        "occupied": by_own[1],
        "hidden_free": by_others[0],
        "hidden_occupied": by_others[1],
        "disputed": sum(evaluation.disputed),
    }


def describe_visible(evaluation: VisibleEvaluation, neighbours: int) -> str:
    """One sentence that names everything that changes the figures."""
    columns = judged_columns(evaluation)
    settings = evaluation.settings
    counts = ", ".join(f"{count} {name.replace('_', ' and ')}" for name, count in columns.items())
    return (
        f"Columns {settings.box.x[0]:g}-{REACH:g} m ahead that the frame's own scan or "
        f"{neighbours} scans before and after know, cells of {settings.resolution:g} m: {counts}. "
        "What moves is where it was when each scan passed; columns on which scans disagree are not "
        "judged."
    )


def describe_reference(settings: ReferenceSettings, scans: int) -> str:
    """One sentence that names everything that changes the figures."""
    grid = settings.grid
    off = sorted(set(QUIRKS) - settings.quirks)
    pitch = "from the mount" if settings.pitch is None else f"{settings.pitch:.4f} rad"
    return (
        f"{scans} scans from each frame onwards, x {grid.x[0]:g}..{grid.x[1]:g}, y {grid.y[0]:g}.."
        f"{grid.y[1]:g} down from the camera in {grid.layers} layers, z {grid.z[0]:g}.."
        f"{grid.z[1]:g} m at {grid.per_metre:g} points a metre, pitch {pitch}; quirks switched "
        f"off: {', '.join(off) or 'none'}."
    )


def write_occupancy_report(
    folder: Path,
    title: str,
    sentences: Sequence[str],
    truth: tuple[OccupancyEvaluation, Findings] | None,
    parts: Sequence[Part],
) -> None:
    """report.md, the curves and the worst frames."""
    text, pictures = list(sentences), []
    if truth is not None:
        evaluation, findings = truth
        scores = evaluation.scores
        networks = {n: f for n, f in scores.methods.items() if n not in scores.certain}
        certain = {n: f for n, f in scores.methods.items() if n in scores.certain}
        curves_figure(folder / CURVES, networks, certain)
        text += ["## Against the exact world", *findings.as_markdown(), f"![curves]({CURVES})"]
        for name in (findings.checkpoint, findings.other):
            if name is not None:
                by_kind = breakdown(scores.methods[name])
                text += [f"Of {name}, all frames together:", markdown_table(by_kind)]
        worst = ", ".join(f"{name} ({value:.3f})" for name, value in evaluation.gallery.worst())
        pictures = evaluation.gallery.pictures()
        if worst:
            text.append(f"Frames with the lowest O_acc: {worst}, shown at the end.")
    for part in parts:
        text += [f"## {part.heading}", part.sentence, *part.findings.as_markdown()]
    write_report(folder, title, text, pictures)


def _second(networks: Sequence[str]) -> str | None:
    return networks[1] if len(networks) > 1 else None
