"""A demo from its request to its folder of results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from kdbts_ros.demo import album, moments, pace, recording, session
from kdbts_ros.demo.children import Child
from kdbts_ros.demo.output_bag import recorded_to
from kdbts_ros.demo.recorder import Recorder
from kdbts_ros.demo.recording import Recording
from kdbts_ros.demo.results import Results
from kdbts_ros.demo.sources import Drive
from kdbts_ros.demo.stages import stage
from kdbts_ros.demo.summary import Summary
from kdbts_ros.density.maps.grid import HeightBand
from kdbts_ros.errors import UserError
from kdbts_ros.node.parameters.values import Parameters

NODE_MODULE, PLAYER_MODULE = "kdbts_ros.node.start", "kdbts_ros.cli.start"


@dataclass(frozen=True)
class Request:
    """What to drive, with which node, and where to leave the results.

    drive: recorded first if it is not a recording already. rate: recorded seconds per second; None
    for what the node can take on this machine.
    """

    drive: Drive | Path
    results: Results
    node: session.NodeSettings
    rate: float | None


@dataclass(frozen=True)
class Driven:
    """What came of the drive; latency_ms by image stamp."""

    summary: Summary
    latency_ms: dict[int, float]


def run_demo(request: Request, work: Path, console: Console) -> Summary:
    """Record, drive, judge and draw; returns what summary.json holds.

    Args:
        work: folder for what need not stay.

    Raises:
        UserError: one sentence on what went wrong, with the last words of a process that failed.
    """
    tape = _tape(request.drive, work, console)
    rate = request.rate or _rate(request.node, tape, console)
    driven = _drive(request, tape, rate, console)
    results, truth = request.results, None
    summary = driven.summary
    if isinstance(request.drive, Drive) and request.drive.world is not None:
        defaults = Parameters()
        band = HeightBand(defaults.height_min, defaults.height_max)
        truth = album.true_map(request.drive.world, results, band)
        summary = replace(summary, agreement=album.agreement(truth, results))
    summary.write(results.summary)
    book = album.Album(tape, results, request.node.base_frame, truth, driven.latency_ms)
    with stage(console, "drawing", summary.maps_out) as progress:
        book.draw(progress)
    return summary


def _tape(drive: Drive | Path, work: Path, console: Console) -> Recording:
    """The drive as a recording."""
    if isinstance(drive, Path):
        return recording.inspect(drive)
    bag = work / "drive"
    with stage(console, f"{drive.task} {drive.name}", drive.frames) as progress:
        drive.write(bag, progress)
    return recording.inspect(bag)


def _rate(node: session.NodeSettings, tape: Recording, console: Console) -> float:
    with stage(console, "measuring this machine"):
        image = moments.first_image(tape)
        seconds = pace.frame_seconds(image, node.checkpoint, node.device)
    rate = pace.playing_rate(tape, seconds)
    console.print(
        f"{seconds * 1e3:.0f} ms per frame: playing at {rate:g} x recorded speed", highlight=False
    )
    return rate


def _drive(request: Request, tape: Recording, rate: float, console: Console) -> Driven:
    results = request.results
    with recorded_to(results.outputs) as outputs, Recorder(tape, outputs) as recorder:
        node_arguments = session.node_arguments(tape, request.node)
        with Child(NODE_MODULE, node_arguments, results.log("node")) as node:
            with stage(console, "loading the network"):
                session.wait_until_active(node, recorder)
            player_arguments = session.player_arguments(tape, rate)
            with (
                Child(PLAYER_MODULE, player_arguments, results.log("player")) as player,
                stage(console, "driving", tape.frames) as progress,
            ):
                seconds = tape.seconds / rate
                session.play_through(node, player, recorder, seconds, progress)
        outputs.copy(tape.path, tape.transforms)
    return _driven(request, tape, rate, recorder)


def _driven(request: Request, tape: Recording, rate: float, recorder: Recorder) -> Driven:
    account, drive = recorder.account, request.drive
    received, sent = recorder.received_ns, recorder.sent_ns
    if not received:
        faults = "; ".join(account.faults) or f"see {request.results.log('node')}"
        raise UserError(f"no map came of {tape.frames} images: {faults}")
    latency_ms = {s: (at - sent[s]) / 1e6 for s, at in received.items() if s in sent}
    summary = Summary(
        source=drive.name if isinstance(drive, Drive) else f"bag {drive.name}",
        rate=rate,
        played=tape.frames,
        frames_in=account.frames_in,
        maps_out=len(received),
        drops=dict(account.drops),
        latency_ms=list(latency_ms.values()),
        node_ms=recorder.node_ms,
    )
    return Driven(summary, latency_ms)
