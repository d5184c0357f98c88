"""`kdbts figures`: the paper's figures of every method on the same frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.progress import Progress

from kdbts_ros.cli import options
from kdbts_ros.cli.evaluation_data import Dataset, Drive, Frames, Seed, Sequence_
from kdbts_ros.datasets.kitti.files import split_frames
from kdbts_ros.density.engines.answers import Floats
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation import paper_figures as paper
from kdbts_ros.evaluation.samples import HELD_OUT_SEED, Sample, open_kitti, synthetic_samples
from kdbts_ros.evaluation.shown_methods import ShownMethod, recorded_moments
from kdbts_ros.evaluation.views import ViewChoice

app = typer.Typer(no_args_is_help=True, help="The paper's figures, every method side by side.")

# The word that stands for synthetic streets in the place of a folder.
WORLDS = "worlds"

DataFolder = Annotated[
    str, typer.Argument(metavar="DATA", help="Folder of a recorded dataset, or the word worlds.")
]
Out = Annotated[
    Path, typer.Option("--out", help="Folder for the PNG.", callback=options.folder_to_write)
]
Layout = Annotated[Dataset, typer.Option("--dataset", help="What a folder DATA is.")]
Count = Annotated[int, typer.Option("--count", min=1, max=12, help="Moments, evenly spread.")]
Views = Annotated[
    str, typer.Option("--views", help="Beside the left image, of methods that fuse views.")
]
Bts = Annotated[str, typer.Option("--bts", help="Weights of BTS.")]
Kdbts = Annotated[str, typer.Option("--kdbts", help="Weights of KDBTS.")]
Mvbts = Annotated[str, typer.Option("--mvbts", help="Weights of MVBTS.")]
PixelNerf = Annotated[
    Optional[str],
    typer.Option(
        "--pixelnerf", help="Weights of config/training/equal_budget_pixelnerf.yaml; else left out."
    ),
]
Ibrnet = Annotated[
    Optional[str],
    typer.Option(
        "--ibrnet", help="Weights of config/training/equal_budget_ibrnet.yaml; else left out."
    ),
]


@dataclass(frozen=True)
class Weights:
    """Checkpoints by method; None leaves it out."""

    bts: str
    kdbts: str
    mvbts: str
    pixelnerf: str | None
    ibrnet: str | None

    def methods(self, device: str, views: ViewChoice) -> list[ShownMethod]:
        """The methods, weights that several use loaded once; says what is left out.

        Raises:
            UserError: weights that cannot be read, or have no head for their method.
        """
        mvbts = SceneCompleter.load(self.mvbts, device)
        found = [
            ShownMethod("BTS", SceneCompleter.load(self.bts, device)),
            ShownMethod("KDBTS", SceneCompleter.load(self.kdbts, device)),
            ShownMethod("MVBTS, one image", mvbts, fused=True),
            ShownMethod(f"MVBTS\n{views}", mvbts, several=True),
        ]
        missing = []
        for title, checkpoint in (("PixelNeRF", self.pixelnerf), ("IBRNet", self.ibrnet)):
            if checkpoint is None:
                missing.append(title)
                continue
            scene = SceneCompleter.load(checkpoint, device)
            if scene.spec.head != title.lower():
                raise UserError(
                    f"--{title.lower()} needs weights with the head '{title.lower()}', "
                    f"{checkpoint} has '{scene.spec.head}'"
                )
            found.append(ShownMethod(f"{title}\n{views}", scene, several=True))
        if missing:
            _say(
                f"left out, without weights: {', '.join(missing)}; see docs/evaluation.md, Figures"
            )
        return found

    def __str__(self) -> str:
        named = {name: Path(value) for name, value in vars(self).items() if value is not None}
        # Runs call their files alike: the folder tells them apart.
        short = {name: "/".join(p.with_suffix("").parts[-2:]) for name, p in named.items()}
        return ", ".join(f"{name} {file}" for name, file in short.items())


@app.command()
def density(
    data: DataFolder,
    out: Out,
    dataset: Layout = Dataset.KITTI_RAW,
    drive: Drive = None,
    sequence: Sequence_ = None,
    frames: Frames = ":",
    seed: Seed = HELD_OUT_SEED,
    count: Count = 3,
    views: Views = "stereo,temporal",
    bts: Bts = "bts",
    kdbts: Kdbts = "kdbts",
    mvbts: Mvbts = "mvbts",
    pixelnerf: PixelNerf = None,
    ibrnet: Ibrnet = None,
    resolution: Annotated[float, typer.Option(min=0.05, max=2.0, help="Cells, m.")] = 0.2,
    device: options.Device = "auto",
) -> None:
    """Figure 4: density from above, 9 m to either side, 0-1 m high, 3-23 m ahead.

    Example: `kdbts figures density KITTI --drive 0009 --out figures`
    """
    choice = ViewChoice.parse(views)
    samples = _samples(data, dataset, drive, sequence, frames, seed, count, choice)
    weights = Weights(bts, kdbts, mvbts, pixelnerf, ibrnet)

    def profile(method: ShownMethod, sample: Sample) -> Floats:
        grid = paper.profile_grid(sample, resolution)
        return paper.density_profile(method.asked(sample.views), grid)

    def truth(sample: Sample) -> Floats:
        return paper.true_profile(sample, paper.profile_grid(sample, resolution))

    rows = _rows(samples, count, weights.methods(device, choice), profile, truth)
    paper.draw_profiles(out / "density.png", f"Density from above. Weights: {weights}", rows)
    typer.echo(f"wrote {out / 'density.png'}")


@app.command()
def depth(
    data: DataFolder,
    out: Out,
    dataset: Layout = Dataset.KITTI_RAW,
    drive: Drive = None,
    sequence: Sequence_ = None,
    frames: Frames = ":",
    seed: Seed = HELD_OUT_SEED,
    count: Count = 3,
    views: Views = "stereo,temporal",
    bts: Bts = "bts",
    kdbts: Kdbts = "kdbts",
    mvbts: Mvbts = "mvbts",
    pixelnerf: PixelNerf = None,
    ibrnet: Ibrnet = None,
    stride: Annotated[int, typer.Option(min=1, max=8, help="Every so many pixels.")] = 2,
    device: options.Device = "auto",
) -> None:
    """Figure 5: the expected termination depth of the left image's rays.

    Example: `kdbts figures depth KITTI --drive 0009 --out figures`
    """
    choice = ViewChoice.parse(views)
    samples = _samples(data, dataset, drive, sequence, frames, seed, count, choice)
    weights = Weights(bts, kdbts, mvbts, pixelnerf, ibrnet)

    def ends(method: ShownMethod, sample: Sample) -> Floats:
        return paper.termination_depth(method, method.asked(sample.views), stride)

    rows = _rows(samples, count, weights.methods(device, choice), ends, paper.true_depth)
    title = f"Expected termination depth. Weights: {weights}"
    paper.draw_depths(out / "depth.png", title, rows)
    typer.echo(f"wrote {out / 'depth.png'}")


def _samples(
    data: str,
    dataset: Dataset,
    drive: str | None,
    sequence: str | None,
    frames: str,
    seed: int,
    count: int,
    views: ViewChoice,
) -> Iterable[Sample]:
    if data == WORLDS:
        return synthetic_samples(count, seed, views)
    if dataset is Dataset.SYNTHETIC:
        raise UserError(f"synthetic worlds have no folder: write {WORLDS!r} in the place of {data}")
    folder = Path(data)
    recorded = open_kitti(dataset.value, folder, drive, sequence, split_frames(frames))
    return recorded_moments(recorded, views, count)


def _rows(
    samples: Iterable[Sample],
    count: int,
    methods: Sequence[ShownMethod],
    shown: Callable[[ShownMethod, Sample], Floats],
    truth: Callable[[Sample], Floats],
) -> list[paper.Row]:
    """What every method says of every moment, behind a progress bar; the truth first."""
    rows = []
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("pictures", total=count * len(methods))
        for sample in samples:
            known = "truth" if sample.world is not None else "LiDAR returns"
            pictures = {known: truth(sample)}
            for method in methods:
                pictures[method.title] = shown(method, sample)
                progress.update(task, advance=1)
            rows.append(paper.Row(sample.name, sample.view.image, pictures))
        progress.update(task, completed=count * len(methods))
    return rows


def _say(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(text, markup=False, highlight=False)
