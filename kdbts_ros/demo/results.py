"""What a demo leaves behind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kdbts_ros.errors import UserError


@dataclass(frozen=True)
class Results:
    """Where things are in the folder of results."""

    folder: Path

    @property
    def panels(self) -> Path:
        """Folder of PNG panels."""
        return self.folder / "panels"

    @property
    def film(self) -> Path:
        """The MP4."""
        return self.folder / "drive.mp4"

    @property
    def overview(self) -> Path:
        """The PNG to look at first."""
        return self.folder / "overview.png"

    @property
    def viewer_file(self) -> Path:
        """What `kdbts view` opens, where the viewer is installed."""
        return self.folder / "drive.rrd"

    @property
    def outputs(self) -> Path:
        """rosbag2 folder of what the node published."""
        return self.folder / "outputs"

    @property
    def summary(self) -> Path:
        """The JSON file."""
        return self.folder / "summary.json"

    def log(self, process: str) -> Path:
        """What a process said."""
        return self.folder / f"{process}.log"

    def clear(self) -> None:
        """Make the folder, without the results of an earlier demo; nothing else is touched.

        Raises:
            UserError: it cannot be made.
        """
        try:
            self.panels.mkdir(parents=True, exist_ok=True)
            made = (self.film, self.summary, self.overview, self.viewer_file)
            for file in (*self.panels.glob("frame_*.png"), *made):
                file.unlink(missing_ok=True)
            if self._is_recording(self.outputs):
                shutil.rmtree(self.outputs)
        except OSError as error:
            raise UserError(f"folder {self.folder} cannot be used: {error}") from error

    @staticmethod
    def _is_recording(folder: Path) -> bool:
        """Whether a demo made it, one that failed included: it has no metadata yet."""
        if not folder.is_dir():
            return False
        names = {file.name for file in folder.iterdir()}
        return "metadata.yaml" in names or names <= {f"{folder.name}.mcap"}

    @contextmanager
    def workshop(self) -> Iterator[Path]:
        """A folder for what is not to stay."""
        work = Path(tempfile.mkdtemp(prefix=".work-", dir=self.folder))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
