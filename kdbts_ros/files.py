"""Files that users name: any name a disk may hold, and one sentence where the disk refuses.

A name on Linux is bytes. Python carries those that are not UTF-8 as lone surrogates, on which
OpenCV's own reading and writing crashes and printing raises: every file goes through here instead.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import cv2
import numpy as np
import numpy.typing as npt

from kdbts_ros.errors import UserError

Rgb = npt.NDArray[np.uint8]


def shown(path: Path | str) -> str:
    r"""A name for messages and reports; bytes that are no UTF-8 as \xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Within, a disk that refuses is one sentence about `target`.

    Raises:
        UserError: in the place of an OSError.
    """
    try:
        yield
    except OSError as error:
        _refuse(target, error)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8; file names within the text may hold bytes that are none.

    Raises:
        UserError: the disk refuses.
    """
    with writing(path):
        path.write_bytes(text.encode("utf-8", "backslashreplace"))


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are not there yet.

    Raises:
        UserError: a file is in its place, or the disk refuses.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)


def check_writable_file(path: Path) -> None:
    """Refuse before the work what could not be written after it; nothing is left behind.

    Raises:
        UserError: a folder is in its place, or its own folder cannot be made or written to.
    """
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if path.exists():
            # Without changing it: opened for appending, and closed.
            with path.open("ab"):
                pass
        _try_folder(path.parent)


def check_writable_folder(path: Path) -> None:
    """As `check_writable_file`, for a folder that files are to be written to."""
    with writing(path):
        _try_folder(path)


def _try_folder(folder: Path) -> None:
    """Write something nameless into a folder, or into the nearest one above it that is there."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{shown(folder)} is not a folder")
    with tempfile.TemporaryFile(dir=folder):
        pass


def _refuse(target: Path, error: OSError) -> NoReturn:
    reason = error.strerror or str(error)
    raise UserError(f"cannot write {shown(target)}: {reason}") from error


def write_png(path: Path, picture: Rgb) -> None:
    """Write an RGB picture.

    Raises:
        UserError: the disk refuses.
    """
    done, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert done
    with writing(path):
        path.write_bytes(encoded.tobytes())
