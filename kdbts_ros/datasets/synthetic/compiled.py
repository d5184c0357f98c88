"""Numba entry points that are cached on disk until any source file of this folder changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba as nb

from kdbts_ros.loops import njit


def _digest() -> str:
    """SHA-256 of every source file of this folder and of numba's version."""
    total = hashlib.sha256(nb.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()


_SOURCES = _digest()
Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile a function that entry points call; it is compiled into each of them."""
    return cast(Function, njit(fastmath=True)(function))


def entry_point(build: Callable[[str], Callable[..., Any]]) -> Callable[..., Any]:
    """Compile the function that `build(stamp)` returns; it must use `stamp` somewhere.

    Numba's cache looks at the file of the cached function only, not at the functions it calls:
    after an update it would go on drawing with old code. Variables a function closes over are part
    of the cache's key, so every entry point closes over a digest of all sources. The functions it
    calls are not cached themselves. Entry points release the interpreter lock.
    """
    compiled: Callable[..., Any] = njit(cache=True, nogil=True)(build(_SOURCES))
    return compiled
