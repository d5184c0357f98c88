"""Pictures of a drive: a panel per map, some as PNG files and all of them as a film."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from kdbts_ros import pictures
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown, write_png, writing

PANELS = 12


class Film:
    """An MP4 whose frames take the size of its first."""

    def __init__(self, path: Path, frames_per_second: float) -> None:
        self._path = path
        self._rate = frames_per_second
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._draft = ""

    def add(self, picture: pictures.Rgb) -> None:
        """Append a picture.

        Raises:
            UserError: OpenCV cannot write this kind of film here.
        """
        # The codec takes even sizes only.
        picture = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
        if self._writer is None:
            self._size = picture.shape[1], picture.shape[0]
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            self._draft = _draft(self._path)
            self._writer = cv2.VideoWriter(self._draft, codec, self._rate, self._size)
            if not self._writer.isOpened():
                raise UserError(
                    f"film {shown(self._path)} cannot be written: OpenCV has no MP4 encoder"
                )
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = np.asarray(cv2.resize(picture, self._size), np.uint8)
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()
            if self._draft != str(self._path):
                with writing(self._path):
                    shutil.move(self._draft, self._path)
                Path(self._draft).parent.rmdir()


def _draft(path: Path) -> str:
    """Where OpenCV writes: a name that is not UTF-8 crashes it, so that such a film moves later."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return str(Path(tempfile.mkdtemp(prefix="kdbts-")) / "film.mp4")
    return str(path)


@contextmanager
def film_at(path: Path, frames_per_second: float) -> Iterator[Film]:
    """A film that is finished with the block."""
    film = Film(path, frames_per_second)
    try:
        yield film
    finally:
        film.close()


def save_panel(path: Path, picture: pictures.Rgb) -> None:
    """Write a PNG.

    Raises:
        UserError: the disk refuses.
    """
    write_png(path, picture)


def chosen_panels(frames: int, panels: int = PANELS) -> set[int]:
    """Which of so many frames become PNG files: evenly spread, the first and last among them."""
    return {round(i) for i in np.linspace(0, frames - 1, min(frames, panels))}


def playback_rate(stamps_ns: Iterable[int]) -> float:
    """Frames per second at which a film of these stamps runs as fast as the world did."""
    ordered = sorted(stamps_ns)
    if len(ordered) < 2:
        return 10.0
    return float(np.clip(1e9 / np.median(np.diff(ordered)), 1.0, 30.0))
