"""From recordings or a running system to a file or an open viewer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdbts_ros.errors import UserError
from kdbts_ros.files import check_writable_file, shown
from kdbts_ros.viewer import sdk
from kdbts_ros.viewer.layout import Topics, blueprint
from kdbts_ros.viewer.messages import MessageLog
from kdbts_ros.viewer.recorded import Recordings
from kdbts_ros.viewer.scene_log import SceneLog

APPLICATION = "kdbts"


@dataclass(frozen=True)
class Frames:
    """TF frames: where the robot's path is drawn, and what the view in space stays with."""

    fixed: str = "odom"
    base: str = "base_link"


class Show:
    """A recording of rerun that is being written, to a file or to a viewer's address."""

    def __init__(self, target: Path | str, frames: Frames) -> None:
        """Begin.

        Raises:
            UserError: the SDK is missing, or the file cannot be written.
        """
        rr = sdk.load()
        self._frames = frames
        self._file = target if isinstance(target, Path) else None
        # Sent as they come: what a robot does is looked at now.
        self._stream: Any = rr.RecordingStream(APPLICATION)
        if self._file is not None:
            check_writable_file(self._file)
            self._stream.save(self._file)
        else:
            self._stream.connect_grpc(target)
        self.log = MessageLog(SceneLog(rr, self._stream), frames.fixed)

    def arrange(self, types: Mapping[str, str]) -> None:
        """Lay the viewer out for topics with their types."""
        self._stream.send_blueprint(blueprint(Topics.of(types), self._frames.base))

    def end(self) -> None:
        """Have everything written.

        Raises:
            UserError: the file has not come.
        """
        self._stream.flush()
        self._stream.disconnect()
        if self._file is not None and not (self._file.is_file() and self._file.stat().st_size):
            raise UserError(f"{shown(self._file)} could not be written: is the disk full?")

    def sentences(self) -> list[str]:
        """What could not be shown, a sentence for each topic."""
        return [
            f"{topic}: {count} not shown: {reason}"
            for topic, (count, reason) in sorted(self.log.faults.items())
        ]


@contextmanager
def showing(target: Path | str, frames: Frames) -> Iterator[Show]:
    """A `Show` that is ended with the block."""
    show = Show(target, frames)
    try:
        yield show
    finally:
        show.end()


def write_recordings(
    paths: Sequence[Path],
    file: Path,
    frames: Frames,
    progress: Callable[[int], None] = lambda done: None,
) -> list[str]:
    """Write recordings of one time as a file of the viewer; returns what could not be shown.

    Raises:
        UserError: the SDK is missing, a recording is damaged, or the file cannot be written.
    """
    with Recordings(paths) as recordings, showing(file, frames) as show:
        show.arrange(recordings.types)
        recordings.show(show.log, progress)
        return show.sentences()
