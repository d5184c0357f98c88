"""`kdbts quantise`: let a checkpoint know what 8-bit convolutions need to know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import numpy.typing as npt
import torch
import typer
from rich.console import Console
from rich.progress import track
from torch import Tensor

from kdbts_ros.cli import options
from kdbts_ros.cli.predictions import image_files
from kdbts_ros.density.checkpoints.checkpoint import load_network, resolve, write_annotated
from kdbts_ros.density.engines.encoded_view import resized
from kdbts_ros.density.network.activation_ranges import NOTE, observe, write_note
from kdbts_ros.density.network.network import NetworkSpec
from kdbts_ros.encoded_images import read_image
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.samples import CALIBRATION_SEED, prefetched, synthetic_samples
from kdbts_ros.files import shown

Rgb = npt.NDArray[np.uint8]


def quantise(
    checkpoint: Annotated[str, typer.Argument(help="A shipped name or a .safetensors of ours.")],
    out: Annotated[
        Path,
        typer.Option("--out", help="The .safetensors to write.", callback=options.file_to_write),
    ],
    images: Annotated[
        Optional[Path],
        typer.Option(help="Look at pictures of this folder instead of worlds: your camera's."),
    ] = None,
    count: Annotated[
        int, typer.Option(min=1, max=10_000, help="Worlds, or pictures at most.")
    ] = 16,
    seed: Annotated[int, typer.Option(min=0, help="First world.")] = CALIBRATION_SEED,
) -> None:
    """Note what each convolution reads, for `precision: int8`; the weights stay as they are.

    Example: `kdbts quantise kdbts --out kdbts_int8.safetensors`, then
    `kdbts evaluate occupancy -c kdbts_int8.safetensors --precision int8`
    """
    source = resolve(checkpoint)
    if source.suffix != ".safetensors" or out.suffix != ".safetensors":
        raise UserError("only a .safetensors of this package holds notes; `kdbts convert` it first")
    network, info = load_network(checkpoint)
    paths = None if images is None else _evenly(image_files(images)[0], count)
    pictures = _of_worlds(count, seed) if paths is None else map(read_image, paths)
    total = count if paths is None else len(paths)
    counted = track(pictures, "pictures", total, console=Console(stderr=True))
    ranges = observe(network, (_shown(picture, info.spec) for picture in counted))
    write_annotated(source, out, {NOTE: write_note(ranges)})
    typer.echo(f"what {len(ranges)} convolutions read -> {shown(out)}")


def _of_worlds(count: int, seed: int) -> Iterator[Rgb]:
    return (sample.view.image for sample in prefetched(synthetic_samples(count, seed)))


def _evenly(paths: Sequence[Path], count: int) -> Sequence[Path]:
    """At most so many of them, from the first to the last."""
    return paths[:: -(-len(paths) // count)]


def _shown(image: Rgb, spec: NetworkSpec) -> Tensor:
    """(1,3,H,W) in [0,1]."""
    rows = torch.from_numpy(resized(image, spec))
    return rows.permute(2, 0, 1)[None].float() / 255
