"""`kdbts evaluate`: how good a checkpoint is, on data it never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from kdbts_ros.cli import options
from kdbts_ros.cli.evaluate_cameras import cameras
from kdbts_ros.cli.evaluate_drive import drive as along_drives
from kdbts_ros.cli.evaluate_slopes import slopes
from kdbts_ros.cli.evaluation_data import (
    CameraHeight,
    Compare,
    Data,
    DataChoice,
    Dataset,
    Drive,
    Folder,
    Frames,
    GroundAnchor,
    HeightMax,
    HeightMin,
    Intrinsics,
    Json,
    Orbslam,
    OrbslamScale,
    PlaceName,
    Report,
    Root,
    Seed,
    Sequence_,
    Uncalibrated,
    Views,
    Worlds,
    load_scenes,
    orbslam_poses,
    show_table,
)
from kdbts_ros.cli.occupancy_protocols import (
    ACCUMULATING,
    Evaluations,
    LidarBox,
    MinScans,
    Neighbours,
    Protocol,
    Protocols,
    Scans,
    Without,
    chosen_protocols,
    lidar_settings,
)
from kdbts_ros.datasets.synthetic.places.kinds import STREET
from kdbts_ros.density.cameras.adapter import choose_mode
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.anchoring import Anchoring
from kdbts_ros.evaluation.depth import depth_findings, evaluate_depth
from kdbts_ros.evaluation.depth_errors import DepthErrors, steadiness_rows
from kdbts_ros.evaluation.depth_metrics import CAP, Crop
from kdbts_ros.evaluation.findings import Findings
from kdbts_ros.evaluation.gallery import Gallery
from kdbts_ros.evaluation.occupancy import OccupancySettings, compared
from kdbts_ros.evaluation.occupancy_report import write_occupancy_report
from kdbts_ros.evaluation.report import write_json, write_report
from kdbts_ros.evaluation.samples import HELD_OUT_SEED
from kdbts_ros.files import shown

app = typer.Typer(no_args_is_help=True, help="Measure a checkpoint against truth.")
app.command()(cameras)
app.command("drive")(along_drives)
app.command()(slopes)

PICTURES = 4


class Scaling(str, Enum):
    """What is done to the predicted depth before it is compared."""

    NONE = "none"
    MEDIAN = "median"


@app.command()
def depth(
    folder: Folder = None,
    checkpoint: options.Checkpoint = "kdbts",
    compare: Compare = None,
    dataset: Data = Dataset.SYNTHETIC,
    root: Root = None,
    drive: Drive = None,
    sequence: Sequence_ = None,
    frames: Frames = ":",
    orbslam: Orbslam = None,
    orbslam_scale: OrbslamScale = 1.0,
    seed: Seed = HELD_OUT_SEED,
    worlds: Worlds = 20,
    place: PlaceName = STREET,
    views: Views = "left",
    scaling: Annotated[Scaling, typer.Option(help="none, or median per frame.")] = Scaling.NONE,
    cap: Annotated[float, typer.Option(min=1.0, help="Farthest depth that counts, m.")] = CAP[1],
    canonical_camera: Annotated[
        str, typer.Option(help="Show other cameras as the node does: auto, on or off.")
    ] = "auto",
    ground_anchor: GroundAnchor = Anchoring.OFF,
    camera_height: CameraHeight = None,
    intrinsics: Intrinsics = None,
    head: options.Head = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    json: Json = None,
    report: Report = None,
) -> None:
    """Depth by the Eigen protocol: Garg crop (KITTI), 80 m cap, no scaling by default.

    Example: `kdbts evaluate depth --dataset kitti-raw --root KITTI --drive 0009`

    Example: `kdbts evaluate depth --dataset rgbd rgbd_dataset_freiburg1_desk --frames 0:100`
    """
    if folder is not None and root is not None:
        raise UserError(f"two folders of data: {shown(folder)} and --root {shown(root)}")
    if dataset is not Dataset.RGBD and (camera_height, intrinsics) != (None, None):
        raise UserError("--camera-height and --intrinsics belong to --dataset rgbd")
    data = DataChoice(
        dataset, folder or root, drive, sequence, frames, seed, worlds, views,
        orbslam_poses(orbslam, orbslam_scale), camera_height, intrinsics, place,
    )  # fmt: skip
    samples = data.samples()
    scenes = load_scenes([checkpoint, compare], device, precision, head)
    crop: Crop = "none" if dataset in (Dataset.SYNTHETIC, Dataset.RGBD) else "garg"
    gallery = Gallery(PICTURES if report else 0)
    canonical = choose_mode(canonical_camera)
    errors = {name: DepthErrors() for name in scenes}
    tables = evaluate_depth(
        scenes, samples, (CAP[0], cap), crop, scaling.value, gallery, canonical, errors,
        anchoring=_along(ground_anchor, dataset),
    )  # fmt: skip
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
            f"ground anchor {ground_anchor.value}; means over frames."
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
    orbslam: Orbslam = None,
    orbslam_scale: OrbslamScale = 1.0,
    seed: Seed = HELD_OUT_SEED,
    worlds: Worlds = 20,
    place: PlaceName = STREET,
    views: Views = "left",
    protocol: Protocols = None,
    threshold: Annotated[
        Optional[float],
        typer.Option(min=0.01, max=0.99, help="Occupied from here; else the checkpoint's own."),
    ] = None,
    height_min: HeightMin = None,
    height_max: HeightMax = None,
    uncalibrated: Uncalibrated = False,
    scans: Scans = 20,
    min_scans: MinScans = None,
    neighbours: Neighbours = 0,
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
    """The map against exact worlds (3-20 m ahead, 9 m aside), or against LiDAR scans.

    Places that are no streets are compared 0.5 to 8 m ahead and 4 m aside, in cells of 0.1 m.

    Example: `kdbts evaluate occupancy --worlds 20 --views stereo --report occupancy_report`

    Example: `kdbts evaluate occupancy --dataset kitti-raw --root KITTI --drive 0009 --protocol all`
    """
    protocols = chosen_protocols(protocol, dataset)
    data = DataChoice(
        dataset, root, drive, sequence, frames, seed, worlds, views,
        orbslam_poses(orbslam, orbslam_scale), place=place,
    )  # fmt: skip
    settings = OccupancySettings(
        **compared(place, height_min, height_max),
        threshold=threshold,
        anchored=_anchored(ground_anchor, protocols),
    )
    by_lidar = lidar_settings(lidar_box, layers, without, pitch_deg)
    accumulates = any(p in ACCUMULATING for p in protocols)
    around = neighbours if Protocol.VISIBLE in protocols else None
    samples = data.samples(scans if accumulates else 0, min_scans, around)
    scenes = load_scenes([checkpoint, compare], device, precision, head, uncalibrated)
    gallery = Gallery(PICTURES if report else 0)
    evaluations = Evaluations(scenes, protocols, settings, by_lidar, scans, neighbours, gallery)
    evaluations.run(samples)
    findings = evaluations.findings()
    title = f"Occupancy of {checkpoint} (head {scenes[checkpoint].spec.head}) on {data}"
    _tell(findings, title, json)
    if report is not None:
        thresholds = ", ".join(f"{n} {settings.threshold_of(s):g}" for n, s in scenes.items())
        low, high = settings.band.low, settings.band.high
        sentence = f"Occupied from {thresholds}; band {low:g}-{high:g} m"
        sentence += "; uncalibrated." if uncalibrated else "."
        exact = evaluations.exact
        truth = None if exact is None else (exact, findings[Protocol.TRUTH.value])
        write_occupancy_report(report, title, [sentence], truth, evaluations.parts(findings))


def _along(asked: Anchoring, dataset: Dataset) -> Anchoring:
    """Worlds do not follow one another."""
    if asked is Anchoring.FILTERED and dataset is Dataset.SYNTHETIC:
        raise UserError(
            "--ground-anchor filtered needs a drive, whose frames follow one another: name one "
            "with --dataset, or use on"
        )
    return asked


def _anchored(asked: Anchoring, protocols: Sequence[Protocol]) -> bool:
    """Only maps are anchored: the reference's protocol stays what was published."""
    if asked is Anchoring.FILTERED:
        raise UserError("--ground-anchor filtered is for depth: maps are tied by on, or off")
    if asked is Anchoring.ON and any(p is not Protocol.TRUTH for p in protocols):
        raise UserError("--ground-anchor on needs --protocol truth: the others are as published")
    return asked is Anchoring.ON


def _tell(findings: Mapping[str, Findings], title: str, json: Path | None) -> None:
    """A table for each protocol that was followed, and all figures as JSON."""
    for name, found in findings.items():
        show_table(f"{title}, protocol {name}", found.rows())
        if found.frames:
            show_table(f"{found.checkpoint} by frame, protocol {name}", found.frames)
    if json is not None:
        first, *others = findings.items()
        write_json(json, {**first[1].as_json(), **{n: f.as_json() for n, f in others}})
