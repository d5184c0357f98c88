"""Compiled loops: where they are kept between runs, and who is told that one is being compiled.

numba keeps what it compiled beside the source or in the user's cache folder, and refuses to compile
where it may write neither (a read-only installation, run by a user without a home). Every loop of
this package is made by `njit` of this module, which then falls back to a folder of the user's own
among the temporary ones, or to none. numba's files are executed when they are read: a folder that
anybody else could have filled is never used.
"""

from __future__ import annotations

import os
import pickle
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numba
from numba.core import config, event

SLOW_START = "up to 3 minutes"
# What reading a kept loop raises where its file is cut short, or tells of types that have moved.
UNREADABLE = (
    *(pickle.UnpicklingError, EOFError, ImportError, AttributeError),
    *(ValueError, TypeError, IndexError, KeyError, MemoryError),
)
_refused = False
_made: list[Any] = []


def _home_is_missing() -> bool:
    """Whether numba's folder of the user would lie wherever the process happens to stand."""
    folder = os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return not os.path.isabs(folder)


def _folder() -> str:
    """What numba was told to use, by NUMBA_CACHE_DIR or by us; empty for nothing."""
    return str(config.CACHE_DIR)  # type: ignore[attr-defined]


def njit(**options: Any) -> Callable[[Any], Any]:
    """numba's, which compiles a loop that cannot be kept all the same."""

    def compile_loop(function: Any) -> Any:
        beside = Path(function.__code__.co_filename).parent
        if _home_is_missing() and not _folder() and not os.access(beside, os.W_OK):
            _keep_elsewhere()
        chosen = options | {"cache": False} if _refused else options
        try:
            loop = numba.njit(**chosen)(function)
            _read_with_care(loop)
            _made.append(loop)
            return loop
        except RuntimeError as error:
            # numba has no exception of its own for this.
            if not chosen.get("cache") or "cannot cache" not in str(error):
                raise
        _keep_elsewhere()
        return compile_loop(function)

    return compile_loop


def _read_with_care(loop: Any) -> None:
    """Have a kept loop that cannot be read compiled again.

    numba reads the list of what it kept before it asks how old that is: types of a package before
    it was upgraded, which are gone, or a file that a full disk has cut, would end every start.
    """
    kept = getattr(getattr(loop, "_cache", None), "_cache_file", None)
    for name, nothing in (("_load_index", dict), ("_load_data", lambda: None)):
        if hasattr(kept, name):
            setattr(kept, name, _or_nothing(getattr(kept, name), nothing))


def _or_nothing(read: Callable[..., Any], nothing: Callable[[], Any]) -> Callable[..., Any]:
    def careful(*args: Any) -> Any:
        try:
            return read(*args)
        except UNREADABLE:
            return nothing()

    return careful


def _keep_elsewhere() -> None:
    """Have numba use the private folder; have it keep nothing where that does not help either."""
    global _refused
    folder = None if _folder() else private_folder(Path(tempfile.gettempdir()))
    if folder is None:
        _refused = True
        sentence = f"nowhere, and every start takes {SLOW_START}"
    else:
        # Processes that this one starts need not find out, and say it, again.
        os.environ["NUMBA_CACHE_DIR"] = config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
        sentence = f"in {folder}, which a restart of the machine may empty"
    sys.stderr.write(
        "kdbts: compiled loops can be kept neither beside the installation nor in a home folder: "
        f"they are kept {sentence}; set NUMBA_CACHE_DIR to a folder of yours\n"
    )


def private_folder(parent: Path) -> Path | None:
    """A folder in `parent` that nobody but this user can have written to; None where there is none.

    It has the same name in every process of the user. One that is there already must be a folder,
    ours, and closed to others; so must `parent` be, or others' files in it safe from each other.
    """
    user = os.getuid()
    folder = parent / f"kdbts-loops-{user}"
    try:
        above = parent.stat()
        open_to_all = above.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if (open_to_all and not above.st_mode & stat.S_ISVTX) or above.st_uid not in (0, user):
            return None
        with suppress(FileExistsError):
            folder.mkdir(0o700)
        found = folder.lstat()
        mine = stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o077
        if not mine:
            return None
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return None
    return folder


def folders() -> tuple[str, ...]:
    """Where the loops that are known so far are kept, sorted."""
    found = {str(loop.stats.cache_path) for loop in _made if loop.stats.cache_path}
    return tuple(sorted(found))


def kept_in() -> str:
    """The folders of what is compiled, in words."""
    return ", ".join(folders()) or "no folder: every start compiles again"


def signatures() -> set[tuple[str, str]]:
    """Name and argument types of what has been compiled or read from the cache so far."""
    return {
        (f"{loop.py_func.__module__}.{loop.py_func.__name__}", str(types))
        for loop in _made
        for types in loop.signatures
    }


class _Told(event.Listener):
    """Hears of every loop whose compilation begins, in any thread.

    Not of what is never kept: functions that are compiled into the loops that call them.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell

    def on_start(self, event: Any) -> None:
        loop = event.data["dispatcher"]
        if _refused or loop.stats.cache_path:
            self._tell(str(loop.py_func.__name__))

    def on_end(self, event: Any) -> None:
        """Nothing to tell."""


@contextmanager
def told_of_each(tell: Callable[[str], object]) -> Iterator[None]:
    """Have `tell` called with the name of every loop that is compiled, not read from the cache."""
    listener = _Told(tell)
    event.register("numba:compile", listener)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        event.unregister("numba:compile", listener)  # type: ignore[no-untyped-call]


@contextmanager
def told_when_compiling(tell: Callable[[], object]) -> Iterator[None]:
    """Have `tell` called once, as soon as a first loop must be compiled."""
    told = False

    def once(name: str) -> None:
        nonlocal told
        if not told:
            told = True
            tell()

    with told_of_each(once):
        yield
