"""The drives a demo can be given, as recordings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from kdbts_ros.datasets.bags.writer import write_bag
from kdbts_ros.datasets.kitti.raw import KittiRawDrive
from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.datasets.synthetic.places.kinds import STREET
from kdbts_ros.datasets.synthetic.rig import front_stereo, mount
from kdbts_ros.datasets.synthetic.world import StreetWorld
from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.errors import UserError

# Far from the seeds that training draws from. Chosen among 400 because it looks like a street: sun
# high and not ahead, a blue sky, eight or more parked cars along the drive (16 were left), and of
# four that were mapped the one whose map agreed best. No figure of accuracy is measured on it.
SEED = 2_000_100_211
CAMERA = "left"

# A camera 0.6 m above the floor, 90 degrees wide, that looks 8 degrees down; m/s.
ROBOT_CAMERA = (
    Camera(640, 480, 320.0, 320.0, 320.0, 240.0),
    mount((0.0, 0.0, 0.6), pitch=math.radians(8.0)),
)
ROBOT_SPEED = 0.6

Progress = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Drive:
    """A drive to be written as a recording.

    task: what writing it is called. world: its true world, None where nobody knows it.
    """

    name: str
    task: str
    frames: int
    world: StreetWorld | None
    _write: Callable[[Path, Progress], object]

    def write(self, bag: Path, progress: Progress) -> None:
        """Make the recording; `progress` is called with the number of frames written."""
        self._write(bag, progress)


def synthetic(frames: int, seed: int = SEED, place: str = STREET) -> Drive:
    """A drive along a procedural street with the front camera the shipped weights know.

    Through another place a small robot drives slowly, its camera `ROBOT_CAMERA`.

    Raises:
        UserError: no such place.
    """
    street = synthetic_drive(frames, seed, place)

    def write(bag: Path, progress: Progress) -> None:
        write_bag((street.frame(i) for i in range(frames)), bag, on_frame=progress)

    return Drive(f"synthetic {place} {seed}", "rendering", frames, street.world, write)


def synthetic_drive(
    frames: int, seed: int = SEED, place: str = STREET, cameras: Sequence[str] = (CAMERA,)
) -> StreetDrive:
    """What `synthetic` records. cameras: of the street, which has "left" and "right".

    Raises:
        UserError: no such place or camera.
    """
    rig = front_stereo() if place == STREET else {CAMERA: ROBOT_CAMERA}
    for name in cameras:
        if name not in rig:
            raise UserError(f"no camera '{name}' in the {place}; there is {', '.join(rig)}")
    chosen = {name: rig[name] for name in cameras}
    if place == STREET:
        return StreetDrive(seed, frames, chosen)
    return StreetDrive(seed, frames, chosen, ROBOT_SPEED, place=place)


def kitti(root: Path, drive: str | None, frames: int | None) -> Drive:
    """The left camera of a drive of KITTI raw, the first `frames` of it.

    Without a name, the first drive under `root`.

    Raises:
        UserError: there is no such drive.
    """
    if drive is None:
        held = sorted(p.name for p in (*root.glob("*/*_sync"), *root.glob("*_sync")))
        drive = held[0] if held else None
    source = KittiRawDrive(root, drive, cameras=(CAMERA,))
    count = len(source) if frames is None else min(frames, len(source))

    def write(bag: Path, progress: Progress) -> None:
        write_bag(islice(source, count), bag, on_frame=progress)

    return Drive(f"KITTI {source.name}", "reading", count, None, write)
