"""`kdbts evaluate`: how good a checkpoint is, on data it never saw."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from kdbts_ros.cli import options
from kdbts_ros.datasets.kitti_files import split_frames
from kdbts_ros.density.bev import HeightBand
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.depth import evaluate_depth
from kdbts_ros.evaluation.depth_metrics import Crop
from kdbts_ros.evaluation.occupancy import evaluate_occupancy
from kdbts_ros.evaluation.report import Rows, markdown_table, write_json, write_report
from kdbts_ros.evaluation.samples import (
    HELD_OUT_SEED,
    Sample,
    kitti_samples,
    open_kitti,
    synthetic_samples,
)

app = typer.Typer(no_args_is_help=True, help="Measure a checkpoint against truth.")


class Dataset(str, Enum):
    """Where truth comes from."""

    SYNTHETIC = "synthetic"
    KITTI_RAW = "kitti-raw"
    KITTI_ODOMETRY = "kitti-odometry"


class Scaling(str, Enum):
    """What is done to the predicted depth before it is compared."""

    NONE = "none"
    MEDIAN = "median"


Data = Annotated[Dataset, typer.Option("--dataset", help="Where truth comes from.")]
Root = Annotated[Path | None, typer.Option("--root", help="Folder of a recorded dataset.")]
Drive = Annotated[str | None, typer.Option("--drive", help="Drive of kitti-raw, e.g. 0009.")]
Sequence_ = Annotated[str | None, typer.Option("--sequence", help="Sequence of kitti-odometry.")]
Frames = Annotated[str, typer.Option("--frames", metavar="A:B", help="Frames A to B - 1.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="First synthetic world.")]
Worlds = Annotated[int, typer.Option("--worlds", min=1, help="Number of synthetic worlds.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the figures here.")]
Report = Annotated[Path | None, typer.Option("--report", help="Folder for Markdown and PNG.")]


@app.command()
def depth(
    checkpoint: options.Checkpoint = "bts",
    dataset: Data = Dataset.SYNTHETIC,
    root: Root = None,
    drive: Drive = None,
    sequence: Sequence_ = None,
    frames: Frames = ":",
    seed: Seed = HELD_OUT_SEED,
    worlds: Worlds = 20,
    scaling: Annotated[Scaling, typer.Option(help="none, or median per frame.")] = Scaling.NONE,
    head: options.Head = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    json: Json = None,
    report: Report = None,
) -> None:
    """Depth by the Eigen protocol: Garg crop (recorded data), 80 m cap, no scaling by default.

    Example: `kdbts evaluate depth --dataset kitti-raw --root KITTI --drive 0009`
    """
    samples = _samples(dataset, root, drive, sequence, frames, seed, worlds)
    scene = SceneCompleter.load(checkpoint, device, precision, head)
    crop: Crop = "none" if dataset is Dataset.SYNTHETIC else "garg"
    found = evaluate_depth(scene, samples, crop, scaling.value)
    rows = {checkpoint: found.network, **found.baselines}
    title = f"Depth of {checkpoint} (head {scene.spec.head}) on {dataset.value}"
    _show(title, rows)
    protocol = f"Crop {crop}, cap 80 m, scaling {scaling.value}; means over frames."
    worst = ", ".join(f"{name} ({m['abs_rel']:.3f})" for name, m in found.worst())
    if json is not None:
        write_json(json, {**found.network, "baselines": found.baselines})
    if report is not None:
        text = [protocol, markdown_table(rows), f"Worst frames by abs_rel: {worst}."]
        write_report(report, title, text, found.pictures)


@app.command()
def occupancy(
    checkpoint: options.Checkpoint = "bts",
    dataset: Data = Dataset.SYNTHETIC,
    seed: Seed = HELD_OUT_SEED,
    worlds: Worlds = 20,
    threshold: Annotated[float, typer.Option(min=0.01, max=0.99, help="Occupied from here.")] = 0.5,
    height_min: Annotated[float, typer.Option(help="Band above the ground, m.")] = 0.3,
    height_max: Annotated[float, typer.Option(help="Band above the ground, m.")] = 2.0,
    head: options.Head = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    json: Json = None,
    report: Report = None,
) -> None:
    """Columns of the map against the exact world, visible and hidden, 3-20 m ahead and 9 m aside.

    Example: `kdbts evaluate occupancy --worlds 20 --report occupancy_report`
    """
    if dataset is not Dataset.SYNTHETIC:
        raise UserError("occupancy has exact truth only with --dataset synthetic")
    samples = _samples(dataset, None, None, None, ":", seed, worlds)
    scene = SceneCompleter.load(checkpoint, device, precision, head)
    band = HeightBand(height_min, height_max, 0.25)
    found = evaluate_occupancy(scene, samples, band, threshold)
    title = f"Occupancy of {checkpoint} (head {scene.spec.head}) on {worlds} synthetic worlds"
    rows = {checkpoint: found.measures}
    _show(title, rows)
    if json is not None:
        write_json(json, {**found.measures, "reliability": found.reliability})
    if report is not None:
        text = [
            f"Worlds from seed {seed}, threshold {threshold:g}, "
            f"band {height_min:g}-{height_max:g} m.",
            markdown_table(rows),
            "Reliability (mean probability, share occupied, columns): "
            + "; ".join(f"{p:.2f} {o:.2f} {n}" for p, o, n in found.reliability),
        ]
        write_report(report, title, text, found.pictures)


def _samples(
    dataset: Dataset,
    root: Path | None,
    drive: str | None,
    sequence: str | None,
    frames: str,
    seed: int,
    worlds: int,
) -> Iterable[Sample]:
    if dataset is Dataset.SYNTHETIC:
        console = Console(stderr=True)
        return track(synthetic_samples(worlds, seed), "worlds", worlds, console=console)
    recorded = open_kitti(dataset.value, root, drive, sequence, split_frames(frames))
    console = Console(stderr=True)
    return track(list(kitti_samples(recorded)), "frames", console=console)


def _show(title: str, rows: Rows) -> None:
    columns = list(next(iter(rows.values())))
    table = Table("", *columns, title=title)
    for name, values in rows.items():
        table.add_row(
            name, *(f"{values[c]:.3f}" if c != "frames" else f"{values[c]:.0f}" for c in columns)
        )
    Console().print(table)
