"""`kdbts play`: a rosbag2 recording onto live topics."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from kdbts_ros.ending import Interrupted
from kdbts_ros.errors import UserError

if TYPE_CHECKING:
    from kdbts_ros.replay.player import Playback, Player


def play(
    bag: Annotated[Path, typer.Argument(help="Bag folder, .mcap or .db3 file.")],
    rate: Annotated[float, typer.Option(help="Bag seconds per second.")] = 1.0,
    loop: Annotated[bool, typer.Option("--loop", help="Start again at the end.")] = False,
    clock: Annotated[
        bool, typer.Option("--clock", help="Publish /clock (for use_sim_time), 100 times a second.")
    ] = False,
    topics: Annotated[
        Optional[str], typer.Option(help="Only these topics, separated by commas.")
    ] = None,
    wait_for_subscribers: Annotated[
        float, typer.Option(metavar="SECONDS", help="Wait at most so long for a listener.")
    ] = 0.0,
    after_map: Annotated[
        str,
        typer.Option(
            metavar="TOPIC",
            help="Each image of the camera waits for the map of the one before: no faster than "
            "the node.",
        ),
    ] = "",
) -> None:
    """Publish a recording with its stored QoS and timing; Ctrl-C ends it.

    Example: kdbts play drive_0009 --clock --rate 0.5 --wait-for-subscribers 10
    """
    try:
        import rclpy
        from rclpy.signals import SignalHandlerOptions

        from kdbts_ros.datasets.bags.files import open_bag
        from kdbts_ros.node.fastdds import use_large_messages
        from kdbts_ros.replay.player import Playback, Player
    except ImportError as error:
        raise UserError(
            f"kdbts play needs ROS 2's Python packages ({error}); source a ROS 2 installation or "
            "use the environment `make venv` makes"
        ) from error
    names = tuple(t if t.startswith("/") else f"/{t}" for t in (topics or "").split(",") if t)
    playback = Playback(rate, loop, clock, names, wait_for_subscribers, after_map)
    with open_bag(bag) as reader:
        use_large_messages()
        # The player ends on an exception of its own, between messages, with every child tidy.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        node = rclpy.create_node("kdbts_player")
        try:
            with closing(Player(node, reader, playback)) as player:
                _run(player, playback)
        finally:
            node.destroy_node()
            rclpy.shutdown()


def _run(player: Player, playback: Playback) -> None:
    errors = Console(stderr=True, soft_wrap=True)
    for sentence in player.skipped:
        errors.print(sentence, markup=False, highlight=False)
    played = _Played(player.duration_ns)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[time]}"))
    try:
        if playback.wait_for_subscribers and not player.wait_for_subscribers():
            errors.print(
                f"nobody subscribed within {playback.wait_for_subscribers:g} s; playing anyway",
                highlight=False,
            )
        with Progress(*columns, console=errors, disable=not errors.is_terminal) as progress:
            task = progress.add_task("playing", total=max(player.duration_ns, 1), time="")

            def on_message(bag_ns: int) -> None:
                played.message(bag_ns)
                progress.update(task, completed=bag_ns, time=played.time())

            while True:
                played.loops += 1
                if played.loops > 1:
                    progress.update(task, description=f"loop {played.loops}")
                player.play_once(on_message)
                if not playback.loop:
                    break
    except (Interrupted, KeyboardInterrupt):
        typer.echo(f"stopped: {played.summary()}")
        return
    typer.echo(f"played: {played.summary()}")


class _Played:
    """What has gone out so far."""

    def __init__(self, duration_ns: int) -> None:
        self._duration = duration_ns / 1e9
        self._at = 0.0
        self._messages = 0
        self.loops = 0

    def message(self, bag_ns: int) -> None:
        self._at = bag_ns / 1e9
        self._messages += 1

    def time(self) -> str:
        return f"{self._at:.1f}/{self._duration:.1f} s"

    def summary(self) -> str:
        turn = f", loop {self.loops}" if self.loops > 1 else ""
        return f"{self._messages} messages, {self._at:.1f} of {self._duration:.1f} s{turn}"
