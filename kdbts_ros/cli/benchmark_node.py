"""`kdbts benchmark --node`: the real node over DDS, at rates a camera may have."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.demo.children import Child, prepare_environment
from kdbts_ros.errors import UserError

if TYPE_CHECKING:
    from kdbts_ros.replay.load_test import LoadTest, RateFigures
    from kdbts_ros.replay.query_load import QueryFigures

NODE_MODULE = "kdbts_ros.node.start"
# KITTI's colour cameras.
WIDTH, HEIGHT = 1242, 375
# A first start compiles kernels, on a slow and busy machine.
LOADING_SECONDS = 240.0
WARM_UP_MAPS = 5


def benchmark_node(
    parameters: dict[str, str],
    rates_hz: Sequence[float],
    seconds: float,
    console: Console,
    queries: bool = False,
    client: Path | None = None,
) -> list[dict[str, Any]]:
    """Time `kdbts_node` in a process of its own, on a domain of its own.

    Args:
        parameters: of the node.
        rates_hz: of the camera, one after the other for so many seconds each.
        queries: ask `~/query` meanwhile.
        client: a program that asks instead of ours, see `kdbts_ros.replay.query_load.Asking`.

    Returns:
        For each rate the fields of `RateFigures`: rate_hz, p50_ms, p95_ms, dropped and more.

    Raises:
        UserError: ROS 2 is not installed, or the node did not start.
    """
    with TemporaryDirectory() as folder:
        prepare_environment(Path(folder))
        try:
            from kdbts_ros.node.fastdds import use_large_messages
            from kdbts_ros.replay.load_test import LoadTest, node_arguments
        except ImportError as error:
            raise UserError(f"benchmark --node needs ROS 2: {error}") from error
        # The middleware must not be what is measured: images this large need the profile.
        use_large_messages()
        view = StreetDrive(0, frames=1).frame(0).views["left"]
        image = np.asarray(cv2.resize(view.image, (WIDTH, HEIGHT)), np.uint8)
        camera = view.camera.resized(WIDTH, HEIGHT)
        log = Path(folder) / "node.log"
        with (
            Child(NODE_MODULE, node_arguments(parameters.items()), log) as node,
            LoadTest(image, camera) as load,
        ):
            wait_until_active(
                node, load, lambda: load.warm_up(WARM_UP_MAPS, LOADING_SECONDS), console
            )
            if queries:
                load.ask_beside(None if client is None else str(client.resolve()))
            figures = _measure(load, rates_hz, seconds, console)
    console.print(_table(figures))
    for row in figures:
        if row.queries is not None:
            console.print(_said(row.rate_hz, row.queries), highlight=False)
    return [asdict(row) for row in figures]


def split_rates(text: str) -> list[float]:
    """Positive rates in Hz from "10,30,60".

    Raises:
        UserError: it is something else.
    """
    try:
        rates = [float(part) for part in text.split(",")]
    except ValueError:
        rates = []
    if not rates or not all(0 < rate <= 1000 for rate in rates):
        raise UserError(f"--rates must be numbers of Hz up to 1000 such as 10,30,60, got '{text}'")
    return rates


class Robot(Protocol):
    """Who drives a node, on the other side of the middleware."""

    def node_listens(self) -> bool:
        """Whether the node has subscribed."""

    def spin(self, seconds: float) -> None:
        """Take what has come."""


def wait_until_active(
    node: Child, robot: Robot, warm_up: Callable[[], bool], console: Console
) -> None:
    """Until the node listens and its first maps have come; warm_up: whether they did.

    Raises:
        UserError: the node did not start, or gave no map; with its last words.
    """
    deadline = time.monotonic() + LOADING_SECONDS
    with console.status("loading the network"):
        while not robot.node_listens():
            robot.spin(0.1)
            if node.exit_code is not None or time.monotonic() > deadline:
                raise UserError(f"the node did not start; its last words:\n{node.last_words()}")
        # Both ends must have matched, not only ours.
        robot.spin(1.0)
        if not warm_up():
            raise UserError(f"the node gave no maps; its last words:\n{node.last_words()}")


def _measure(
    load: LoadTest, rates_hz: Sequence[float], seconds: float, console: Console
) -> list[RateFigures]:
    figures = []
    with Progress(console=console) as progress:
        for rate in rates_hz:
            task = progress.add_task(f"{rate:g} Hz", total=max(2, round(rate * seconds)))
            figures.append(load.run(rate, seconds, partial(progress.advance, task)))
    return figures


def _said(rate_hz: float, found: QueryFigures) -> str:
    """What came of questions beside a camera of that rate."""
    sentence = (
        f"~/query beside {rate_hz:g} Hz: {found.answered} of {found.asked} questions about "
        f"{found.points:,} points answered, p50 {found.round_trip_p50_ms} ms and p95 "
        f"{found.round_trip_p95_ms} ms from call to answer, of that in the node "
        f"{found.node_p50_ms} and {found.node_p95_ms} ms"
    )
    return f"{sentence}; {found.refused} refused: {found.message}" if found.refused else sentence


def _table(figures: Sequence[RateFigures]) -> Table:
    columns = (
        "Hz",
        "maps / images",
        "stamp to publish p50, p95 ms",
        "ROS share p50, p95 ms",
        "network, query p50 ms",
    )
    table = Table(*columns, title=f"kdbts_node, {WIDTH}x{HEIGHT} rgb8")
    for row in figures:
        table.add_row(
            f"{row.rate_hz:g}",
            f"{row.maps} / {row.sent}",
            f"{row.p50_ms}, {row.p95_ms}",
            f"{row.ros_p50_ms}, {row.ros_p95_ms}",
            f"{row.network_p50_ms}, {row.query_p50_ms}",
        )
    return table
