"""`kdbts info`: what a checkpoint holds."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kdbts_ros.cli.options import Head, Json
from kdbts_ros.density.checkpoints.checkpoint import load_network
from kdbts_ros.density.network.activation_ranges import NOTE, read_note
from kdbts_ros.evaluation.report import write_json
from kdbts_ros.files import shown


def info(
    checkpoint: Annotated[str, typer.Argument(help="A shipped name or a file.")],
    head: Head = None,
    json: Json = None,
) -> None:
    """Show the network, its head, its size and the notes stored with it.

    Example: `kdbts info bts`
    """
    network, loaded = load_network(checkpoint, head)
    spec = loaded.spec
    table = Table(show_header=False)
    parameters = sum(p.numel() for p in network.parameters())
    told = {
        "file": shown(loaded.source),
        "sha256": loaded.sha256,
        "head": spec.head,
        "network": f"{spec.trunk_title}, decoder {spec.decoder_channels}",
        "input": f"{spec.image_width}x{spec.image_height}, shrunk by {spec.resize}",
        "depth range": f"{spec.depth_near:g} to {spec.depth_far:g} m",
    }
    for name, map_head in loaded.map_heads.items():
        lattice = map_head.spec
        told[f"map head of {name}"] = (
            f"{lattice.cells}x{lattice.cells} cells of {lattice.resolution:g} m, occupied from "
            f"{lattice.occupied_from:g}"
        )
    rows = {**told, "parameters": f"{parameters / 1e6:.1f} M", **loaded.notes}
    ranges = read_note(loaded.notes.get(NOTE), network)
    if ranges is not None:
        rows[NOTE] = f"of {len(ranges)} convolutions, for precision int8"
    for name, value in rows.items():
        # Names and notes may hold brackets, which rich would take for styles.
        table.add_row(escape(shown(name)), escape(shown(str(value))))
    Console().print(table)
    if json is not None:
        write_json(json, {**told, "parameters": parameters, "notes": dict(loaded.notes)})
