"""Files of this package beside its code, installed or in the source tree."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from kdbts_ros.errors import UserError


def shipped_file(name: str) -> Path:
    """A file by its place in the package: `msg/InferenceReport.msg`, `config/indoor.yaml`.

    Raises:
        UserError: it is not there.
    """
    folders = [Path(__file__).resolve().parents[2]]
    with suppress(PackageNotFoundError, OSError):  # a source tree that is not installed
        folders.append(Path(get_package_share_directory("kdbts_ros")))
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{name} is not installed; run `make venv`")
