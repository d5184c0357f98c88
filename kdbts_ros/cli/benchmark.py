"""`kdbts benchmark`: milliseconds per stage beside the plain formulation in the same run."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from kdbts_ros.cli import options
from kdbts_ros.cli.benchmark_node import benchmark_node, split_rates
from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.density.checkpoint import load_network
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.evaluation.report import write_json
from kdbts_ros.evaluation.timing import Benchmark


def benchmark(
    checkpoint: options.Checkpoint = "bts",
    head: options.Head = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    repeats: Annotated[int, typer.Option(min=1, max=1000, help="Runs per stage; best counts.")] = 5,
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads.")] = None,
    node: Annotated[bool, typer.Option("--node", help="Time kdbts_node over DDS instead.")] = False,
    rates: Annotated[str, typer.Option(help="Of the camera with --node, Hz.")] = "10,30,60",
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Of each rate.")] = 10.0,
    json: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Time encoding, point queries and depth; ratios compare with the plain float32 formulation.

    Example: `kdbts benchmark --repeats 10 --json timings.json`, or
    `kdbts benchmark --node --rates 10,30`
    """
    if node:
        values = {"checkpoint": checkpoint, "device": device, "precision": precision}
        values["head"] = head or "auto"
        figures_of_rates = benchmark_node(values, split_rates(rates), seconds, Console())
        if json is not None:
            write_json(json, {"node": figures_of_rates})
        return
    if threads is not None:
        torch.set_num_threads(threads)
    network, _ = load_network(checkpoint, head)
    scene = SceneCompleter.load(checkpoint, device, precision, head)
    drive = StreetDrive(0, frames=1)
    view = drive.frame(0).views["left"]
    plain = copy.deepcopy(network).to(scene.device).eval()
    bench = Benchmark(scene, plain, view, repeats)
    table = Table("stage", "plain ms", "fast ms", "ratio", title=f"{checkpoint} on {scene.device}")
    figures: dict[str, object] = {}
    for stage, plain_ms, fast_ms in bench.stages():
        ratio = plain_ms / fast_ms
        table.add_row(stage, f"{plain_ms:.1f}", f"{fast_ms:.1f}", f"{ratio:.1f}")
        figures[stage.split()[0]] = {"plain_ms": plain_ms, "fast_ms": fast_ms, "ratio": ratio}
    frame = bench.frame(np.asarray(drive.T_world_base(0)))
    figures["frame"] = frame
    console = Console()
    console.print(table)
    console.print(
        f"frame to map: {frame['frame_ms']:.1f} ms, {frame['ratio']:.2f} x the bare network's "
        f"{frame['network_ms']:.1f} ms, {frame['maps_per_s']:.1f} maps/s "
        f"({scene.precision}, {torch.get_num_threads()} threads)"
    )
    if json is not None:
        write_json(json, figures)
