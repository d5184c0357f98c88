"""`kdbts adapt`: from recordings of one's own robot to weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from kdbts_ros.cli import options
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.report import write_json
from kdbts_ros.files import shown

_RECTIFIED = {"auto": None, "true": True, "false": False}
_COLOURS = {"good": "green", "poor": "yellow", "bad": "red"}


def adapt(
    bags: Annotated[
        list[Path], typer.Argument(metavar="BAG...", help="rosbag2 recordings, or folders of them.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="File for the weights, .safetensors.", callback=options.file_to_write
        ),
    ],
    checkpoint: options.Checkpoint = "kdbts",
    minutes: Annotated[float, typer.Option(min=0.01, help="Minutes of training.")] = 30.0,
    check_only: Annotated[
        bool, typer.Option("--check-only", help="Look at the recordings, train nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted adaptation.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Train despite a failed check; write weights even if worse."),
    ] = False,
    cameras: Annotated[
        Optional[str],
        typer.Option(
            help="Cameras by name or topic, e.g. left,right; IMAGES=CAMERA_INFO names both topics. "
            "Default: all."
        ),
    ] = None,
    rectified: Annotated[
        str, typer.Option(help="Whether images are straight already: auto (by topic), true, false.")
    ] = "auto",
    odometry: Annotated[
        Optional[str], typer.Option(help="Topic of nav_msgs/Odometry for the poses instead of /tf.")
    ] = None,
    world: Annotated[Optional[str], typer.Option(help="Fixed TF frame, where not odom.")] = None,
    base: Annotated[
        Optional[str], typer.Option(help="TF frame on the ground, where not base_link.")
    ] = None,
    depth: Annotated[
        str,
        typer.Option(
            metavar="TOPIC|auto|none",
            help="Depth images to learn from instead of matching; auto: where the recording has "
            "some.",
        ),
    ] = "auto",
    rate: Annotated[float, typer.Option(min=1e-7, max=1e-2, help="Learning rate.")] = 3e-4,
    held_out: Annotated[
        float, typer.Option(min=0.05, max=0.5, help="Share that is never learnt from.")
    ] = 0.15,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Of the trainer.")] = 2,
    device: options.Device = "auto",
    json: options.Json = None,
) -> None:
    """Check recordings of images and poses, then teach the network one's own cameras and places.

    State and report go to OUT without its suffix plus `.adapt`. Ctrl-C saves; `--resume` continues.

    Example: `kdbts adapt my_robot_bag --out my_robot.safetensors --minutes 30`
    """
    # Imported here: torch takes seconds, and every `kdbts` command would wait for them.
    import torch

    from kdbts_ros.adaptation.run import Request, check
    from kdbts_ros.adaptation.run import adapt as run
    from kdbts_ros.adaptation.settings import AdaptSettings
    from kdbts_ros.datasets.bags.drive import BagDrive
    from kdbts_ros.datasets.bags.files import find_bags

    torch.set_num_threads(threads)
    console = Console(highlight=False, soft_wrap=True)
    if rectified not in _RECTIFIED:
        raise UserError(f"--rectified must be auto, true or false, got '{rectified}'")
    straight = _RECTIFIED[rectified]
    say = partial(console.print, markup=False)
    wanted = None if cameras is None else [name.strip() for name in cameras.split(",")]
    drives = [
        BagDrive(
            path,
            cameras=wanted,
            odometry=odometry,
            world=world,
            base=base,
            rectified=straight,
            depth=depth,
        )
        for path in find_bags(bags)
    ]
    settings = AdaptSettings(minutes=minutes, rate=rate, held_out=held_out, seed=seed)
    request = Request(out, checkpoint, settings, device, resume, force)
    inspection = check(drives, request)
    table = Table("check", "", "", title=escape(", ".join(shown(drive.name) for drive in drives)))
    for item in inspection.checks:
        colour = _COLOURS[item.grade]
        table.add_row(item.name, f"[{colour}]{item.grade}[/]", escape(item.sentence))
    console.print(table)
    checks = {c.name: {"grade": c.grade, "sentence": c.sentence} for c in inspection.checks}
    if json is not None:
        write_json(json, {"checks": checks})
    if check_only:
        if inspection.bad:
            raise UserError(f"{len(inspection.bad)} of {len(inspection.checks)} checks failed")
        say(f"fit to learn from; report in {shown(request.folder)}")
        return
    columns = (
        TextColumn("adapting"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task("", total=1.0, text="")

        def display(share: float, text: str) -> None:
            bars.update(task, completed=share, text=text)
            if text.startswith("held out"):
                say(f"{share:.0%}  {text}")

        result = run(drives, inspection, request, display, say)
    say(result.sentence)
    if json is not None:
        write_json(json, {"checks": checks, **result.figures()})
    if not result.finished:
        again = " ".join(shown(path) for path in bags)
        say(f"continue with: kdbts adapt {again} --out {shown(out)} --resume")
        return
    say(f"report: {shown(result.page or request.folder)}")
    if result.improved or force:
        say(
            f"use it with: ros2 launch kdbts_ros kdbts.launch.py checkpoint:={shown(out.resolve())}"
        )
