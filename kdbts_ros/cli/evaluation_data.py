"""What the commands that measure have in common: the data, the views, and a second checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from kdbts_ros.cli import options
from kdbts_ros.datasets.kitti.files import split_frames
from kdbts_ros.datasets.opening import OrbslamPoses
from kdbts_ros.datasets.rgbd.sequence import RgbdSequence
from kdbts_ros.datasets.synthetic.places.kinds import (
    ALL_PLACES,
    IN_TURN,
    PLACES,
    STREET,
    check_place,
)
from kdbts_ros.density.maps.probability import ProbabilityCurves
from kdbts_ros.density.scene import SceneCompleter
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.anchoring import Anchoring
from kdbts_ros.evaluation.report import Rows
from kdbts_ros.evaluation.rgbd_samples import RgbdSamples
from kdbts_ros.evaluation.samples import (
    RecordedSamples,
    Sample,
    open_kitti,
    prefetched,
    synthetic_samples,
)
from kdbts_ros.evaluation.views import ViewChoice
from kdbts_ros.files import shown


class Dataset(str, Enum):
    """Where truth comes from."""

    SYNTHETIC = "synthetic"
    KITTI_RAW = "kitti-raw"
    KITTI_ODOMETRY = "kitti-odometry"
    KITTI_360 = "kitti-360"
    RGBD = "rgbd"


def _known_place(name: str) -> str:
    return name if name in (STREET, ALL_PLACES) else check_place(name)


Data = Annotated[Dataset, typer.Option("--dataset", help="Where truth comes from.")]
Root = Annotated[Optional[Path], typer.Option("--root", help="Folder of a recorded dataset.")]
Folder = Annotated[
    Optional[Path],
    typer.Argument(metavar="[DIR]", help="Folder of a recorded dataset, as --root."),
]
Intrinsics = Annotated[
    Optional[str],
    typer.Option(metavar="FX,FY,CX,CY", help="Of rgbd images, in pixels; else as its folder says."),
]
CameraHeight = Annotated[
    Optional[float],
    typer.Option(min=0.05, max=20.0, help="Of rgbd: m above the floor; else the floor is found."),
]
Drive = Annotated[Optional[str], typer.Option("--drive", help="Drive of kitti-raw, e.g. 0009.")]
Sequence_ = Annotated[
    Optional[str], typer.Option("--sequence", help="Of kitti-odometry, kitti-360, rgbd.")
]
Frames = Annotated[str, typer.Option("--frames", metavar="A:B", help="Frames A to B - 1.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="First synthetic world.")]
PlaceName = Annotated[
    str,
    typer.Option(
        "--place",
        help=f"Of the synthetic worlds: {STREET}, {', '.join(PLACES)}, or {ALL_PLACES}: "
        f"{', '.join(IN_TURN)} in turn.",
        callback=_known_place,
    ),
]
HeightMin = Annotated[
    Optional[float],
    typer.Option(help="Band above the ground, m; 0.3 on streets, 0.1 in other places."),
]
HeightMax = Annotated[
    Optional[float],
    typer.Option(help="Band above the ground, m; 2 on streets, 1.5 in other places."),
]
Worlds = Annotated[int, typer.Option("--worlds", min=1, help="Number of synthetic worlds.")]
Views = Annotated[
    str,
    typer.Option(
        "--views",
        help="Beside the left image: stereo, temporal or temporal:N (earlier ones, 1.6 m apart).",
    ),
]
Orbslam = Annotated[
    Optional[Path],
    typer.Option("--orbslam", help="Poses of kitti-raw by ORB-SLAM: folder of DRIVE_sync.txt."),
]
OrbslamScale = Annotated[
    float, typer.Option("--orbslam-scale", min=0.1, max=10, help="Factor on their translations.")
]
Compare = Annotated[
    Optional[str],
    typer.Option("--compare", help="A second checkpoint on the same frames, with the difference."),
]
Uncalibrated = Annotated[
    bool, typer.Option("--uncalibrated", help="Take opacity itself as the probability.")
]


GroundAnchor = Annotated[
    Anchoring,
    typer.Option(
        "--ground-anchor",
        help="Tie frames to the ground that poses give: on (each by itself), filtered (by those "
        "before it along the drive, as the node does), off.",
    ),
]
Json = options.Json
Report = Annotated[
    Optional[Path],
    typer.Option("--report", help="Folder for Markdown and PNG.", callback=options.folder_to_write),
]


_TABLE_WIDTH = 240


@dataclass(frozen=True)
class DataChoice:
    """The frames that the options name. camera_height, intrinsics: of rgbd, None: as found."""

    dataset: Dataset
    root: Path | None
    drive: str | None
    sequence: str | None
    frames: str
    seed: int
    worlds: int
    views: str
    orbslam: OrbslamPoses | None = None
    camera_height: float | None = None
    intrinsics: str | None = None
    place: str = STREET

    def __post_init__(self) -> None:
        if self.place != STREET and self.dataset is not Dataset.SYNTHETIC:
            raise UserError(
                f"--place names synthetic worlds: it does not go with {self.dataset.value}"
            )

    def samples(
        self, scans: int = 0, least: int | None = None, around: int | None = None
    ) -> Iterable[Sample]:
        """The samples behind a progress bar, each prepared while the one before is in use.

        scans, least, around: see `RecordedSamples`.
        """
        choice = ViewChoice.parse(self.views)
        if self.orbslam is not None and self.dataset is Dataset.SYNTHETIC:
            raise UserError("--orbslam gives poses to kitti-raw; worlds have exact ones")
        console = Console(stderr=True)
        if self.dataset is Dataset.SYNTHETIC:
            drawn = synthetic_samples(self.worlds, self.seed, choice, scans, around, self.place)
            return track(prefetched(drawn), "worlds", self.worlds, console=console)
        if self.dataset is Dataset.RGBD and not scans and around is None:
            moments = RgbdSamples(self._rgbd(console), choice)
            return track(prefetched(moments), "frames", len(moments), console=console)
        recorded = RecordedSamples(
            open_kitti(
                self.dataset.value,
                self.root,
                self.drive,
                self.sequence,
                split_frames(self.frames),
                self.orbslam,
            ),
            choice,
            scans,
            least,
            around,
        )
        return track(prefetched(recorded), "frames", len(recorded), console=console)

    def _rgbd(self, console: Console) -> RgbdSequence:
        """The sequence; says what of it is not used, and where its floor is."""
        if self.root is None:
            raise UserError("--dataset rgbd needs the folder of a sequence: DIR, or --root DIR")
        if self.drive is not None:
            raise UserError("--drive belongs to kitti-raw; name a sequence with --sequence")
        given = self.intrinsics
        found = RgbdSequence(
            self.root,
            split_frames(self.frames),
            sequence=self.sequence,
            intrinsics=None if given is None else options.split_intrinsics(given),
            camera_height=self.camera_height,
        )
        lost = f"{found.without_depth} images without depth and {found.without_pose} without a pose"
        console.print(
            f"{shown(found.name)}: {len(found)} frames; {lost} are left out; "
            f"{found.floor.sentence}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        return found

    def __str__(self) -> str:
        if self.dataset is Dataset.RGBD and self.root is not None:
            name = "/".join(filter(None, (self.root.resolve().name, self.sequence)))
            return f"rgbd {name} frames {self.frames}, views {ViewChoice.parse(self.views)}"
        if self.dataset is Dataset.SYNTHETIC:
            kind = {STREET: "worlds", ALL_PLACES: ALL_PLACES}.get(
                self.place, f"{self.place} worlds"
            )
            which = f"{self.worlds} synthetic {kind} from seed {self.seed}"
        else:
            which = f"{self.dataset.value} {self.drive or self.sequence or ''} frames {self.frames}"
            if self.orbslam is not None:
                which += f", poses by ORB-SLAM x {self.orbslam.scale:g}"
        return f"{which}, views {ViewChoice.parse(self.views)}"


def orbslam_poses(folder: Path | None, scale: float) -> OrbslamPoses | None:
    """What --orbslam and --orbslam-scale say together."""
    if folder is None and scale != 1.0:
        raise UserError("--orbslam-scale is a factor on the poses of --orbslam DIR")
    return None if folder is None else OrbslamPoses(folder, scale)


def load_scenes(
    checkpoints: Iterable[str | None],
    device: str,
    precision: str,
    head: str | None,
    uncalibrated: bool = False,
) -> dict[str, SceneCompleter]:
    """The networks by the names they were asked for, None left out; the head is the first one's.

    Raises:
        UserError: one that cannot be loaded, or the same name twice.
    """
    scenes: dict[str, SceneCompleter] = {}
    for checkpoint in checkpoints:
        if checkpoint is None:
            continue
        if checkpoint in scenes:
            raise UserError(f"--compare needs another checkpoint than {checkpoint}")
        scene = SceneCompleter.load(checkpoint, device, precision, None if scenes else head)
        if uncalibrated:
            scene.curves = ProbabilityCurves()
        scenes[checkpoint] = scene
    return scenes


def show_table(title: str, rows: Rows) -> None:
    """A table on the terminal; a dash where a measure is not defined."""
    columns = list(next(iter(rows.values())))
    table = Table(title=escape(shown(title)))
    for header in ("", *columns):
        table.add_column(header, no_wrap=True)
    for name, values in rows.items():
        table.add_row(escape(shown(name)), *(_shown(column, values[column]) for column in columns))
    console = Console()
    # Figures that are cut off say nothing: let a narrow terminal wrap the line instead.
    console.width = max(console.width, _TABLE_WIDTH)
    console.print(table)


def _shown(column: str, value: float) -> str:
    if value != value:
        return "–"
    return f"{value:.0f}" if column in ("frames", "columns", "scans") else f"{value:.3f}"
