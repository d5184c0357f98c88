"""`kdbts calibrate`: make a checkpoint's probabilities mean what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.progress import track

from kdbts_ros.cli import options
from kdbts_ros.cli.evaluation_data import Json, PlaceName, Views, show_table
from kdbts_ros.datasets.synthetic.places.kinds import STREET
from kdbts_ros.density.checkpoints.checkpoint import resolve, write_annotated
from kdbts_ros.density.maps.probability import NOTE, ProbabilityCurves, read_note, write_note
from kdbts_ros.density.network.map_head import MapHeadNetwork
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.calibrate import Evidence, fit, gather, with_threshold
from kdbts_ros.evaluation.calibrate_depth import DepthEvidence, gather_depth
from kdbts_ros.evaluation.occupancy import OccupancySettings, compared
from kdbts_ros.evaluation.report import write_json
from kdbts_ros.evaluation.samples import CALIBRATION_SEED, prefetched, synthetic_samples
from kdbts_ros.evaluation.scores import frame_table
from kdbts_ros.evaluation.views import ViewChoice
from kdbts_ros.files import shown

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def calibrate(
    checkpoint: Annotated[str, typer.Argument(help="A shipped name or a .safetensors of ours.")],
    out: Annotated[
        Path,
        typer.Option("--out", help="The .safetensors to write.", callback=options.file_to_write),
    ],
    worlds: Annotated[int, typer.Option(min=4, help="Worlds to fit on.")] = 60,
    held_out: Annotated[int, typer.Option(min=2, help="Further worlds that check the fit.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="First world.")] = CALIBRATION_SEED,
    views: Views = "left",
    place: PlaceName = STREET,
    occupied_from: Annotated[
        Optional[float],
        typer.Option(min=0.01, max=0.99, help="Set this threshold instead of that of best IoU."),
    ] = None,
    head: options.Head = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    json: Json = None,
) -> None:
    """Fit probabilities of map columns, and where depth is told, to worlds nobody trained on.

    The weights stay as they are. The fit goes into the checkpoint's notes, where every map finds
    it, one for each head.

    Example: `kdbts calibrate runs/kdbts.safetensors --out kdbts_calibrated.safetensors`
    """
    source = resolve(checkpoint)
    if source.suffix != ".safetensors" or out.suffix != ".safetensors":
        raise UserError("only a .safetensors of this package holds notes; `kdbts convert` it first")
    choice = ViewChoice.parse(views)
    scene = SceneCompleter.load(checkpoint, device, precision, head)
    drawn = prefetched(synthetic_samples(worlds + held_out, seed, choice, place=place))
    counted = track(drawn, "worlds", worlds + held_out, console=Console(stderr=True))
    settings = OccupancySettings(**compared(place))
    evidence, depths = list[Evidence](), list[DepthEvidence]()
    for sample in counted:
        evidence += gather(scene, [sample], settings)
        # Where several views are fused, the student tells the depth of the newest.
        if len(scene.views) == 1:
            depths.append(gather_depth(scene, sample))
    found = with_threshold(fit(evidence[:worlds]), evidence[:worlds], occupied_from)
    if depths:
        found = replace(found, surface_from=DepthEvidence.of(depths[:worlds]).best())
    checked = evidence[worlds:]
    rows = {
        "opacity, from 0.5": _measured(checked, ProbabilityCurves()),
        f"calibrated, from {found.occupied_from:.2f}": _measured(checked, found),
    }
    trade_off = {f"from {at:g}": _measured(checked, found, at) for at in THRESHOLDS}
    show_table(f"{checkpoint} on {held_out} worlds it was not fitted on", rows)
    show_table("Calibrated, at other thresholds", trade_off)
    depth = _depth_rows(depths[worlds:], found)
    if depth:
        show_table(f"Depth on the {held_out} worlds", depth)
    notes = {**read_note(scene.info.notes.get(NOTE)), scene.head_in_use: found}
    # They read calibrated probabilities: of other curves they know nothing. What one view says
    # alone is in the maps of several as well.
    heads = scene.info.map_heads
    alone = scene.head_in_use == scene.head_of(1)
    dropped: dict[str, MapHeadNetwork | None] = {
        head: None for head in heads if alone or head == scene.head_in_use
    }
    write_annotated(source, out, {NOTE: write_note(notes)}, dropped)
    typer.echo(f"calibration of head {scene.head_in_use} -> {shown(out)}")
    for head in dropped:
        typer.echo(f"its map head was fitted on the calibration before and is left out: "
                   f"`kdbts train-map` fits one for {head} anew")  # fmt: skip
    if json is not None:
        note = write_note({scene.head_in_use: found})
        tables = {"held_out": rows, "thresholds": trade_off, "depth": depth}
        write_json(json, {"calibration": note, **tables})


def _depth_rows(
    checked: list[DepthEvidence], found: ProbabilityCurves
) -> dict[str, dict[str, float]]:
    """As the network tells it and as calibrated."""
    if not checked:
        return {}
    evidence, at = DepthEvidence.of(checked), found.surface_from
    name = "as it was" if at is None else f"calibrated, where optical depth is {at:.2f}"
    return {
        "as the network tells it": {"abs_rel": evidence.error_of(None)},
        name: {"abs_rel": evidence.error_of(at)},
    }


def _measured(
    frames: list[Evidence], calibration: ProbabilityCurves, threshold: float | None = None
) -> dict[str, float]:
    return frame_table([frame.score(calibration, threshold) for frame in frames]).measures()
