"""Frames with a truth to hold a network against, drawn or read while the network works."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.kitti.drive import KittiDrive
from kdbts_ros.datasets.opening import OrbslamPoses, open_drive
from kdbts_ros.datasets.synthetic.drive import StreetDrive, place_drive
from kdbts_ros.datasets.synthetic.places.kinds import ALL_PLACES, IN_TURN, STREET
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.geometry.camera import Array, View
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.lidar import Scan, recorded_scan, spun_scan
from kdbts_ros.evaluation.views import ViewChoice, recorded_view, recorded_views, street_views

# Far from the seeds training draws from, and from those a training run watches.
HELD_OUT_SEED = 2_000_000_000
# Worlds that probabilities are fitted on: neither trained on nor evaluated on.
CALIBRATION_SEED = 2_500_000_000
# Worlds that heads over maps learn from.
MAP_HEAD_SEED = 2_700_000_000

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Sample:
    """The views of one moment with its truth.

    Attributes:
        name: for reports.
        views: the reference view first; poses share one world.
        T_world_base: (4,4).
        depth: (H,W) z-depth of the reference view in m, 0 where unknown or sky.
        world: the exact world of a synthetic sample, None for recorded data.
        scans: LiDAR scans of this moment and of the frames after it; empty unless asked for, or
            where there are too few.
        around: the scan of this moment, then those of frames before and after; empty unless asked
            for.
        stamp_ns: of the image; 0 where each sample is a world of its own.
    """

    name: str
    views: tuple[View, ...]
    T_world_base: Array
    depth: npt.NDArray[np.float32]
    world: StreetWorld | None = None
    scans: tuple[Scan, ...] = ()
    around: tuple[Scan, ...] = ()
    stamp_ns: int = 0

    @property
    def view(self) -> View:
        """The reference view."""
        return self.views[0]


def synthetic_samples(
    worlds: int,
    seed: int = HELD_OUT_SEED,
    choice: ViewChoice | None = None,
    scans: int = 0,
    around: int | None = None,
    place: str = STREET,
) -> Iterator[Sample]:
    """One moment of each of `worlds` held-out streets, seeds from `seed` upwards.

    With scans the street is longer, and another one: a lane is kept free for the whole drive.
    around: how many scans after the moment's own to spin, None for none at all. place: "street", or
    one of `PLACES`, or "places" for those of `IN_TURN`, seen by a robot's camera of its own.
    """
    further = 0 if around is None else around + 1
    for index in range(worlds):
        frames = max(1, scans, further)
        drive = StreetDrive(seed + index, frames)
        kind = IN_TURN[index % len(IN_TURN)] if place == ALL_PLACES else place
        if kind != STREET:
            drive = place_drive(kind, seed + index, frames)
        drawn = drive.rendered(0, "left")
        camera, T_base_cam = drive.rig["left"]
        T_world_base = drive.T_world_base(0)
        view = View(drawn.image, camera, T_world_base @ T_base_cam)
        spun = [spun_scan(drive.world, drive.T_world_base(i)) for i in range(max(scans, further))]
        yield Sample(
            f"{'world' if kind == STREET else kind} {seed + index}",
            (view, *street_views(drive, 0, choice or ViewChoice())),
            T_world_base,
            np.where(np.isfinite(drawn.depth), drawn.depth, 0).astype(np.float32),
            drive.world,
            tuple(spun[:scans]),
            tuple(spun[:further]),
        )


@dataclass(frozen=True, eq=False)
class RecordedSamples:
    """Moments of a KITTI drive that have a scan and all chosen views; read one by one.

    Attributes:
        scans: from a moment onwards, for protocols that accumulate them.
        least: moments with so many of them count as well; None: all or nothing.
        around: scans before and after a moment that judge it beside its own; moments with too few
            scans from them onwards come along then. None: not asked for.

    Raises:
        UserError: there are none.
    """

    drive: KittiDrive
    choice: ViewChoice = field(default_factory=ViewChoice)
    scans: int = 0
    least: int | None = None
    around: int | None = None

    def __post_init__(self) -> None:
        name = self.drive.name
        if not any(self.drive.has_lidar(i) for i in self.drive.frames):
            raise UserError(f"{name} has no LiDAR scan in these frames; nothing to compare with")
        if not self.moments:
            raise UserError(
                f"no frame of {name} has {self._least} scans from it onwards and the views "
                f"{self.choice}; ask for fewer"
            )

    def __len__(self) -> int:
        return len(self.moments)

    def __iter__(self) -> Iterator[Sample]:
        drive = self.drive
        for index, others in self.moments.items():
            further = (recorded_view(drive, i, name) for name, i in others)
            view = recorded_view(drive, index)
            yield Sample(
                f"frame {index}",
                (view, *further),
                drive.T_world_base(index),
                drive.lidar_depth(index),
                scans=tuple(recorded_scan(drive, i) for i in self._window(index)),
                around=tuple(recorded_scan(drive, i) for i in self._around(index)),
                stamp_ns=drive.stamp_ns(index),
            )

    @cached_property
    def moments(self) -> dict[int, list[tuple[str, int]]]:
        """Frames with the cameras and frames of their further views."""
        candidates = [
            i for i in self._scanned if self._around(i) or not self.scans or self._window(i)
        ]
        chosen = {i: recorded_views(self.drive, i, self.choice) for i in candidates}
        return {i: views for i, views in chosen.items() if views is not None}

    @cached_property
    def _scanned(self) -> dict[int, None]:
        return dict.fromkeys(i for i in self.drive.frames if self.drive.has_lidar(i))

    @property
    def _least(self) -> int:
        return self.scans if self.least is None else min(self.least, self.scans)

    def _window(self, index: int) -> list[int]:
        """Frames whose scans accumulate from one onwards; none where they are too few."""
        following = takewhile(self._scanned.__contains__, range(index, index + self.scans))
        window = list(following)
        return window if len(window) >= self._least else []

    def _around(self, index: int) -> list[int]:
        """Frames whose scans judge one, its own first."""
        if self.around is None:
            return []
        offsets = (s * k for k in range(1, self.around + 1) for s in (-1, 1))
        return [index, *(index + d for d in offsets if index + d in self._scanned)]


def prefetched(samples: Iterable[T]) -> Iterator[T]:
    """The same samples, each prepared in another thread while the one before it is in use."""
    source = iter(samples)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, source, None)
        while (sample := coming.result()) is not None:
            coming = pool.submit(next, source, None)
            yield sample


def open_kitti(
    dataset: str,
    root: Path | None,
    drive: str | None,
    sequence: str | None,
    frames: range | None,
    orbslam: OrbslamPoses | None = None,
) -> KittiDrive:
    """A KITTI drive by the name of its layout, see `open_drive`.

    Raises:
        UserError: another layout, or anything the reader misses.
    """
    if dataset == "rgbd":
        raise UserError("folders of an RGB-D camera are for `kdbts evaluate depth` alone: they "
                        "have neither scans nor a second camera")  # fmt: skip
    if root is None:
        raise UserError(f"--dataset {dataset} needs --root DIR, the folder of the dataset")
    return open_drive(dataset, root, drive, sequence, frames, orbslam=orbslam)
