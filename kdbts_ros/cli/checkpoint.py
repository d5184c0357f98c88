"""`kdbts checkpoint`: the mean of several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kdbts_ros.cli.options import file_to_write
from kdbts_ros.files import shown

app = typer.Typer(
    help="What is made of several checkpoints.\n\n"
    "Example: kdbts checkpoint merge runs/a/a.safetensors runs/b/b.safetensors --out c.safetensors",
    no_args_is_help=True,
)


@app.command()
def merge(
    checkpoints: Annotated[
        list[str], typer.Argument(help="Two or more of one network: shipped names or files.")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="File for the weights, .safetensors.", callback=file_to_write),
    ],
) -> None:
    """Take the mean of the weights of runs that began from the same ones.

    It has no calibration of its own: `kdbts calibrate` comes next.

    Example: kdbts checkpoint merge runs/a/a.safetensors runs/b/b.safetensors --out c.safetensors
    """
    from kdbts_ros.learning.weights.merging import merge as write_mean

    typer.echo(f"wrote {shown(write_mean(checkpoints, out))}: calibrate it with `kdbts calibrate`")
