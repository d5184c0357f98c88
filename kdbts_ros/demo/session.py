"""The node and the player, each in its own process, from start to the last map."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kdbts_ros.demo.children import Child
from kdbts_ros.demo.recorder import GRIDS, NODE, Recorder
from kdbts_ros.demo.recording import Recording
from kdbts_ros.errors import UserError

# A first start compiles kernels, on a slow and busy machine.
LOADING_SECONDS = 240.0
# Beyond the length of the replay: start-up of the player's process, and catching up.
PLAYING_SECONDS = 120.0
# For one frame, of a machine that is slow and busy.
FRAME_SECONDS = 5.0
# For the last image, its map, and the diagnostics that count it.
SETTLING_SECONDS = 30.0
_WAIT_FOR_LISTENERS = "30"

Progress = Callable[[int], None]


@dataclass(frozen=True)
class NodeSettings:
    """Parameters of the node that a demo sets; the others are the preset's, or keep their defaults.

    preset: a parameter file, as the launch files take it.
    """

    checkpoint: str
    device: str
    fixed_frame: str
    base_frame: str
    accumulate: bool = True
    preset: Path | None = None


def node_arguments(recording: Recording, settings: NodeSettings) -> list[str]:
    """Command line of kdbts_node for a recording."""
    parameters = {
        "checkpoint": settings.checkpoint,
        "device": settings.device,
        "fixed_frame": settings.fixed_frame,
        "base_frame": settings.base_frame,
        "image_transport": "compressed" if recording.compressed else "raw",
        "image_reliability": "reliable" if recording.reliable else "best_effort",
        "use_sim_time": "true",
        "accumulate": "true" if settings.accumulate else "false",
        # The demo scores every cell the network has a word on, as its published figures do.
        "completed_cells": "keep",
        # On a slow machine the next image may take longer than a robot would wait for it.
        "clear_on_stale": "false",
    }
    arguments = ["--ros-args"]
    if settings.preset is not None:
        arguments += ["--params-file", str(settings.preset)]
    for name, topic in (("image", recording.base_topic), ("camera_info", recording.infos)):
        arguments += ["-r", f"{name}:={topic}"]
    for name, value in parameters.items():
        arguments += ["-p", f"{name}:={value}"]
    return arguments


def player_arguments(recording: Recording, rate: float | None) -> list[str]:
    """Command line of `kdbts` that plays a recording's camera and poses.

    Without a rate as fast as it was recorded, but no image before the map of the one before.
    """
    pace = ["--after-map", GRIDS] if rate is None else ["--rate", str(rate)]
    return [
        "play",
        str(recording.path),
        "--clock",
        *pace,
        "--topics",
        ",".join(recording.topics),
        "--wait-for-subscribers",
        _WAIT_FOR_LISTENERS,
    ]


def wait_until_active(node: Child, recorder: Recorder) -> None:
    """Return when the node takes images.

    Raises:
        UserError: it ended, said what is wrong, or took too long.
    """
    deadline = time.monotonic() + LOADING_SECONDS
    while not recorder.node_listens():
        recorder.spin(0.1)
        _check_alive(node)
        if recorder.account.faults:
            raise UserError(f"the node cannot start: {recorder.account.faults[0]}")
        if time.monotonic() > deadline:
            raise UserError(
                f"the node was not ready after {LOADING_SECONDS:g} s; its last words:\n"
                f"{node.last_words()}"
            )


def play_through(
    node: Child, player: Child, recorder: Recorder, seconds: float, progress: Progress
) -> None:
    """Watch until the player is done and every image is accounted for.

    Args:
        seconds: length of the replay.
        progress: called with the number of images sent so far.

    Raises:
        UserError: a process ended too early or took too long.
    """
    deadline = time.monotonic() + seconds + PLAYING_SECONDS
    while player.exit_code is None:
        recorder.spin(0.1)
        progress(len(recorder.sent_ns))
        _check_alive(node)
        if time.monotonic() > deadline:
            raise UserError(
                f"the player was not done after {seconds + PLAYING_SECONDS:.0f} s; its last "
                f"words:\n{player.last_words()}"
            )
    if player.exit_code:
        raise UserError(f"the player failed; its last words:\n{player.last_words()}")
    _settle(node, recorder)
    progress(len(recorder.sent_ns))


def _settle(node: Child, recorder: Recorder) -> None:
    """Wait for diagnostics that were written after the replay and leave no image open."""
    deadline = time.monotonic() + SETTLING_SECONDS
    # The next may have been on its way while the player ended.
    enough = recorder.account.reports + 2
    while time.monotonic() < deadline:
        recorder.spin(0.1)
        _check_alive(node)
        account = recorder.account
        all_here = len(recorder.received_ns) >= account.maps_out
        if account.reports >= enough and account.settled and all_here:
            return


def _check_alive(node: Child) -> None:
    if node.exit_code is not None:
        raise UserError(
            f"the node {NODE} ended with code {node.exit_code}; its last words:\n"
            f"{node.last_words()}"
        )
