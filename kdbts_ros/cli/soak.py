"""`kdbts soak`: the real node under load for minutes or hours, and whether anything grows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Optional

import cv2
import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from kdbts_ros.cli import options
from kdbts_ros.cli.benchmark_node import LOADING_SECONDS, NODE_MODULE, wait_until_active
from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.demo.children import Child, prepare_environment
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.report import write_json
from kdbts_ros.files import shown

if TYPE_CHECKING:
    from kdbts_ros.replay.soak_test import SoakResult, Usage

# What the network sees of it; larger images load the middleware and the robot of the test.
WIDTH, HEIGHT = 640, 192
EXIT_UNWELL = 1


def soak(
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="Of each camera, Hz.")] = 30.0,
    cameras: Annotated[int, typer.Option(min=1, max=4, help="Of the robot.")] = 4,
    minutes: Annotated[float, typer.Option(min=0.1, max=600, help="How long.")] = 5.0,
    hours: Annotated[
        Optional[float], typer.Option(min=0.1, max=1000, help="How long, in place of --minutes.")
    ] = None,
    checkpoint: options.Checkpoint = "mvbts",
    device: options.Device = "auto",
    out: Annotated[
        Path,
        typer.Option(help="Folder of soak.png, soak.json and node.log.",
                     callback=options.folder_to_write),
    ] = Path("soak_out"),
) -> None:  # fmt: skip
    """Drive a node with cameras for long; exit code 1 if it ends, grows, or loses count of images.

    Every image must become a map or a view, or be dropped for a reason that is counted.

    Example: kdbts soak --rate 30 --cameras 4 --hours 8 --out night
    """
    console = Console(stderr=True)
    seconds = 3600 * hours if hours is not None else 60 * minutes
    parameters = {"checkpoint": checkpoint, "device": device}
    with TemporaryDirectory() as folder:
        domain = prepare_environment(Path(folder))
        listen = f"its topics are in ROS_DOMAIN_ID={domain}, on this machine only"
        console.print(listen, highlight=False)
        result, ended = _soak(parameters, rate, cameras, seconds, out / "node.log", console)
    # Light: nothing above needs them.
    from kdbts_ros.replay import soak_report

    wrong = soak_report.findings(result, ended)
    if result.samples:
        write_json(out / "soak.json", {**soak_report.figures(result), "wrong": wrong})
        soak_report.draw(out / "soak.png", result)
        typer.echo(_summary(result))
    for sentence in wrong:
        typer.echo(f"wrong: {sentence}")
    typer.echo(f"{shown(out)}: soak.png, soak.json, node.log")
    if wrong:
        sys.exit(EXIT_UNWELL)


def _soak(
    parameters: dict[str, str],
    rate: float,
    cameras: int,
    seconds: float,
    log: Path,
    console: Console,
) -> tuple[SoakResult, int | None]:
    """The result, and the exit code of a node that ended by itself."""
    try:
        from kdbts_ros.node.fastdds import use_large_messages
        from kdbts_ros.replay.load_test import node_arguments
        from kdbts_ros.replay.soak_test import SoakTest, camera_names
    except ImportError as error:
        raise UserError(f"kdbts soak needs ROS 2: {error}") from error
    use_large_messages()
    view = StreetDrive(0, frames=1).frame(0).views["left"]
    image = np.asarray(cv2.resize(view.image, (WIDTH, HEIGHT)), np.uint8)
    if names := camera_names(cameras):
        parameters |= {"cameras": f"[{', '.join(names)}]"}
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        Child(NODE_MODULE, node_arguments(parameters.items()), log) as node,
        SoakTest(image, view.camera.resized(WIDTH, HEIGHT), cameras) as test,
    ):
        wait_until_active(node, test, lambda: test.warm_up(LOADING_SECONDS), console)
        with Progress(console=console) as progress:
            task = progress.add_task("soaking", total=seconds)
            result = test.run(
                rate,
                seconds,
                lambda: usage_of(node.pid) if node.exit_code is None else None,
                lambda passed: progress.update(task, completed=passed),
            )
        return result, node.exit_code


def usage_of(process: int) -> Usage | None:
    """What a process uses, by /proc and nvidia-smi; None once it has ended."""
    from kdbts_ros.replay.soak_test import Usage

    folder = Path(f"/proc/{process}")
    try:
        status = (folder / "status").read_text()
        files = len(list((folder / "fd").iterdir()))
    except OSError:
        return None
    resident = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    # A process that has ended and waits to be reaped has no memory.
    return Usage(int(resident[0]) / 1024, _gpu_mb(process), files) if resident else None


def _gpu_mb(process: int) -> float | None:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    words = [tool, "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(words, capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [[cell.strip() for cell in line.split(",")] for line in told.splitlines()]
    mine = [row[1] for row in rows if len(row) == 2 and row[0] == str(process)]
    return float(mine[0]) if mine and mine[0].isdigit() else None


def _summary(result: SoakResult) -> str:
    end = result.end
    drops = ", ".join(f"{count} {reason}" for reason, count in end.drops.most_common())
    return (
        f"{end.seconds / 60:.1f} min, {result.cameras} x {result.rate_hz:g} Hz: {end.sent} images "
        f"sent, {end.frames_in} received = {end.maps_out} maps + {end.views_in} views + "
        f"{sum(end.drops.values())} drops ({drops or 'none'}) + {result.open} open"
    )
