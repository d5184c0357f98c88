"""`kdbts benchmark`: milliseconds per stage beside the plain formulation in the same run."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import torch
import typer
from rich.console import Console

from kdbts_ros.cli import options
from kdbts_ros.cli.benchmark_node import benchmark_node, split_rates
from kdbts_ros.cli.evaluation_data import Json
from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.density.checkpoints.checkpoint import CheckpointInfo, load_network
from kdbts_ros.density.engines.choose import inference_precision
from kdbts_ros.density.geometry.lattice import Lattice
from kdbts_ros.density.network.network import DensityNetwork, NetworkSpec
from kdbts_ros.density.network.precision import choose_device
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.report import write_json
from kdbts_ros.evaluation.timing import ROBOT_LATTICE, Benchmark, Times
from kdbts_ros.files import make_folder, write_text

NETWORKS = {
    "r18": "resnet18",
    "r50": "resnet50",
    **{f"lite{size}": f"efficientnet_lite{size}" for size in range(3)},
}


def benchmark(
    checkpoint: options.Checkpoint = "kdbts",
    head: options.Head = None,
    network: Annotated[
        Optional[str],
        typer.Option(
            help="Random weights of r18, r50 or lite0 to lite2 at full width, not a checkpoint."
        ),
    ] = None,
    size: Annotated[
        str, typer.Option(help="Network input HEIGHTxWIDTH, with --network.")
    ] = "192x640",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    convolutions: options.Convolutions = "auto",
    lattice: Annotated[
        str, typer.Option(help="robot, or X,Y,Z,RESOLUTION in m: ahead, across, up, cell.")
    ] = "robot",
    views: Annotated[int, typer.Option(min=1, max=16, help="Views a map looks at.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, max=1000, help="Runs per stage.")] = 10,
    threads: Annotated[Optional[int], typer.Option(min=1, max=1024, help="CPU threads.")] = None,
    node: Annotated[bool, typer.Option("--node", help="Time kdbts_node over DDS instead.")] = False,
    query: Annotated[
        bool, typer.Option("--query", help="As --node, and ask ~/query meanwhile.")
    ] = False,
    client: Annotated[
        Optional[Path],
        typer.Option(
            help="A program that asks instead of ours, as --query; e.g. examples/query_load.cpp.",
            callback=options.program,
        ),
    ] = None,
    rates: Annotated[str, typer.Option(help="Of the camera with --node, Hz.")] = "10,30,60",
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Of each rate.")] = 10.0,
    json: Json = None,
    markdown: Annotated[
        Optional[Path],
        typer.Option(help="Write the table here.", callback=options.file_to_write),
    ] = None,
) -> None:
    """Time a frame's stages; ratios compare the best runs with the plain float32 formulation.

    Each stage runs once to warm up: compiled loops come from the cache or are compiled then.

    Example: `kdbts benchmark --network r50 --size 192x640 --json timings.json`, or
    `kdbts benchmark --node --query --rates 10`
    """
    query |= client is not None
    if node or query:
        values = {"checkpoint": checkpoint, "device": device, "precision": precision}
        values |= {"head": head or "auto", "convolutions": convolutions}
        split = split_rates(rates)
        figures_of_rates = benchmark_node(values, split, seconds, Console(), query, client)
        if json is not None:
            write_json(json, {"node": figures_of_rates})
        return
    if threads is not None:
        torch.set_num_threads(threads)
    box = _lattice(lattice)
    plain, info = _random(network, head, size) if network else load_network(checkpoint, head)
    chosen = choose_device(device)
    computed_in = inference_precision(precision, chosen)
    scene = SceneCompleter(copy.deepcopy(plain), info, chosen, computed_in, convolutions)
    drive = StreetDrive(0, frames=views)
    posed = [drive.frame(i).views["left"] for i in range(views)]
    bench = Benchmark(scene, plain.to(chosen).eval(), posed, box, repeats)
    title = f"{network or checkpoint}, {scene.spec.image_width}x{scene.spec.image_height}, "
    title += f"{scene.device}, {scene.precision}, {torch.get_num_threads()} threads"
    console = Console()
    figures, lines = _stages(bench, console)
    frame = bench.frame(np.asarray(drive.T_world_base(0)))
    summary = (
        f"frame to map: {frame['frame_ms']:.1f} ms (p50), {frame['ratio']:.2f} x the bare "
        f"network's {frame['network_ms']:.1f} ms, {frame['maps_per_s']:.1f} maps/s"
    )
    if views > 1 and "views_ratio" in frame:
        summary += (
            f"\nof {views} views, one of them new: {frame['views_ratio']:.2f} x a frame of one, "
            f"{frame['single_frame_ms']:.1f} ms"
        )
    text = "\n".join([title, "", *lines, "", summary])
    console.print(text)
    if json is not None:
        write_json(json, {**figures, "frame": frame})
    if markdown is not None:
        make_folder(markdown.parent)
        write_text(markdown, text + "\n")


def _stages(bench: Benchmark, console: Console) -> tuple[dict[str, object], list[str]]:
    """Figures by stage, and a table of them in Markdown."""
    figures: dict[str, object] = {}
    lines = [
        "| stage | plain ms | fast ms | ratio | p50 | p95 | p99 |",
        "|---|---|---|---|---|---|---|",
    ]
    with console.status("measuring") as status:
        for stage, slow, fast in bench.stages():
            status.update(f"measured {stage}")
            figures[stage], line = _row(stage, slow, fast)
            lines.append(line)
    return figures, lines


def _row(stage: str, plain: Times | None, fast: Times) -> tuple[dict[str, float], str]:
    figures = {"fast_ms": fast.best, **fast.figures()}
    before = ratio = ""
    if plain is not None:
        figures |= {"plain_ms": plain.best, "ratio": plain.best / fast.best}
        before, ratio = f"{plain.best:.1f}", f"{plain.best / fast.best:.1f}"
    tail = " | ".join(f"{fast.percentile(p):.1f}" for p in (50, 95, 99))
    return figures, f"| {stage} | {before} | {fast.best:.1f} | {ratio} | {tail} |"


def _lattice(text: str) -> Lattice:
    if text == "robot":
        return ROBOT_LATTICE
    numbers = re.fullmatch(r"([\d.]+),([\d.]+),([\d.]+),([\d.]+)", text)
    if numbers is None:
        raise UserError(f"--lattice must be robot or X,Y,Z,RESOLUTION in metres, got '{text}'")
    x, y, z, resolution = (float(n) for n in numbers.groups())
    return Lattice.from_bounds((0, x), (-y / 2, y / 2), (0, z), resolution)


def _random(network: str, head: str | None, size: str) -> tuple[DensityNetwork, CheckpointInfo]:
    """Weights by seed at the widths of the original: what they cost, not what they say."""
    if network not in NETWORKS:
        raise UserError(f"--network must be one of {', '.join(NETWORKS)}, got '{network}'")
    numbers = re.fullmatch(r"(\d+)x(\d+)", size)
    if numbers is None:
        raise UserError(f"--size must be HEIGHTxWIDTH, got '{size}'")
    name = head or "kdbts"
    spec = NetworkSpec(
        trunk=NETWORKS[network],
        head=name,
        head_widths=(128, 16, 16) if name in ("mvbts", "attention") else (64,),
        image_height=int(numbers[1]),
        image_width=int(numbers[2]),
    )
    torch.manual_seed(0)
    built = DensityNetwork(spec).eval().requires_grad_(False)
    return built, CheckpointInfo(f"random {network}", spec, "0" * 64)
