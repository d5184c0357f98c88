"""`kdbts evaluate drive`: maps along synthetic drives, one image against several and a memory."""

from __future__ import annotations

from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.progress import Progress

from kdbts_ros.cli import options
from kdbts_ros.cli.evaluation_data import Json, Report, show_table
from kdbts_ros.density.maps.rolling_map import AccumulationSettings
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.views.keyframes import BufferRules
from kdbts_ros.evaluation import drive_report
from kdbts_ros.evaluation.drive import DriveEvaluation, DriveSettings
from kdbts_ros.evaluation.report import write_json
from kdbts_ros.evaluation.samples import HELD_OUT_SEED


def drive(
    checkpoint: options.Checkpoint = "kdbts",
    single: Annotated[
        Optional[str],
        typer.Option("--single", help="Other weights for the maps of one image, e.g. kdbts."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="First synthetic drive.")] = HELD_OUT_SEED,
    worlds: Annotated[int, typer.Option(min=1, help="Number of drives.")] = 8,
    frames: Annotated[int, typer.Option(min=9, help="Frames of each drive.")] = 40,
    rate: Annotated[float, typer.Option(min=0.5, max=60.0, help="Frames per second.")] = 5.0,
    moving: Annotated[bool, typer.Option(help="Other cars drive instead of standing.")] = False,
    cameras: Annotated[
        str,
        typer.Option(help="left, or left,right: maps are of the first, the second adds views."),
    ] = "left",
    threshold: Annotated[
        Optional[float],
        typer.Option(min=0.02, max=0.98, help="Occupied from here; by default as the weights say."),
    ] = None,
    decay: Annotated[float, typer.Option(min=0.05, help="Fading of the rolling map, s.")] = 5.0,
    max_view_age: Annotated[float, typer.Option(min=0.05, help="Of earlier views, s.")] = 5.0,
    gate: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Least consistent share of an earlier view; 0: any."),
    ] = 0.0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    json: Json = None,
    report: Report = None,
) -> None:
    """Map along synthetic drives against the true map: single frame, 2 to 4 views, accumulated.

    Example: `kdbts evaluate drive -c mvbts --single kdbts --worlds 8 --report drive_report`
    """
    settings = DriveSettings(
        frames,
        rate,
        moving,
        threshold=threshold,
        rules=BufferRules(max_age=max_view_age),
        accumulation=AccumulationSettings(decay_s=decay),
        cameras=tuple(name.strip() for name in cameras.split(",")),
    )
    fused = SceneCompleter.load(checkpoint, device, precision)
    alone = fused if single is None else SceneCompleter.load(single, device, precision)
    fuses = fused.network.density_head.multi_view
    evaluation = DriveEvaluation(settings, alone, fused if fuses else None, gate)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("frames", total=worlds * frames)
        results = [
            evaluation.run(seed + k, lambda: progress.update(task, advance=1))
            for k in range(worlds)
        ]
    traffic = "moving" if moving else "standing"
    title = f"Maps of {checkpoint} along {worlds} synthetic drives, {traffic} cars, {cameras}"
    rows = drive_report.table(results)
    show_table(title, rows)
    told = {"checkpoint": checkpoint, "single": single or checkpoint, "moving": moving}
    told |= {
        "frames": frames,
        "rate_hz": rate,
        "decay_s": decay,
        "gate": gate,
        "cameras": list(settings.cameras),
    }
    if json is not None:
        write_json(json, drive_report.as_json(results, told))
    if report is not None:
        sentences = [
            f"Maps of one image by {single or checkpoint}. Seeds from {seed}, {frames} frames at "
            f"{rate:g} Hz, 8 m/s, fading {decay:g} s, views up to "
            f"{max_view_age:g} s old, of which a share of {gate:g} must be consistent."
        ]
        drive_report.write(report, results, title, sentences)
