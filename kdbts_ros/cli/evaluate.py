"""`kdbts evaluate`: how good a checkpoint is, on data it never saw."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import typer

from kdbts_ros.cli import options
from kdbts_ros.cli.evaluate_cameras import cameras
from kdbts_ros.cli.evaluate_drive import drive as along_drives
from kdbts_ros.cli.evaluation_data import (
    Anchoring,
    Compare,
    Data,
    DataChoice,
    Dataset,
    Drive,
    Frames,
    GroundAnchor,
    Json,
    Report,
    Root,
    Seed,
    Sequence_,
    Uncalibrated,
    Views,
    Worlds,
    load_scenes,
    show_table,
)
from kdbts_ros.density.cameras.adapter import choose_mode
from kdbts_ros.density.maps.grid import HeightBand
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.depth import depth_findings, evaluate_depth
from kdbts_ros.evaluation.depth_errors import DepthErrors, steadiness_rows
from kdbts_ros.evaluation.depth_metrics import CAP, Crop
from kdbts_ros.evaluation.findings import Findings
from kdbts_ros.evaluation.gallery import Gallery
from kdbts_ros.evaluation.lidar_protocol import ALL_QUIRKS, QUIRKS, ReferenceGrid
from kdbts_ros.evaluation.occupancy import OccupancyEvaluation, OccupancySettings
from kdbts_ros.evaluation.occupancy_report import (
    describe_reference,
    reference_findings,
    truth_findings,
    write_occupancy_report,
)
from kdbts_ros.evaluation.reference import ReferenceEvaluation, ReferenceSettings
from kdbts_ros.evaluation.report import write_json, write_report
from kdbts_ros.evaluation.samples import HELD_OUT_SEED

app = typer.Typer(no_args_is_help=True, help="Measure a checkpoint against truth.")
app.command()(cameras)
app.command("drive")(along_drives)

PICTURES = 4


class Scaling(str, Enum):
    """What is done to the predicted depth before it is compared."""

    NONE = "none"
    MEDIAN = "median"


class Protocol(str, Enum):
    """Whose rules decide what is occupied and what is visible."""

    TRUTH = "truth"
    REFERENCE = "reference"
    BOTH = "both"


Without = Annotated[
    Optional[list[str]],
    typer.Option(
        "--without", metavar="QUIRK", help=f"Switch off: {', '.join(QUIRKS)}; repeatable."
    ),
]
LidarBox = Annotated[
    str,
    typer.Option(
        "--lidar-box", metavar="X0:X1,Y0:Y1,Z0:Z1", help="Right, down and forward of the camera, m."
    ),
]


@app.command()
def depth(
    checkpoint: options.Checkpoint = "kdbts",
    compare: Compare = None,
    dataset: Data = Dataset.SYNTHETIC,
    root: Root = None,
    drive: Drive = None,
    sequence: Sequence_ = None,
    frames: Frames = ":",
    seed: Seed = HELD_OUT_SEED,
    worlds: Worlds = 20,
    views: Views = "left",
    scaling: Annotated[Scaling, typer.Option(help="none, or median per frame.")] = Scaling.NONE,
    cap: Annotated[float, typer.Option(min=1.0, help="Farthest depth that counts, m.")] = CAP[1],
    canonical_camera: Annotated[
        str, typer.Option(help="Show other cameras as the node does: auto, on or off.")
    ] = "auto",
    ground_anchor: GroundAnchor = Anchoring.OFF,
    head: options.Head = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    json: Json = None,
    report: Report = None,
) -> None:
    """Depth by the Eigen protocol: Garg crop (recorded data), 80 m cap, no scaling by default.

    Example: `kdbts evaluate depth --dataset kitti-raw --root KITTI --drive 0009`
    """
    data = DataChoice(dataset, root, drive, sequence, frames, seed, worlds, views)
    samples = data.samples()
    scenes = load_scenes([checkpoint, compare], device, precision, head)
    crop: Crop = "none" if dataset is Dataset.SYNTHETIC else "garg"
    gallery = Gallery(PICTURES if report else 0)
    canonical = choose_mode(canonical_camera)
    errors = {name: DepthErrors() for name in scenes}
    tables = evaluate_depth(
        scenes,
        samples,
        (CAP[0], cap),
        crop,
        scaling.value,
        gallery,
        canonical,
        errors,
        ground_anchor is Anchoring.ON,
    )
    findings = depth_findings(tables, list(scenes), errors)
    title = f"Depth of {checkpoint} (head {scenes[checkpoint].spec.head}) on {data}"
    show_table(title, findings.rows())
    for name, found in errors.items():
        show_table(f"Predicted over true depth of {name}, by distance", found.table())
    show_table("Steadiness of the scale, frame by frame", steadiness_rows(errors))
    if json is not None:
        write_json(json, findings.as_json())
    if report is not None:
        rules = (
            f"Crop {crop}, cap {cap:g} m, scaling {scaling.value}, canonical camera {canonical}, "
            f"ground anchor {ground_anchor.value}; "
            "means over frames."
        )
        worst = ", ".join(f"{name} ({-value:.3f})" for name, value in gallery.worst())
        text = [rules, *findings.as_markdown(), f"Worst frames by abs_rel: {worst}."]
        write_report(report, title, text, gallery.pictures())


@app.command()
def occupancy(
    checkpoint: options.Checkpoint = "kdbts",
    compare: Compare = None,
    dataset: Data = Dataset.SYNTHETIC,
    root: Root = None,
    drive: Drive = None,
    sequence: Sequence_ = None,
    frames: Frames = ":",
    seed: Seed = HELD_OUT_SEED,
    worlds: Worlds = 20,
    views: Views = "left",
    protocol: Annotated[
        Optional[Protocol],
        typer.Option(help="truth: exact worlds. reference: LiDAR, as published. Or both."),
    ] = None,
    threshold: Annotated[
        Optional[float],
        typer.Option(min=0.01, max=0.99, help="Occupied from here; else the checkpoint's own."),
    ] = None,
    height_min: Annotated[float, typer.Option(help="Band above the ground, m.")] = 0.3,
    height_max: Annotated[float, typer.Option(help="Band above the ground, m.")] = 2.0,
    uncalibrated: Uncalibrated = False,
    scans: Annotated[int, typer.Option(min=1, help="Of the reference: LiDAR scans.")] = 20,
    lidar_box: LidarBox = "-4:4,0:0.75,4:20",
    layers: Annotated[int, typer.Option(min=1, help="Of the reference: layers of height.")] = 1,
    pitch_deg: Annotated[
        Optional[float],
        typer.Option(help="Of the reference: pitch of the camera, else its mount's."),
    ] = None,
    without: Without = None,
    ground_anchor: GroundAnchor = Anchoring.OFF,
    head: options.Head = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    json: Json = None,
    report: Report = None,
) -> None:
    """The map against exact worlds (3-20 m ahead, 9 m aside), or points against LiDAR scans.

    Example: `kdbts evaluate occupancy --worlds 20 --views stereo --report occupancy_report`

    Example: `kdbts evaluate occupancy --dataset kitti-raw --root KITTI --drive 0009`
    """
    chosen = _protocol(protocol, dataset)
    data = DataChoice(dataset, root, drive, sequence, frames, seed, worlds, views)
    settings = OccupancySettings(
        HeightBand(height_min, height_max, 0.25),
        threshold=threshold,
        anchored=_anchored(ground_anchor, chosen),
    )
    by_lidar = ReferenceSettings(
        _grid(lidar_box, layers),
        ALL_QUIRKS - _quirks(without or []),
        None if pitch_deg is None else float(np.radians(pitch_deg)),
    )
    samples = data.samples(0 if chosen is Protocol.TRUTH else scans)
    scenes = load_scenes([checkpoint, compare], device, precision, head, uncalibrated)
    gallery = Gallery(PICTURES if report else 0)
    exact = None if chosen is Protocol.REFERENCE else OccupancyEvaluation(scenes, settings, gallery)
    lidar = None if chosen is Protocol.TRUTH else ReferenceEvaluation(scenes, by_lidar)
    for sample in samples:
        if exact is not None:
            exact.add(sample)
        if lidar is not None:
            lidar.add(sample)
    truth = None if exact is None else (exact, truth_findings(exact.scores, list(scenes)))
    reference = None if lidar is None else reference_findings(lidar, list(scenes))
    title = f"Occupancy of {checkpoint} (head {scenes[checkpoint].spec.head}) on {data}"
    _tell({"truth": truth and truth[1], "reference": reference}, title, json)
    if report is not None:
        thresholds = ", ".join(f"{n} {settings.threshold_of(s):g}" for n, s in scenes.items())
        sentence = f"Occupied from {thresholds}; band {height_min:g}-{height_max:g} m"
        write_occupancy_report(
            report,
            title,
            [sentence + ("; uncalibrated." if uncalibrated else ".")],
            truth,
            None if reference is None else (describe_reference(by_lidar, scans), reference),
        )


def _protocol(asked: Protocol | None, dataset: Dataset) -> Protocol:
    """Exact truth where there is one, unless another protocol was asked for."""
    recorded = dataset is not Dataset.SYNTHETIC
    chosen = asked or (Protocol.REFERENCE if recorded else Protocol.TRUTH)
    if recorded and chosen is not Protocol.REFERENCE:
        raise UserError("occupancy has exact truth only with --dataset synthetic")
    return chosen


def _anchored(asked: Anchoring, protocol: Protocol) -> bool:
    """Only maps are anchored: the reference's protocol stays what was published."""
    if asked is Anchoring.ON and protocol is not Protocol.TRUTH:
        raise UserError("--ground-anchor on needs --protocol truth: the other is as published")
    return asked is Anchoring.ON


def _tell(by_protocol: Mapping[str, Findings | None], title: str, json: Path | None) -> None:
    """A table for each protocol that was followed, and all figures as JSON."""
    found = {name: findings for name, findings in by_protocol.items() if findings is not None}
    for name, findings in found.items():
        show_table(f"{title}, protocol {name}", findings.rows())
    if json is not None:
        first, *others = found.items()
        write_json(json, {**first[1].as_json(), **{n: f.as_json() for n, f in others}})


def _grid(text: str, layers: int) -> ReferenceGrid:
    try:
        ranges = [tuple(float(end) for end in part.split(":")) for part in text.split(",")]
        (x0, x1), (y0, y1), (z0, z1) = ranges
    except ValueError:
        raise UserError(
            f"--lidar-box {text!r} is not X0:X1,Y0:Y1,Z0:Z1, for example -4:4,0:0.75,4:20"
        ) from None
    return ReferenceGrid((x0, x1), (y0, y1), (z0, z1), layers)


def _quirks(names: list[str]) -> frozenset[str]:
    unknown = sorted(set(names) - set(QUIRKS))
    if unknown:
        raise UserError(f"unknown quirk {unknown[0]!r}; the quirks are {', '.join(QUIRKS)}")
    return frozenset(names)
