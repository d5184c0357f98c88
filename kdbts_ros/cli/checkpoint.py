"""`kdbts checkpoint`: the mean of several runs, and a head for several views."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kdbts_ros.cli.options import file_to_write
from kdbts_ros.files import shown

app = typer.Typer(
    help="What is made of checkpoints without training.\n\n"
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


@app.command()
def fuse(
    checkpoint: Annotated[
        str, typer.Argument(help="Weights of one view: a shipped name or a file.")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="File for the weights, .safetensors.", callback=file_to_write),
    ],
) -> None:
    """Give weights that read one image a head for several: the mean of what each image says.

    Maps of one image stay what they are. Those of several have no calibration yet: `kdbts
    calibrate --views stereo,temporal:2` comes next.

    Example: kdbts checkpoint fuse mine.safetensors --out both.safetensors
    """
    from kdbts_ros.learning.weights.fusing import fuse as write_both

    typer.echo(
        f"wrote {shown(write_both(checkpoint, out))}: calibrate its maps of several images with "
        "`kdbts calibrate --views stereo,temporal:2`"
    )
