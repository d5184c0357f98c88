"""Reading files of anybody: whatever a library raises becomes one sentence, here and only here.

A damaged file makes every library fail in ways of its own. Which of them are the fault of the file
is written down for each library; anything else is a fault of ours, and stays an exception.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from kdbts_ros.errors import UserError, in_one_line
from kdbts_ros.files import shown

Library = Literal["disk", "text", "numpy", "json", "yaml", "zip", "torch", "safetensors", "rosbags"]

# What Python itself raises where a file says something that its reader takes for granted: a length
# beyond the end, a number that is text, a key that is missing, nesting without end.
_TAKEN_FOR_GRANTED = (
    "builtins:ArithmeticError",
    "builtins:AssertionError",
    "builtins:AttributeError",
    "builtins:BufferError",
    "builtins:EOFError",
    "builtins:LookupError",
    "builtins:MemoryError",
    "builtins:NotImplementedError",
    "builtins:OSError",
    "builtins:RecursionError",
    "builtins:TypeError",
    "builtins:ValueError",
    "struct:error",
)
# By library; a module that was never imported cannot have raised anything.
FOREIGN: dict[Library, tuple[str, ...]] = {
    "disk": ("builtins:OSError",),
    "text": ("builtins:OSError", "builtins:ValueError"),
    "numpy": ("builtins:OSError", "builtins:ValueError", "numpy.linalg:LinAlgError"),
    "json": _TAKEN_FOR_GRANTED,
    "yaml": (*_TAKEN_FOR_GRANTED, "yaml:YAMLError"),
    "zip": (*_TAKEN_FOR_GRANTED, "zipfile:BadZipFile", "zlib:error"),
    "torch": (
        *_TAKEN_FOR_GRANTED,
        "builtins:RuntimeError",
        "builtins:ImportError",
        "pickle:UnpicklingError",
        "zipfile:BadZipFile",
    ),
    "safetensors": (*_TAKEN_FOR_GRANTED, "safetensors:SafetensorError"),
    "rosbags": (
        *_TAKEN_FOR_GRANTED,
        # lz4 says so of what is no frame.
        "builtins:RuntimeError",
        "apsw:Error",
        "backports.zstd:ZstdError",
        "compression.zstd:ZstdError",
        "zstandard:ZstdError",
        "rosbags.rosbag2:ReaderError",
        "rosbags.serde:SerdeError",
        "rosbags.typesys:TypesysError",
        "ruamel.yaml.error:YAMLError",
    ),
}


def foreign(*libraries: Library) -> tuple[type[Exception], ...]:
    """What a damaged file makes these libraries raise."""
    names = {name for library in libraries for name in FOREIGN[library]}
    found = []
    for name in sorted(names):
        module, _, kind = name.partition(":")
        if module in sys.modules:
            found.append(getattr(sys.modules[module], kind))
    return tuple(found)


@contextmanager
def reading(path: Path | str, cure: str, *libraries: Library) -> Iterator[None]:
    """Within, what a file makes a library raise is one sentence with the file and the cure.

    Args:
        path: the file, or the words that name what is read.
        cure: what helps, an imperative: "copy it again".
        libraries: that read it; the disk is always one.

    Raises:
        UserError: in the place of theirs. One that is raised within passes as it is.
    """

    def sentence(reason: str) -> str:
        return f"{shown(path)} cannot be read ({reason}): {cure}"

    with telling(sentence, *libraries):
        yield


@contextmanager
def telling(sentence: Callable[[str], str], *libraries: Library) -> Iterator[None]:
    """As `reading`, for sentences of another form: `sentence` makes one of the reason."""
    try:
        yield
    except UserError:
        raise
    except foreign("disk", *libraries) as error:
        raise UserError(sentence(reason_of(error))) from error


def reason_of(error: Exception) -> str:
    """The words of an error for the middle of a sentence, without its file and its full stop."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    if isinstance(error, (KeyError, AssertionError)) or not lines:
        return in_one_line(error).rstrip(". ")
    return " ".join(lines[0].split())[:200].rstrip(". ")


def read_bounded(path: Path, most: int, cure: str) -> bytes:
    """The content of a file, known to have at most `most` bytes before any is read.

    Raises:
        UserError: missing, unreadable or larger.
    """
    with reading(path, cure), path.open("rb") as file:
        # What tells no size, a pipe or a device, is not read beyond it either.
        content = file.read(most + 1) if path.stat().st_size <= most else None
    if content is None or len(content) > most:
        raise UserError(
            f"{shown(path)} is larger than {most / 1e6:g} MB, the most that such a file has: {cure}"
        )
    return content
