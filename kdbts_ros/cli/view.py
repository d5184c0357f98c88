"""`kdbts view`: a recording, or the running robot, in the rerun viewer."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console

from kdbts_ros.cli.options import file_to_write
from kdbts_ros.ending import Interrupted, patience
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown

if TYPE_CHECKING:
    from kdbts_ros.viewer.program import Viewer
    from kdbts_ros.viewer.showing import Frames, Show

FILE_SUFFIX = ".rrd"


def view(
    sources: Annotated[
        Optional[list[Path]],
        typer.Argument(
            metavar="[BAG]...", help="Recordings of one time, or a .rrd file written before."
        ),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="What is on the topics now.")] = False,
    web: Annotated[
        bool, typer.Option("--web", help="In a browser of this machine instead of a window.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=1024, max=65534, help="Of the page; data goes through the next one.")
    ] = 9090,
    out: Annotated[
        Optional[Path],
        typer.Option(metavar="FILE.rrd", help="Write a file instead.", callback=file_to_write),
    ] = None,
    seconds: Annotated[
        Optional[float], typer.Option(min=0.1, help="With --live, end after so long.")
    ] = None,
    fixed_frame: Annotated[str, typer.Option(help="Frame of the robot's path.")] = "odom",
    base_frame: Annotated[str, typer.Option(help="Frame that the view stays with.")] = "base_link",
) -> None:
    """Camera, depth, maps, clouds, poses and views on one timeline, in the rerun viewer.

    Example: kdbts view demo_out/drive.rrd --web
    """
    from kdbts_ros.viewer.showing import Frames

    bags = sources or []
    _check(bags, live, web, out, seconds)
    frames = Frames(fixed_frame, base_frame)
    # Closing a viewer, or a file of many messages, takes longer than a process is given to end.
    with patience():
        if bags and bags[0].suffix == FILE_SUFFIX:
            _open_file(bags[0], web, port)
        elif out is not None:
            _write(bags, out, frames, seconds)
        else:
            _show(bags, web, port, frames, seconds)


def _check(
    bags: list[Path], live: bool, web: bool, out: Path | None, seconds: float | None
) -> None:
    """Refuse what contradicts itself, before anything is opened."""
    if files := [b for b in bags if b.suffix == FILE_SUFFIX]:
        if len(bags) > 1 or live or out is not None:
            raise UserError(f"{shown(files[0])} is shown alone, without --live and --out")
        if not bags[0].is_file():
            raise UserError(f"{shown(bags[0])} does not exist; make one with --out, or `make demo`")
    if live == bool(bags):
        raise UserError("name recordings to show, or --live for what is on the topics")
    if out is not None and web:
        raise UserError("--out writes a file and opens nothing: leave out --web")
    if seconds is not None and not live:
        raise UserError("--seconds is how long --live lasts; recordings are shown whole")


def _open_file(file: Path, web: bool, port: int) -> None:
    from kdbts_ros.viewer.program import Viewer

    with Viewer(web, port, (file.resolve(),)) as viewer:
        _tell(viewer)
        _until_closed(viewer)


def _write(bags: list[Path], out: Path, frames: Frames, seconds: float | None) -> None:
    from kdbts_ros.viewer.showing import showing

    with showing(out, frames) as show:
        _fill(show, bags, lambda: False, seconds)
    _tell_faults(show)
    typer.echo(f"wrote {shown(out)}; `kdbts view {shown(out)}` opens it")


def _show(bags: list[Path], web: bool, port: int, frames: Frames, seconds: float | None) -> None:
    from kdbts_ros.viewer.program import Viewer
    from kdbts_ros.viewer.showing import showing

    with Viewer(web, port) as viewer:
        _tell(viewer)
        with showing(viewer.address, frames) as show:
            _fill(show, bags, lambda: viewer.ended, seconds)
            _tell_faults(show)
            if bags:
                _until_closed(viewer)


def _fill(show: Show, bags: list[Path], ended: Callable[[], bool], seconds: float | None) -> None:
    if bags:
        _fill_from(show, bags)
    else:
        _fill_live(show, ended, seconds)


def _fill_from(show: Show, bags: list[Path]) -> None:
    from kdbts_ros.demo.stages import stage
    from kdbts_ros.viewer.layout import GRIDS_ARE_MISSING
    from kdbts_ros.viewer.messages import GRID
    from kdbts_ros.viewer.recorded import Recordings

    console = Console(stderr=True, soft_wrap=True)
    with Recordings(bags) as recordings:
        if GRID not in recordings.types.values():
            console.print(GRIDS_ARE_MISSING, markup=False, highlight=False)
        show.arrange(recordings.types)
        with stage(console, "reading", recordings.messages) as progress:
            recordings.show(show.log, progress)


def _fill_live(show: Show, ended: Callable[[], bool], seconds: float | None) -> None:
    try:
        import rclpy
        from rclpy.signals import SignalHandlerOptions

        from kdbts_ros.node.fastdds import use_large_messages
        from kdbts_ros.viewer.live import Listener
    except ImportError as error:
        raise UserError(
            f"kdbts view --live needs ROS 2's Python packages ({error}); source a ROS 2 "
            "installation or use the environment `make venv` makes"
        ) from error
    use_large_messages()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("kdbts_view")
    listener = Listener(node, show.log, show.arrange)
    end = float("inf") if seconds is None else time.monotonic() + seconds
    try:
        while not ended() and time.monotonic() < end:
            listener.spin(0.5)
    except (Interrupted, KeyboardInterrupt):
        pass  # how one ends it
    finally:
        listener.close()
        node.destroy_node()
        rclpy.try_shutdown()
    typer.echo(f"{listener.received} messages of {len(listener.types)} topics")


def _tell(viewer: Viewer) -> None:
    if viewer.page:
        typer.echo(f"open {viewer.page} in a browser; Ctrl-C ends")


def _tell_faults(show: Show) -> None:
    for sentence in show.sentences():
        Console(stderr=True, soft_wrap=True).print(sentence, markup=False, highlight=False)


def _until_closed(viewer: Viewer) -> None:
    """Until its window is closed, or somebody ends the command."""
    try:
        while not viewer.ended:
            time.sleep(0.2)
    except (Interrupted, KeyboardInterrupt):
        return
