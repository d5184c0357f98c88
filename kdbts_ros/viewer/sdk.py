"""The rerun SDK, where it is installed: the extra `viewer`."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from kdbts_ros.errors import UserError

# `GridMap` and frames by name, as ROS has them, are of this version.
INSTALL = (
    "`make viewer` where `make demo` was run, elsewhere pip install 'rerun-sdk>=0.41' (1 GB; it "
    "needs Python 3.11 and NumPy 2)"
)


def installed() -> bool:
    """Whether the viewer can be used."""
    return importlib.util.find_spec("rerun_bindings") is not None


def load(name: str = "rerun") -> Any:
    """A module of the SDK, which has types of its own that are unknown here.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"kdbts view needs the rerun viewer ({error}): {INSTALL}") from error
