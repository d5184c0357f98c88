"""A demo from its request to its folder of results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from kdbts_ros.demo import album, recording, session
from kdbts_ros.demo.children import Child
from kdbts_ros.demo.output_bag import recorded_to
from kdbts_ros.demo.presets import height_band
from kdbts_ros.demo.recorder import Recorder
from kdbts_ros.demo.recording import Recording
from kdbts_ros.demo.results import Results
from kdbts_ros.demo.sources import Drive
from kdbts_ros.demo.stages import stage
from kdbts_ros.demo.summary import Summary
from kdbts_ros.demo.viewer_file import leave_viewer_file
from kdbts_ros.errors import UserError

NODE_MODULE, PLAYER_MODULE = "kdbts_ros.node.start", "kdbts_ros.cli.start"


@dataclass(frozen=True)
class Request:
    """What to drive, with which node, and where to leave the results.

    drive: recorded first if it is not a recording already. rate: recorded seconds per second; None
    for as fast as the node makes maps, at most as recorded.
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
    driven = _drive(request, tape, console)
    results, truth = request.results, None
    summary = driven.summary
    if isinstance(request.drive, Drive) and request.drive.world is not None:
        truth = album.true_map(request.drive.world, results, height_band(request.node.preset))
        summary = replace(summary, agreement=album.agreement(truth, results))
    summary.write(results.summary)
    book = album.Album(tape, results, request.node, truth, driven.latency_ms)
    with stage(console, "drawing", summary.maps_out) as progress:
        book.draw(progress)
    leave_viewer_file(tape, results, request.node, console)
    return summary


def _tape(drive: Drive | Path, work: Path, console: Console) -> Recording:
    """The drive as a recording."""
    if isinstance(drive, Path):
        return recording.inspect(drive)
    bag = work / "drive"
    with stage(console, f"{drive.task} {drive.name}", drive.frames) as progress:
        drive.write(bag, progress)
    return recording.inspect(bag)


def _drive(request: Request, tape: Recording, console: Console) -> Driven:
    results = request.results
    with recorded_to(results.outputs) as outputs, Recorder(tape, outputs) as recorder:
        node_arguments = session.node_arguments(tape, request.node)
        with Child(NODE_MODULE, node_arguments, results.log("node")) as node:
            with stage(console, "loading the network"):
                session.wait_until_active(node, recorder)
            player_arguments = session.player_arguments(tape, request.rate)
            with (
                Child(PLAYER_MODULE, player_arguments, results.log("player")) as player,
                stage(console, "driving", tape.frames) as progress,
            ):
                session.play_through(node, player, recorder, _longest(request, tape), progress)
        outputs.copy(tape.path, tape.transforms)
    return _driven(request, tape, recorder)


def _longest(request: Request, tape: Recording) -> float:
    """Seconds that the replay may take."""
    if request.rate is not None:
        return tape.seconds / request.rate
    return max(tape.seconds, tape.frames * session.FRAME_SECONDS)


def _rate_of(sent_ns: Mapping[int, int]) -> float:
    """Recorded seconds per second, two digits, of images that were sent; by their stamps."""
    stamps, walls = list(sent_ns), list(sent_ns.values())
    lasted = (max(walls, default=0) - min(walls, default=0)) / 1e9
    recorded = (max(stamps, default=0) - min(stamps, default=0)) / 1e9
    return float(f"{recorded / lasted:.2g}") if lasted > 0 else 1.0


def _driven(request: Request, tape: Recording, recorder: Recorder) -> Driven:
    account, drive = recorder.account, request.drive
    received, sent = recorder.received_ns, recorder.sent_ns
    if not received:
        faults = "; ".join(account.faults) or f"see {request.results.log('node')}"
        raise UserError(f"no map came of {tape.frames} images: {faults}")
    latency_ms = {s: (at - sent[s]) / 1e6 for s, at in received.items() if s in sent}
    summary = Summary(
        source=drive.name if isinstance(drive, Drive) else f"bag {drive.name}",
        rate=request.rate or _rate_of(sent),
        played=tape.frames,
        frames_in=account.frames_in,
        maps_out=len(received),
        drops=dict(account.drops),
        latency_ms=list(latency_ms.values()),
        node_ms=recorder.node_ms,
    )
    return Driven(summary, latency_ms)
