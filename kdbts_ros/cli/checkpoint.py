"""`kdbts checkpoint`: large files as small pieces and back, and the mean of several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from kdbts_ros.cli.options import file_to_write, folder_to_write
from kdbts_ros.files import shown

app = typer.Typer(
    help="Cut checkpoints and training states into small files and join them; average runs.\n\n"
    "Example: kdbts checkpoint split runs/mine/state.pt pieces",
    no_args_is_help=True,
)


@app.command()
def split(
    file: Annotated[Path, typer.Argument(help="A .safetensors, or the state.pt of a run.")],
    folder: Annotated[
        Path, typer.Argument(help="New folder for the pieces.", callback=folder_to_write)
    ],
    size: Annotated[int, typer.Option("--size", min=1, max=4096, help="Largest piece, MiB.")] = 16,
) -> None:
    """Cut a file into pieces, with the SHA-256 of each and of the whole in pieces.json.

    Example: kdbts checkpoint split runs/mine/state.pt pieces
    """
    from kdbts_ros.learning.weights.pieces import split_file

    manifest = split_file(file, folder, size)
    typer.echo(
        f"wrote {len(manifest.pieces)} pieces of {shown(file)} to {shown(folder)}: "
        f"{manifest.sha256}"
    )


@app.command()
def join(
    folder: Annotated[Path, typer.Argument(help="Folder of pieces.")],
    out: Annotated[
        Optional[Path],
        typer.Argument(
            help="The file; default: its old name beside the folder.", callback=file_to_write
        ),
    ] = None,
) -> None:
    """Put pieces together; the file appears only when every byte is right.

    Example: kdbts checkpoint join pieces runs/mine/state.pt
    """
    from kdbts_ros.learning.weights.pieces import join_file

    typer.echo(f"wrote {shown(join_file(folder, out))}")


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
