"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Optional

import typer

from kdbts_ros.errors import UserError
from kdbts_ros.files import check_writable_file, check_writable_folder, shown

Checkpoint = Annotated[
    str,
    typer.Option(
        "--checkpoint",
        "-c",
        help="A shipped name (kdbts or mvbts, also with _fine or _indoor behind; bts), a "
        ".safetensors of ours, or an original .pt.",
    ),
]
Head = Annotated[
    Optional[str],
    typer.Option("--head", help="Head of an original file: bts, kdbts, mvbts, simple_multiview."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Precision = Annotated[
    str, typer.Option("--precision", help="auto, float32, bfloat16, float16 or int8.")
]
Convolutions = Annotated[
    str, typer.Option("--convolutions", help="Whose, on a CPU: auto, torch or openvino.")
]


def file_to_write(path: Path | None) -> Path | None:
    """Callback of every option for a file: refused before the work, not after it."""
    if path is not None:
        check_writable_file(path)
    return path


def folder_to_write(path: Path | None) -> Path | None:
    """Callback of every option for a folder that is written to."""
    if path is not None:
        check_writable_folder(path)
    return path


def program(path: Path | None) -> Path | None:
    """Callback of an option for a program to start."""
    if path is not None and not (path.is_file() and os.access(path, os.X_OK)):
        raise UserError(f"{shown(path)} is no program that can be started")
    return path


Json = Annotated[
    Optional[Path],
    typer.Option("--json", help="Write the figures here.", callback=file_to_write),
]


def split_intrinsics(text: str) -> tuple[float, float, float, float]:
    """FX,FY,CX,CY of an option.

    Raises:
        UserError: they are not four numbers.
    """
    try:
        fx, fy, cx, cy = (float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"--intrinsics must be four numbers FX,FY,CX,CY, got '{text}'") from None
    return fx, fy, cx, cy
