"""`kdbts evaluate cameras`: what another camera costs, and what the canonical camera saves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from kdbts_ros.cli import options
from kdbts_ros.cli.evaluation_data import Json, Report, Seed, Worlds, show_table
from kdbts_ros.density.maps.grid import HeightBand
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.evaluation.cameras import WAYS, CameraReport, evaluate_cameras
from kdbts_ros.evaluation.report import markdown_table, write_json, write_report
from kdbts_ros.evaluation.samples import HELD_OUT_SEED

NOTE = (
    "abs_rel over the pixels that the camera and the canonical view share, the training camera's "
    "over the same pixels (of another height: over its own image); IoU at threshold {threshold:g} "
    "over the columns that every way knows, 3-20 m ahead and 9 m aside. Ratio: canonical to "
    "training camera, abs_rel."
)


def cameras(
    checkpoint: options.Checkpoint = "kdbts",
    seed: Seed = HELD_OUT_SEED,
    worlds: Worlds = 20,
    threshold: Annotated[float, typer.Option(min=0.01, max=0.99, help="Occupied from here.")] = 0.5,
    scale_height: Annotated[
        bool, typer.Option(help="Make up for the height of the camera.")
    ] = True,
    head: options.Head = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    json: Json = None,
    report: Report = None,
) -> None:
    """The same synthetic worlds through seven cameras: as they are, canonical, and the training
    camera beside them.

    Example: `kdbts evaluate cameras --worlds 20 --report cameras_report`
    """
    scene = SceneCompleter.load(checkpoint, device, precision, head)
    seeds = track(range(seed, seed + worlds), "worlds", console=Console(stderr=True))
    found = evaluate_cameras(scene, seeds, HeightBand(0.3, 2.0, 0.25), threshold, scale_height)
    rows = table_rows(found)
    title = f"Cameras: {checkpoint} (head {scene.spec.head}) on {worlds} synthetic worlds"
    show_table(title, rows)
    if json is not None:
        content = {name: asdict(row) for name, row in found.rows.items()}
        write_json(json, {"cameras": content, "worlds": found.worlds})
    if report is not None:
        text = [NOTE.format(threshold=threshold), markdown_table(rows)]
        write_report(report, title, text, found.pictures)


def table_rows(found: CameraReport) -> dict[str, dict[str, float]]:
    """One line per camera: what it sees, its errors and maps by each way."""
    return {
        name: {
            "covered": row.covered,
            "abs_rel off": row.abs_rel["off"],
            "canonical": row.abs_rel["canonical"],
            "training": row.abs_rel["training"],
            "ratio": row.abs_rel["canonical"] / row.abs_rel["training"],
            **{f"IoU {way}": row.iou[way] for way in WAYS},
        }
        for name, row in found.rows.items()
    }
