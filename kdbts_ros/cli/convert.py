"""`kdbts convert`: an original training checkpoint to safetensors, every key accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kdbts_ros.cli import options
from kdbts_ros.cli.options import Head
from kdbts_ros.density.checkpoints.checkpoint import load_network, save_network
from kdbts_ros.density.checkpoints.original_keys import KeyAccount
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.report import write_json
from kdbts_ros.files import shown


def convert(
    original: Annotated[Path, typer.Argument(help="An original .pt of BTS or KDBTS.")],
    out: Annotated[
        Path, typer.Argument(help="The .safetensors to write.", callback=options.file_to_write)
    ],
    head: Head = None,
    half: Annotated[
        bool, typer.Option("--half/--full", help="Store convolutions in half precision.")
    ] = False,
    json: options.Json = None,
) -> None:
    """Import an original checkpoint.

    Example: `kdbts convert training_checkpoint_250000.pt kdbts.safetensors --head kdbts`
    """
    if out.suffix != ".safetensors":
        raise UserError(f"the output must end in .safetensors, got {out.name}")
    network, info = load_network(original, head)
    if info.account is None:
        raise UserError(f"{original} is already a checkpoint of this package")
    notes = {**info.notes, "origin_sha256": info.sha256}
    save_network(out, network, notes, half=half)
    Console().print(_summary(info.account))
    if json is not None:
        unused = dict(sorted(info.account.unused.items()))
        used = len(info.account.used)
        write_json(json, {"head": info.spec.head, "used": used, "unused": unused})
    typer.echo(f"head: {info.spec.head}   {info.spec.trunk_title}   -> {shown(out)}")


def _summary(account: KeyAccount) -> Table:
    table = Table("keys", "count", title=f"used with head '{account.head}'")
    table.add_row("used", str(len(account.used)))
    reasons: dict[str, int] = {}
    for why in account.unused.values():
        reasons[why] = reasons.get(why, 0) + 1
    for why, count in sorted(reasons.items()):
        table.add_row(f"not used: {why}", str(count))
    return table
