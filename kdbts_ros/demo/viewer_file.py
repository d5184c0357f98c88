"""The drive as a file of the rerun viewer, where that is installed."""

from __future__ import annotations

from rich.console import Console

from kdbts_ros.demo.recording import Recording
from kdbts_ros.demo.results import Results
from kdbts_ros.demo.session import NodeSettings
from kdbts_ros.demo.stages import stage
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown
from kdbts_ros.viewer import sdk
from kdbts_ros.viewer.showing import Frames, write_recordings


def leave_viewer_file(
    recording: Recording, results: Results, node: NodeSettings, console: Console
) -> None:
    """Write it, or say in one sentence why there is none: no other result depends on it."""
    if not sdk.installed():
        console.print(
            f"no {results.viewer_file.name}, the drive on a timeline: the rerun viewer is not "
            f"installed. If you want it: {sdk.INSTALL}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        return
    frames = Frames(node.fixed_frame, node.base_frame)
    try:
        with stage(console, "writing for the viewer"):
            write_recordings([recording.path, results.outputs], results.viewer_file, frames)
    except UserError as error:
        console.print(f"no {shown(results.viewer_file)}: {error}", markup=False, highlight=False)
