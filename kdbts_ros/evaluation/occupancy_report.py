"""What an occupancy evaluation is told as: findings, figures and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kdbts_ros.evaluation.figures import curves_figure
from kdbts_ros.evaluation.findings import Findings
from kdbts_ros.evaluation.intervals import FrameTable
from kdbts_ros.evaluation.lidar_protocol import QUIRKS
from kdbts_ros.evaluation.occupancy import OccupancyEvaluation, OccupancyScores
from kdbts_ros.evaluation.reference import ReferenceEvaluation, ReferenceSettings
from kdbts_ros.evaluation.report import markdown_table, write_report
from kdbts_ros.evaluation.scores import breakdown, frame_table, reliability

CURVES = "curves.png"


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
    extra = {"quirks": sorted(evaluation.settings.quirks)}
    return Findings(networks[0], tables, _second(networks), extra)


def describe_reference(settings: ReferenceSettings, scans: int) -> str:
    """One sentence that names everything that changes the figures."""
    grid = settings.grid
    off = sorted(set(QUIRKS) - settings.quirks)
    pitch = "from the mount" if settings.pitch is None else f"{settings.pitch:.4f} rad"
    return (
        f"Reference protocol: {scans} scans, x {grid.x[0]:g}..{grid.x[1]:g}, y {grid.y[0]:g}.."
        f"{grid.y[1]:g} down from the camera in {grid.layers} layers, z {grid.z[0]:g}.."
        f"{grid.z[1]:g} m at {grid.per_metre:g} points a metre, pitch {pitch}; quirks switched "
        f"off: {', '.join(off) or 'none'}."
    )


def write_occupancy_report(
    folder: Path,
    title: str,
    sentences: Sequence[str],
    truth: tuple[OccupancyEvaluation, Findings] | None,
    reference: tuple[str, Findings] | None,
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
                parts = breakdown(scores.methods[name])
                text += [f"Of {name}, all frames together:", markdown_table(parts)]
        worst = ", ".join(f"{name} ({value:.3f})" for name, value in evaluation.gallery.worst())
        pictures = evaluation.gallery.pictures()
        if worst:
            text.append(f"Frames with the lowest O_acc: {worst}, shown at the end.")
    if reference is not None:
        sentence, findings = reference
        text += ["## By the reference's LiDAR protocol", sentence, *findings.as_markdown()]
    write_report(folder, title, text, pictures)


def _second(networks: Sequence[str]) -> str | None:
    return networks[1] if len(networks) > 1 else None
