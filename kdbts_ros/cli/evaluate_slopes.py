"""`kdbts evaluate slopes`: maps of streets that rise or fall ahead."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from kdbts_ros.cli import options
from kdbts_ros.cli.evaluation_data import Json, Report, Seed, Worlds, show_table
from kdbts_ros.datasets.synthetic.hill import STEEPEST
from kdbts_ros.density.pipeline import Pipeline
from kdbts_ros.density.settings import PipelineSettings
from kdbts_ros.evaluation.report import markdown_table, write_json, write_report
from kdbts_ros.evaluation.samples import HELD_OUT_SEED
from kdbts_ros.evaluation.slopes import BEGIN, LANE_HALF, NEAR_A_THING, evaluate_slopes

NOTE = (
    f"Maps of one image, 3 to 20 m ahead and 9 m aside; the slope begins {BEGIN:g} m ahead, and "
    "the band is told above the true ground. off: the band of the map stands on z = 0 of the base; "
    "auto: on the ground that the network sees (follow_ground). false: free cells further than "
    f"{NEAR_A_THING:g} m from anything that are called occupied; lane: the same within "
    f"{LANE_HALF:g} m of the robot's axis; found: share of the obstacles' cells. Brackets: 95 % "
    "intervals over streets."
)


def slopes(
    checkpoint: options.Checkpoint = "kdbts",
    slope: Annotated[
        float, typer.Option(min=0.01, max=STEEPEST, help="Metres that the street rises a metre.")
    ] = 0.1,
    anchor: Annotated[
        bool, typer.Option(help="Tie distances to the ground, as the node does by default.")
    ] = False,
    seed: Seed = HELD_OUT_SEED,
    worlds: Worlds = 12,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    json: Json = None,
    report: Report = None,
) -> None:
    """False obstacles on the same synthetic streets level, rising and falling, with the height band
    on z = 0 and on the ground that is seen.

    Example: `kdbts evaluate slopes -c kdbts --worlds 12 --report slopes_report`
    """
    settings = PipelineSettings(
        checkpoint,
        device,
        precision,
        mode="kdbts",
        ground_anchor="auto" if anchor else "off",
    )
    pipeline = Pipeline(settings)
    seeds = track(range(seed, seed + worlds), "streets", console=Console(stderr=True))
    found = evaluate_slopes(pipeline, seeds, slope)
    rows = {name: table.measures() for name, table in found.tables.items()}
    title = f"Slopes of {slope:.0%}: {checkpoint} on {worlds} synthetic streets"
    show_table(title, rows)
    intervals = {name: table.intervals() for name, table in found.tables.items()}
    if json is not None:
        told = {"checkpoint": checkpoint, "slope": slope, "anchor": anchor}
        write_json(json, {"settings": told, "maps": rows, "intervals": intervals})
    if report is not None:
        ranges = "\n".join(
            f"* {name}: "
            + ", ".join(f"{k} [{low:.3f}, {high:.3f}]" for k, (low, high) in found_in.items())
            for name, found_in in intervals.items()
        )
        write_report(report, title, [NOTE, markdown_table(rows), ranges], found.pictures)
