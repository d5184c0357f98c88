"""`kdbts train-map`: give a checkpoint a head over its maps."""

from __future__ import annotations

import contextlib
import json as json_format
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from kdbts_ros.cli import options
from kdbts_ros.cli.evaluation_data import Json, PlaceName, Views, show_table
from kdbts_ros.datasets.synthetic.places.kinds import STREET
from kdbts_ros.density.checkpoints.checkpoint import resolve, write_annotated
from kdbts_ros.density.map_head import MapHead
from kdbts_ros.density.network.map_head import MapHeadNetwork, MapHeadSpec
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.density.whole_frame.rehearsal import grey_view
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.judged_maps import JudgedMaps
from kdbts_ros.evaluation.occupancy import OccupancySettings, compared
from kdbts_ros.evaluation.report import write_json
from kdbts_ros.evaluation.samples import (
    CALIBRATION_SEED,
    MAP_HEAD_SEED,
    Sample,
    prefetched,
    synthetic_samples,
)
from kdbts_ros.evaluation.views import ViewChoice
from kdbts_ros.files import shown
from kdbts_ros.learning.map_head.evidence import EvidenceFolder
from kdbts_ros.learning.map_head.fitting import Fit, FitSettings
from kdbts_ros.learning.record.state_file import StateFile
from kdbts_ros.learning.run.interruption import Interruption
from kdbts_ros.learning.run.resuming import Identity, read, refuse_other, written

# Cells, m, heights, m, at which features are gathered, and scales of views: along streets, all of
# which one camera sees, and where robots work.
STREET_LATTICE = 0.2, (0.0, 0.6, 1.2, 1.8), (0.7, 1.5)
NEAR_LATTICE = 0.1, (0.0, 0.4, 0.8, 1.4), (0.5, 10.0)


def train_map(
    checkpoint: Annotated[
        str, typer.Argument(help="A shipped name or a .safetensors of ours, calibrated.")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="The .safetensors to write.", callback=options.file_to_write),
    ],
    place: PlaceName = STREET,
    views: Views = "left",
    begin_with_own: Annotated[
        bool,
        typer.Option(
            "--begin-with-own",
            help="Learn on from the checkpoint's head for these maps, or for those of one image.",
        ),
    ] = False,
    worlds: Annotated[int, typer.Option(min=8, help="Worlds to learn from.")] = 1000,
    epochs: Annotated[float, typer.Option(min=0.1, help="How often each is seen.")] = 14.0,
    held_out: Annotated[
        int, typer.Option(min=2, help="Further worlds: for the threshold, and to judge by.")
    ] = 60,
    work: Annotated[
        Optional[Path],
        typer.Option(
            help="Folder for what is drawn and for the state; default OUT.work.",
            callback=options.folder_to_write,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what the folder holds.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="First world.")] = MAP_HEAD_SEED,
    device: options.Device = "auto",
    json: Json = None,
) -> None:
    """Train a head that looks at the cells of a map together, on drawn worlds.

    The network stays as it is: worlds are drawn and told to it once (2 MB each in the folder), then
    the head learns from the files. Ctrl-C keeps all; --resume goes on. Calibrate first: the head
    reads calibrated probabilities. With --views a head for maps of several images, from two to all
    of those named; a checkpoint may hold one of each.

    Example: `kdbts train-map kdbts --out kdbts_map.safetensors --worlds 1000`
    """
    source = resolve(checkpoint)
    if source.suffix != ".safetensors" or out.suffix != ".safetensors":
        raise UserError("only a .safetensors of this package holds a map head; `kdbts convert` "
                        "an original first")  # fmt: skip
    scene = SceneCompleter.load(checkpoint, device)
    choice = ViewChoice.parse(views)
    head = _head(scene, choice)
    for name in dict.fromkeys((scene.head_of(1), head)):
        if scene.curves_of(name).observed is None:
            raise UserError(f"{shown(checkpoint)} has no calibration of its head {name}: "
                            "`kdbts calibrate` it first")  # fmt: skip
    folder = Path(f"{out}.work") if work is None else work
    spec = _spec(scene, place)
    begin = _own(scene, head, spec) if begin_with_own else None
    settings = OccupancySettings(**compared(place))
    origin = {
        "checkpoint": scene.info.sha256,
        "place": place,
        "views": str(choice),
        "begin": "" if begin is None else "own",
        "first world": str(seed),
        "head": json_format.dumps(asdict(spec)),
    }
    state = _state(folder, origin, resume)

    def samples(first: int, count: int) -> Iterator[Sample]:
        return prefetched(synthetic_samples(count, seed + first, choice, place=place))

    with _progress() as progress:
        task = progress.add_task("worlds drawn", total=worlds)
        evidence = EvidenceFolder(folder)
        usual = settings.band, settings.resolution
        evidence.draw(scene, spec, usual, samples, worlds, lambda: progress.advance(task))
        fit = Fit(spec, evidence.read(worlds), FitSettings(epochs=epochs), begin)
        if not _trained(fit, state, progress):
            typer.echo(f"stopped at step {fit.step}: continue with the same command and --resume")
            return
        network = fit.averaged()
        task = progress.add_task("worlds to judge by", total=held_out)
        judged = JudgedMaps(scene, MapHead(network, scene.device), settings)
        others = synthetic_samples(held_out, CALIBRATION_SEED, choice, place=place)
        for sample in prefetched(others):
            judged.add(sample)
            progress.advance(task)
    best = judged.best_threshold()
    rows = judged.rows(best)
    show_table(f"{shown(checkpoint)} on {held_out} worlds that neither learnt from", rows)
    _write(source, out, head, network, best)
    if json is not None:
        write_json(json, {"steps": fit.step, "occupied_from": best, "held_out": rows})


def _head(scene: SceneCompleter, choice: ViewChoice) -> str:
    """Whose maps are completed.

    Raises:
        UserError: several views for a network that reads one.
    """
    views = 1 + choice.stereo + choice.temporal
    if views > 1 and not scene.network.density_head.multi_view:
        raise UserError(f"the head '{scene.spec.head}' reads one view: leave out --views, or name "
                        "weights that fuse views, such as mvbts")  # fmt: skip
    return scene.head_of(views)


def _own(scene: SceneCompleter, head: str, spec: MapHeadSpec) -> MapHeadNetwork:
    """The checkpoint's map head to begin with.

    Raises:
        UserError: there is none, or it is of another shape.
    """
    heads = scene.info.map_heads
    own = heads.get(head, heads.get(scene.head_of(1)))
    if own is None:
        raise UserError("--begin-with-own: the checkpoint has no map head")
    if replace(own.spec, occupied_from=spec.occupied_from) != spec:
        raise UserError(f"--begin-with-own: the checkpoint's map head is another one: {own.spec}")
    return own


def _spec(scene: SceneCompleter, place: str) -> MapHeadSpec:
    view = scene.encode(grey_view(scene.spec))
    resolution, heights, scales = STREET_LATTICE if place == STREET else NEAR_LATTICE
    return MapHeadSpec(len(scene.feature_map(view)), resolution, heights, scales=scales)


def _state(folder: Path, origin: Identity, resume: bool) -> StateFile:
    """The file of the training's state, in a folder that is this head's.

    Raises:
        UserError: the folder is another's, or holds something and is not to be continued.
    """
    told = folder / "origin.json"
    if told.exists():
        if not resume:
            raise UserError(f"{shown(folder)} holds an earlier training: continue it with "
                            "--resume, remove it, or name another --work")  # fmt: skip
        refuse_other(
            read(told.read_text("utf-8")) or {}, origin, f"{shown(folder)} is of another head",
            "Repeat the options of the first command, or name another --work.",
        )  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        told.write_text(written(origin), "utf-8")
    except OSError as error:
        raise UserError(f"cannot write to {shown(folder)}: {error.strerror}") from error
    return StateFile(folder / "state.pt")


def _trained(fit: Fit, state: StateFile, progress: Progress) -> bool:
    """Whether it came to its end; saved ten times on the way."""
    if state.path.exists():
        fit.restore(state.load())
    task = progress.add_task("steps", total=fit.steps, completed=fit.step)
    every = max(1, fit.steps // 10)
    losses: list[float] = []

    def told(loss: float) -> None:
        losses.append(loss)
        shown_loss = sum(losses[-50:]) / len(losses[-50:])
        progress.update(task, advance=1, description=f"steps, loss {shown_loss:.4f}")

    with Interruption() as interruption:
        while fit.step < fit.steps and not interruption.asked:
            fit.run(fit.step + 1, told)
            if fit.step % every == 0 or interruption.asked or fit.step == fit.steps:
                state.save(fit.state())
    return fit.step >= fit.steps


def _write(source: Path, out: Path, head: str, network: MapHeadNetwork, best: float) -> None:
    finished = MapHeadNetwork(replace(network.spec, occupied_from=best))
    finished.load_state_dict(network.state_dict())
    write_annotated(source, out, {}, {head: finished})
    typer.echo(f"map head of {head}, occupied from {best:.2f} -> {shown(out)}")


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TaskProgressColumn(), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress
