"""What an adaptation is made from, so that its state is continued with nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from kdbts_ros.adaptation.settings import AdaptSettings
from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo
from kdbts_ros.errors import UserError
from kdbts_ros.files import shown
from kdbts_ros.learning.run.resuming import TOLD, Identity, flattened

# More time may be given to what goes on; looks are looks.
_FREE = ("minutes", "look_seconds")
# Of each file of a recording, both ends are read: whole ones would take minutes.
_SAMPLE = 1 << 20


def origin_of(
    settings: AdaptSettings, info: CheckpointInfo, drives: Sequence[BagDrive]
) -> Identity:
    """Settings, weights and recordings, for `refuse_other`.

    Raises:
        UserError: a recording can no longer be read.
    """
    found = {k: v for k, v in flattened(asdict(settings)).items() if k not in _FREE}
    found["checkpoint"] = f"the head {info.spec.head} of sha256 {info.sha256}"
    for number, drive in enumerate(drives, 1):
        found[f"recording {number}"] = f"files {fingerprint(drive.path)}"
        # Only told: a recording may move.
        found[f"{TOLD}recording {number}"] = shown(drive.path.resolve())
        found[f"cameras of recording {number}"] = ", ".join(drive.cameras)
        if drive.depth is not None:
            found[f"depth of recording {number}"] = drive.depth.topic
        # What --odometry, --world and --base make of it.
        places = np.array([drive.T_world_base(i)[:3, 3] for i in drive.frames])
        metres = np.linalg.norm(np.diff(places, axis=0), axis=1).sum()
        found[f"poses of recording {number}"] = (
            f"{len(drive)} of '{drive.names.base}' in '{drive.names.world}' along {metres:.1f} m"
        )
    return found


def fingerprint(recording: Path) -> str:
    """16 hex digits of the sizes and the ends of a recording's files.

    Raises:
        UserError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for file in _files(recording):
        try:
            size = file.stat().st_size
            with file.open("rb") as opened:
                digest.update(f"{size}".encode() + opened.read(_SAMPLE))
                opened.seek(max(0, size - _SAMPLE))
                digest.update(opened.read(_SAMPLE))
        except OSError as error:
            raise UserError(f"{shown(file)} cannot be read: {error.strerror}") from error
    return digest.hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    """The data of a recording; its metadata.yaml may be written anew by `ros2 bag reindex`."""
    if path.is_file():
        return [path]
    return sorted(p for p in path.iterdir() if p.is_file() and p.suffix != ".yaml")
