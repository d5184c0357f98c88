"""`kdbts doctor`: what keeps a map from coming."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kdbts_ros.cli import options
from kdbts_ros.doctor.finding import Finding, as_json, changes, verdict
from kdbts_ros.doctor.machine import has_ros, look_at_machine
from kdbts_ros.evaluation.report import write_json

if TYPE_CHECKING:
    from kdbts_ros.doctor.observation import Asked

# Of the shell, where something keeps a map from coming.
EXIT_BAD = 1
_COLOURS = {"good": "green", "note": "yellow", "bad": "red"}


def doctor(
    node: Annotated[str, typer.Option(help="Full name of the node, e.g. /robot1/kdbts.")] = (
        "/kdbts"
    ),
    image: Annotated[
        str, typer.Option(help="Topic of images, where the node does not run yet.")
    ] = "/image",
    camera_info: Annotated[
        Optional[str], typer.Option(help="Its camera_info; beside the images by default.")
    ] = None,
    fixed_frame: Annotated[str, typer.Option(help="Frame of the maps, likewise.")] = "odom",
    base_frame: Annotated[str, typer.Option(help="Frame of the robot, likewise.")] = "base_link",
    checkpoint: options.Checkpoint = "kdbts",
    seconds: Annotated[
        float, typer.Option(min=1.0, max=600.0, help="How long to listen to the graph.")
    ] = 5.0,
    live: Annotated[
        bool, typer.Option("--live", help="Go on watching, and say what changes; Ctrl-C ends it.")
    ] = False,
    machine_only: Annotated[
        bool, typer.Option("--machine-only", help="Leave the ROS graph alone.")
    ] = False,
    json: options.Json = None,
) -> None:
    """Look for what keeps a map from coming: ROS, weights, GPU, node, camera, QoS, clock, TF.

    The node's own topics and frames are taken where it runs. Exit code 1 if something is wrong.

    Example: `kdbts doctor`, or `kdbts doctor --node /robot1/kdbts --live`
    """
    console = Console(soft_wrap=True, highlight=False)
    found = look_at_machine(checkpoint)
    _show(console, found)
    if not machine_only and has_ros(found):
        info = camera_info or f"{_absolute(image).rpartition('/')[0]}/camera_info"
        _ask_graph(
            console,
            found,
            (_absolute(node), _absolute(image), _absolute(info), fixed_frame, base_frame),
            seconds,
            live,
        )
    console.print(verdict(found), markup=False)
    if json is not None:
        write_json(json, as_json(found))
    if any(finding.level == "bad" for finding in found):
        raise typer.Exit(EXIT_BAD)


def _ask_graph(
    console: Console,
    found: list[Finding],
    names: tuple[str, str, str, str, str],
    seconds: float,
    live: bool,
) -> None:
    """Add what the graph says; with `live` until Ctrl-C, and then what it said last."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from kdbts_ros.doctor.observation import Asked

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        graph = _watch(console, Asked(*names), seconds, live)
    finally:
        rclpy.try_shutdown()
    found += graph


def _watch(console: Console, asked: Asked, seconds: float, live: bool) -> list[Finding]:
    from kdbts_ros.doctor.diagnosis import diagnose
    from kdbts_ros.doctor.watching import Watch

    with Watch(asked) as watch:
        console.print(f"listening for {seconds:g} s", markup=False)
        graph = diagnose(watch.look(seconds))
        _show(console, graph)
        try:
            while live:
                now = diagnose(watch.look(seconds))
                _show(console, changes(graph, now))
                graph = now
        except KeyboardInterrupt:
            console.print()
    return graph


def _absolute(name: str) -> str:
    return name if name.startswith("/") else f"/{name}"


def _show(console: Console, findings: list[Finding]) -> None:
    if not findings:
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for found in findings:
        colour = _COLOURS[found.level]
        table.add_row(f"[{colour}]{found.level}[/]", escape(found.step), escape(found.sentence))
    console.print(table)
