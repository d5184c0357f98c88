"""`kdbts demo`: a drive through the real node, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console

from kdbts_ros.cli.options import Device, folder_to_write
from kdbts_ros.demo import interrupt
from kdbts_ros.demo.children import prepare_environment
from kdbts_ros.demo.results import Results
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown

if TYPE_CHECKING:
    from kdbts_ros.demo.sources import Drive

SYNTHETIC_FRAMES = 80


def demo(
    bag: Annotated[
        Optional[Path], typer.Option(help="Drive a rosbag2 recording with camera_info and /tf.")
    ] = None,
    kitti: Annotated[
        Optional[Path], typer.Option(metavar="DIR", help="Drive KITTI raw; DIR holds 2011_09_26/.")
    ] = None,
    drive: Annotated[
        Optional[str],
        typer.Option(help="Drive of --kitti, for example 0009; the first by default."),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the results.", callback=folder_to_write)
    ] = Path("demo_out"),
    checkpoint: Annotated[
        Optional[str],
        typer.Option(
            "--checkpoint",
            "-c",
            help="By default mvbts, in places other than streets mvbts_indoor.",
        ),
    ] = None,
    accumulate: Annotated[
        bool,
        typer.Option(
            "--accumulate/--single", help="Maps that remember, or one of each image alone."
        ),
    ] = True,
    device: Device = "auto",
    frames: Annotated[
        Optional[int],
        typer.Option(
            min=1, help=f"Frames to drive: {SYNTHETIC_FRAMES} of a synthetic street, all of KITTI."
        ),
    ] = None,
    place: Annotated[
        str,
        typer.Option(help="Of the synthetic drive: street, office, corridor, warehouse, ..."),
    ] = "street",
    rate: Annotated[
        Optional[float],
        typer.Option(
            min=0.01,
            help="Recorded seconds per second; as fast as the node makes maps by default.",
        ),
    ] = None,
    fixed_frame: Annotated[
        str, typer.Option(help="Frame of the maps, in a bag of yours.")
    ] = "odom",
    base_frame: Annotated[
        str, typer.Option(help="Frame of the robot on the ground, in a bag of yours.")
    ] = "base_link",
) -> None:
    """Drive a camera through kdbts_node over ROS topics; leave pictures, a film, maps and figures.

    Without --bag or --kitti the drive goes along a synthetic street, or through the place of
    --place, whose true map is known; a place takes the weights and sizes of its preset.

    Example: kdbts demo --kitti ~/kitti --drive 0009 --out demo_out
    """
    if bag is not None and (kitti is not None or frames is not None):
        raise UserError("--bag is driven as it is: leave out --kitti and --frames")
    if drive is not None and kitti is None:
        raise UserError("--drive names a drive of KITTI; give its folder with --kitti DIR")
    if place != "street" and (bag is not None or kitti is not None):
        raise UserError("--place names a synthetic drive: leave out --bag and --kitti")
    results = Results(out)
    results.clear()
    interrupt.listen()
    with results.workshop() as work:
        domain = prepare_environment(work / "ros")
        _require_ros()
        from kdbts_ros.demo.presets import preset_for, weights_for
        from kdbts_ros.demo.run import Request, run_demo
        from kdbts_ros.demo.session import NodeSettings
        from kdbts_ros.density.checkpoints.checkpoint import resolve

        weights = checkpoint or weights_for(place)
        resolve(weights)
        source = bag or _drive(kitti, drive, frames, place)
        node = NodeSettings(weights, device, fixed_frame, base_frame, accumulate, preset_for(place))
        console = Console(stderr=True)
        listen = f"its topics are in ROS_DOMAIN_ID={domain}, on this machine only"
        console.print(listen, highlight=False)
        summary = run_demo(Request(source, results, node, rate), work, console)
    Console().print(summary.table())
    files = [results.overview, results.film, results.viewer_file, results.summary]
    left = [file.name for file in files if file.is_file()]
    written = ", ".join([*left, "panels/", "outputs/"])
    typer.echo(f"{shown(out)}: {written}; look at {left[0]} first")


def _require_ros() -> None:
    try:
        import rclpy  # noqa: F401
        import tf2_msgs.msg  # noqa: F401

        import kdbts_ros.msg  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"kdbts demo needs ROS 2's Python packages and the messages of kdbts_ros ({error}); "
            "run `make venv`, or source a ROS 2 workspace that holds kdbts_ros"
        ) from error


def _drive(kitti: Path | None, name: str | None, frames: int | None, place: str) -> Drive:
    from kdbts_ros.demo import sources

    if kitti is not None:
        return sources.kitti(kitti, name, frames)
    return sources.synthetic(frames or SYNTHETIC_FRAMES, place=place)
