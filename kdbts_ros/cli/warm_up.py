"""`kdbts warm-up`: compile ahead what the node, the demo and the evaluations run."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Optional

import numpy as np
import typer
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


def warm_up(
    only: Annotated[
        Optional[str],
        typer.Option(
            metavar="worlds|maps|rays",
            help="What the demo needs of it: parts that may run at once.",
        ),
    ] = None,
    json: Json = None,
) -> None:
    """Compile every loop for this processor, so that the node's first start is as quick as others.

    The loops are kept between runs, for the user who runs this: run it as the one who will run the
    node. Up to 5 minutes the first time, and again after an update or on another processor.

    Example: `kdbts warm-up`
    """
    if only is not None and only not in DEMO:
        raise UserError(f"--only is one of {', '.join(DEMO)}, got {only!r:.40}")
    console = Console(stderr=True)
    began, compiled = time.monotonic(), 0
    chosen = parts() if only is None else [DEMO[only]]
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
        Part("places that lamps light", _places),
    ]


def _worlds() -> None:
    from kdbts_ros.datasets.synthetic.drive import StreetDrive
    from kdbts_ros.evaluation.samples import synthetic_samples
    from kdbts_ros.evaluation.views import ViewChoice

    StreetDrive(0, frames=2, moving=True).frame(1)
    next(iter(synthetic_samples(1, choice=ViewChoice(stereo=True))))


def _places() -> None:
    from kdbts_ros.datasets.synthetic.drive import place_drive

    place_drive("living", 0, width=64).frame(0)


def _maps(checkpoint: str) -> None:
    """Frames through the node's pipeline, with all that anybody may listen to.

    Which picture they show does not matter: noise needs no loops of the synthetic worlds, so that
    both parts can be compiled at once.
    """
    from kdbts_ros.datasets.synthetic.rig import front_stereo
    from kdbts_ros.density.cameras.lenses import Lens
    from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
    from kdbts_ros.density.settings import FrameStamp, Wanted

    camera, T_base_cam = front_stereo()["left"]
    rng = np.random.default_rng(0)
    wanted = Wanted(depth=True, percent=True, preview=True)
    pipeline = Pipeline(PipelineSettings(checkpoint, accumulate=True))
    for i in range(2):
        T_world_base = np.eye(4)
        T_world_base[0, 3] = 1.6 * i
        image = rng.integers(0, 256, (camera.height, camera.width, 3), np.uint8)
        view = pipeline.view(image, Lens(camera), T_world_base @ T_base_cam, T_world_base)
        stamp = FrameStamp("left", 1_000_000_000 + 200_000_000 * i)
        pipeline.process(view, T_world_base, wanted, stamp).beside.rehearse()


def _rays(checkpoint: str) -> None:
    """What `_maps` asks last, of views that no map has been made of.

    A process that begins with this compiles half of what one that runs `_maps` would come to later.
    The engine is not compared with the plain one: that would begin with what maps need.
    """
    from kdbts_ros.density.checkpoints.checkpoint import load_network
    from kdbts_ros.density.engines.choose import inference_precision
    from kdbts_ros.density.footprint_queries import MapSnapshot
    from kdbts_ros.density.maps.grid import OCCUPIED, GridWindow, HeightBand, MapArea, OccupancyMap
    from kdbts_ros.density.network.precision import choose_device
    from kdbts_ros.density.queries import ViewSnapshot
    from kdbts_ros.density.scene import SceneCompleter
    from kdbts_ros.density.whole_frame.beside import Beside
    from kdbts_ros.density.whole_frame.frame import QueriedFrame
    from kdbts_ros.density.whole_frame.rehearsal import grey_view

    device = choose_device("auto")
    scene = SceneCompleter(*load_network(checkpoint), device, inference_precision("auto", device))
    window = GridWindow.around(0.0, 0.0, 40.0, 1.0)
    area = MapArea(np.eye(4), window, HeightBand())
    everywhere = np.full((window.height, window.width), OCCUPIED, np.int8)
    view = scene.encode(grey_view(scene.spec))
    for views in ((view,), (view, view)):
        scene.use(views)
        frame = QueriedFrame(scene, view)
        Beside(scene, frame, views, area, np.eye(4), everywhere, depth_stride=4).rehearse()
        ViewSnapshot.of(scene, "discount").rehearse()
    unknown = np.full(everywhere.shape, np.nan, np.float32)
    nothing = OccupancyMap(window, unknown, np.zeros(unknown.shape, np.bool_))
    MapSnapshot(nothing, everywhere, "discount").rehearse()


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


def _street() -> None:
    from kdbts_ros.datasets.synthetic.drive import StreetDrive
    from kdbts_ros.datasets.synthetic.truth import column_truth

    drive = StreetDrive(0, frames=1)
    drive.frame(0)
    column_truth(drive.world, np.arange(2.0), np.arange(2.0), 0.3, 2.0)


# What `kdbts demo` runs with its defaults, and nothing else.
DEMO = {
    "worlds": Part("the demo's street", _street),
    "maps": Part("the demo's maps", partial(_maps, "mvbts")),
    "rays": Part("the demo's rays and points", partial(_rays, "mvbts")),
}
