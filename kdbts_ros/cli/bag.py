"""`kdbts bag`: a dataset's drive as a rosbag2 recording."""

from __future__ import annotations

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
from kdbts_ros.evaluation.report import write_json
from kdbts_ros.files import shown


class Layout(str, Enum):
    """Dataset layouts that can be converted."""

    KITTI_RAW = "kitti-raw"
    KITTI_ODOMETRY = "kitti-odometry"
    KITTI_360 = "kitti-360"


class Storage(str, Enum):
    """Storage plug-ins of rosbag2."""

    MCAP = "mcap"
    SQLITE3 = "sqlite3"


def bag(
    layout: Annotated[Layout, typer.Argument(help="Layout of the dataset.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Root folder of the dataset.")],
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
            "fisheye_right, straightened. Default: left and right."
        ),
    ] = None,
    compressed: Annotated[
        bool, typer.Option("--compressed/--image", help="JPEG CompressedImage, or rgb8 Image.")
    ] = False,
    velodyne: Annotated[
        bool, typer.Option("--velodyne", help="Add the LiDAR scans as PointCloud2.")
    ] = False,
    storage: Annotated[Storage, typer.Option(help="Storage plug-in of rosbag2.")] = Storage.MCAP,
    force: Annotated[bool, typer.Option("--force", help="Replace a bag that is there.")] = False,
    json: Json = None,
) -> None:
    """Convert a KITTI drive into a rosbag2 recording with TF, CameraInfo and stored QoS.

    Example: kdbts bag kitti-raw ~/kitti drive_0009 --drive 0009 --frames 0:50 --cameras left
    """
    chosen = None if cameras is None else [name.strip() for name in cameras.split(",")]
    source = open_drive(layout.value, folder, drive, sequence, split_frames(frames), chosen)
    scans = None
    if velodyne:
        scans = Scans(source.T_base_velo, (source.lidar(index) for index in source.frames))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(escape(f"{source.name} to {shown(out)}"), total=len(source))
        count = write_bag(
            source,
            out,
            compressed=compressed,
            storage=storage.value,
            scans=scans,
            force=force,
            on_frame=lambda done: progress.update(task, completed=done),
        )
    size = sum(file.stat().st_size for file in out.iterdir())
    typer.echo(f"{shown(out)}: {count} frames of {source.name}, {size / 1e6:.0f} MB")
    if json is not None:
        told = {"bag": shown(out), "source": source.name, "frames": count, "bytes": size}
        write_json(json, told)
