"""`kdbts bag`: a dataset's drive, or a synthetic one, as a rosbag2 recording."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kdbts_ros.cli.options import Json, folder_to_write
from kdbts_ros.datasets.bags.writer import Scans, write_bag
from kdbts_ros.datasets.kitti.files import split_frames
from kdbts_ros.datasets.opening import open_drive
from kdbts_ros.datasets.sample import PosedFrame
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.report import write_json
from kdbts_ros.files import shown

# Frames of a synthetic drive where --frames does not say where it ends.
SYNTHETIC_FRAMES = 80


class Layout(str, Enum):
    """Dataset layouts that can be converted; and drives that are made up."""

    KITTI_RAW = "kitti-raw"
    KITTI_ODOMETRY = "kitti-odometry"
    KITTI_360 = "kitti-360"
    SYNTHETIC = "synthetic"


class Storage(str, Enum):
    """Storage plug-ins of rosbag2."""

    MCAP = "mcap"
    SQLITE3 = "sqlite3"


@dataclass(frozen=True, eq=False)
class _Source:
    """A drive to write: what it is called, and its frames."""

    name: str
    count: int
    frames: Iterable[PosedFrame]
    scans: Scans | None = None


def bag(
    layout: Annotated[Layout, typer.Argument(help="Layout of the dataset.")],
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|PLACE",
            help="Root folder of the dataset; of synthetic the place: street, office, ...",
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Bag folder to make.", callback=folder_to_write)],
    drive: Annotated[
        Optional[str], typer.Option(help="Drive of kitti-raw, for example 0009; needed if several.")
    ] = None,
    sequence: Annotated[
        Optional[str],
        typer.Option(help="Sequence of kitti-odometry or kitti-360, for example 04."),
    ] = None,
    frames: Annotated[
        str, typer.Option(metavar="A:B", help="Frames A to B - 1; either may be left out.")
    ] = ":",
    cameras: Annotated[
        Optional[str],
        typer.Option(
            help="Cameras: left, right or left,right; kitti-360 also has fisheye_left and "
            "fisheye_right, straightened. Default: left and right; of synthetic left."
        ),
    ] = None,
    compressed: Annotated[
        bool, typer.Option("--compressed/--image", help="JPEG CompressedImage, or rgb8 Image.")
    ] = False,
    seed: Annotated[
        Optional[int], typer.Option(min=0, help="Of synthetic: which street, office, ...")
    ] = None,
    velodyne: Annotated[
        bool, typer.Option("--velodyne", help="Add the LiDAR scans as PointCloud2.")
    ] = False,
    storage: Annotated[Storage, typer.Option(help="Storage plug-in of rosbag2.")] = Storage.MCAP,
    force: Annotated[bool, typer.Option("--force", help="Replace a bag that is there.")] = False,
    json: Json = None,
) -> None:
    """Write a KITTI drive, or a synthetic one, as a rosbag2 recording with TF and CameraInfo.

    Example: kdbts bag kitti-raw ~/kitti drive_0009 --drive 0009 --frames 0:50 --cameras left

    Example: kdbts bag synthetic office office_bag
    """
    chosen = None if cameras is None else [name.strip() for name in cameras.split(",")]
    selected = split_frames(frames)
    if layout is Layout.SYNTHETIC:
        if drive is not None or sequence is not None or velodyne:
            raise UserError("--drive, --sequence and --velodyne belong to KITTI, not to synthetic")
        source = _synthetic(str(folder), selected, seed, chosen)
    else:
        if seed is not None:
            raise UserError(f"--seed belongs to synthetic drives, not to {layout.value}")
        recorded = open_drive(layout.value, folder, drive, sequence, selected, chosen)
        source = _Source(recorded.name, len(recorded), recorded)
        if velodyne:
            scans = (recorded.lidar(index) for index in recorded.frames)
            source = replace(source, scans=Scans(recorded.T_base_velo, scans))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(escape(f"{source.name} to {shown(out)}"), total=source.count)
        count = write_bag(
            source.frames,
            out,
            compressed=compressed,
            storage=storage.value,
            scans=source.scans,
            force=force,
            on_frame=lambda done: progress.update(task, completed=done),
        )
    size = sum(file.stat().st_size for file in out.iterdir())
    typer.echo(f"{shown(out)}: {count} frames of {source.name}, {size / 1e6:.0f} MB")
    if json is not None:
        told = {"bag": shown(out), "source": source.name, "frames": count, "bytes": size}
        write_json(json, told)


def _synthetic(
    place: str, frames: range, seed: int | None, cameras: Sequence[str] | None
) -> _Source:
    """The demo's drive by default. A street or place is as long as the drive, and depends on it."""
    from kdbts_ros.demo.sources import CAMERA, SEED, synthetic_drive

    stop = SYNTHETIC_FRAMES if frames.stop == sys.maxsize else frames.stop
    if frames.start >= stop:
        raise UserError(
            f"--frames {frames.start}: holds no frame of {stop}; say where it ends, A:B"
        )
    chosen = (CAMERA,) if cameras is None else cameras
    street = synthetic_drive(stop, SEED if seed is None else seed, place, chosen)
    wanted = range(frames.start, stop)
    return _Source(
        f"synthetic {place} {street.seed}", len(wanted), (street.frame(i) for i in wanted)
    )
