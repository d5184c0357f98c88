"""`kdbts warm-up`: compile ahead what the node, the demo and the evaluations run."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from kdbts_ros import loops
from kdbts_ros.cli.options import Json
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.report import write_json


@dataclass(frozen=True)
class Part:
    """What is run once, so that its loops are compiled and kept."""

    name: str
    run: Callable[[], object]


def warm_up(json: Json = None) -> None:
    """Compile every loop for this processor, so that the node's first start is as quick as others.

    The loops are kept between runs, for the user who runs this: run it as the one who will run the
    node. Up to 3 minutes the first time, and again after an update or on another processor.

    Example: `kdbts warm-up`
    """
    console = Console(stderr=True)
    began, compiled = time.monotonic(), 0
    chosen = parts()
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    times = TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, *times, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(chosen))
        for part in chosen:
            progress.update(task, description=part.name)
            compiled += _run(part, console, progress, task)
            progress.advance(task)
    seconds = time.monotonic() - began
    if compiled:
        sentence = f"{compiled} loops compiled in {seconds:.0f} s, and kept in {loops.kept_in()}"
    else:
        sentence = f"nothing to compile: every loop was kept already ({seconds:.0f} s)"
    Console().print(sentence, highlight=False, soft_wrap=True)
    if json is not None:
        write_json(json, {"loops_compiled": compiled, "seconds": round(seconds, 1)})


def _run(part: Part, console: Console, progress: Progress, task: object) -> int:
    """Run one part and say what came of it; how many loops were compiled."""
    names: list[str] = []

    def tell(name: str) -> None:
        names.append(name)
        progress.update(task, description=f"{part.name}: {name}")  # type: ignore[arg-type]

    began = time.monotonic()
    with loops.told_of_each(tell):
        part.run()
    done = f"{len(names)} loops compiled" if names else "ready"
    seconds = time.monotonic() - began
    console.print(f"{part.name}: {done} ({seconds:.0f} s)", highlight=False, soft_wrap=True)
    return len(names)


def parts() -> list[Part]:
    """In the order in which they need each other."""
    import torch

    from kdbts_ros.density.checkpoints.checkpoint import shipped_names

    # On a CPU the fine weights take the loops of the others, and only take longer.
    fine = torch.cuda.is_available()
    names = [name for name in shipped_names() if fine or not name.endswith("_fine")]
    maps = [Part(f"maps of {name}", partial(_maps, name)) for name in names]
    return [
        Part("synthetic worlds", _worlds),
        *maps,
        Part("evaluation", _evaluation),
        Part("learning", _learning),
    ]


def _worlds() -> None:
    from kdbts_ros.datasets.synthetic.drive import StreetDrive
    from kdbts_ros.evaluation.samples import synthetic_samples
    from kdbts_ros.evaluation.views import ViewChoice

    StreetDrive(0, frames=2, moving=True).frame(1)
    next(iter(synthetic_samples(1, choice=ViewChoice(stereo=True))))


def _maps(checkpoint: str) -> None:
    """Frames through the node's pipeline, with all that anybody may listen to."""
    from kdbts_ros.datasets.synthetic.drive import StreetDrive
    from kdbts_ros.density.cameras.lenses import Lens
    from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
    from kdbts_ros.density.settings import FrameStamp, Wanted

    drive = StreetDrive(0, frames=2, rate_hz=5.0)
    wanted = Wanted(depth=True, percent=True, preview=True)
    pipeline = Pipeline(PipelineSettings(checkpoint, accumulate=True))
    for i in range(len(drive)):
        T_world_base, taken = drive.T_world_base(i), drive.frame(i).views["left"]
        view = pipeline.view(taken.image, Lens(taken.camera), taken.T_world_cam, T_world_base)
        pipeline.process(view, T_world_base, wanted, FrameStamp("left", drive.stamp_ns(i)))


def _evaluation() -> None:
    from kdbts_ros.density.scene import SceneCompleter
    from kdbts_ros.evaluation.depth import evaluate_depth
    from kdbts_ros.evaluation.drive import SETTLING, DriveEvaluation, DriveSettings
    from kdbts_ros.evaluation.occupancy import OccupancyEvaluation, OccupancySettings
    from kdbts_ros.evaluation.samples import synthetic_samples
    from kdbts_ros.evaluation.views import ViewChoice

    with suppress(UserError):  # weights that are not shipped are not evaluated
        fused = SceneCompleter.load("mvbts", "auto", "auto")
        single = SceneCompleter.load("kdbts", "auto", "auto")
        samples = list(synthetic_samples(1, choice=ViewChoice(stereo=True)))
        scenes = {"mvbts": fused, "kdbts": single}
        OccupancyEvaluation(scenes, OccupancySettings()).run(samples)
        evaluate_depth(scenes, samples, crop="none")
        settings = DriveSettings(SETTLING + 1, range_m=6.0)
        DriveEvaluation(settings, single, fused, least_share=0.1).run(0)


def _learning() -> None:
    from kdbts_ros.learning.frames.depth_hints import aggregate

    aggregate(np.zeros((4, 4, 4), np.float32))
