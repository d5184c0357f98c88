"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

Checkpoint = Annotated[
    str,
    typer.Option(
        "--checkpoint",
        "-c",
        help="A shipped name (kdbts, mvbts, kdbts_fine, mvbts_fine, bts), a .safetensors of ours, "
        "or an original .pt.",
    ),
]
Head = Annotated[
    Optional[str],
    typer.Option("--head", help="Head of an original file: bts, kdbts, mvbts, simple_multiview."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Precision = Annotated[str, typer.Option("--precision", help="auto, float32, bfloat16 or float16.")]
