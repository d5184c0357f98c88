"""Which views of a moment a network is given: the left camera, its stereo partner, the past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kdbts_ros.datasets.kitti.drive import KittiDrive
from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.datasets.synthetic.places.kinds import STREET
from kdbts_ros.datasets.synthetic.places.place import BEHIND
from kdbts_ros.datasets.synthetic.raycast import render
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.errors import UserError

# Metres the robot drove between one temporal view and the next: two frames at 8 m/s and 10 Hz.
TEMPORAL_SPACING = 1.6
_DEFAULT_TEMPORAL = 2


@dataclass(frozen=True)
class ViewChoice:
    """Views beside the left camera at t0, which always comes first.

    stereo: the right camera at t0. temporal: how many earlier views of the left camera,
    `TEMPORAL_SPACING` apart along the drive, the nearest first. Never a later one, which a robot
    does not have.
    """

    stereo: bool = False
    temporal: int = 0

    @classmethod
    def parse(cls, text: str) -> ViewChoice:
        """Of a list like "stereo,temporal:3"; "left" alone and nothing mean one view.

        Raises:
            UserError: another word, or a count that is none.
        """
        stereo, temporal = False, 0
        for word in filter(None, (part.strip() for part in text.split(","))):
            kind, colon, count = word.partition(":")
            if word == "stereo":
                stereo = True
            elif kind == "temporal" and (not colon or (count.isdecimal() and int(count) > 0)):
                temporal = int(count) if colon else _DEFAULT_TEMPORAL
            elif word != "left":
                raise UserError(
                    f"--views cannot use {word!r}: name left, stereo, temporal or temporal:N, "
                    "separated by commas"
                )
        return cls(stereo, temporal)

    def __str__(self) -> str:
        words = ["left", *["stereo"] * self.stereo]
        return ",".join(words + [f"temporal:{self.temporal}"] * (self.temporal > 0))


def street_views(drive: StreetDrive, index: int, choice: ViewChoice) -> tuple[View, ...]:
    """The chosen views of a synthetic drive, but for the left one at `index`.

    Earlier places may lie before the first frame: the street begins 25 m before it.

    Raises:
        UserError: views that a place has not.
    """
    if choice.stereo and "right" not in drive.rig:
        raise UserError(f"a drive through '{drive.place}' has one camera: leave out stereo")
    if drive.place != STREET and choice.temporal * TEMPORAL_SPACING > BEHIND:
        most = int(BEHIND / TEMPORAL_SPACING)
        raise UserError(f"a place reaches {BEHIND:g} m back: ask for at most temporal:{most}")
    step = round(TEMPORAL_SPACING * drive.rate_hz / drive.speed)
    wanted = [("right", index)] * choice.stereo
    wanted += [("left", index - step * (k + 1)) for k in range(choice.temporal)]
    views = []
    for name, i in wanted:
        camera, T_base_cam = drive.rig[name]
        T_world_cam = drive.T_world_base(i) @ T_base_cam
        views.append(View(render(drive.world, camera, T_world_cam).image, camera, T_world_cam))
    return tuple(views)


def recorded_views(
    drive: KittiDrive, index: int, choice: ViewChoice
) -> list[tuple[str, int]] | None:
    """(camera, frame) of the chosen views of a recorded drive, but for the left one at `index`.

    None where the recording does not reach back far enough.
    """
    wanted = [("right", index)] * choice.stereo
    here = drive.T_world_base(index)[:3, 3]
    earlier = [i for i in reversed(drive.frames) if i < index]
    for k in range(choice.temporal):
        baseline = TEMPORAL_SPACING * (k + 1)
        past = next(
            (i for i in earlier if np.linalg.norm(drive.T_world_base(i)[:3, 3] - here) >= baseline),
            None,
        )
        if past is None:
            return None
        wanted.append(("left", past))
    return wanted


def recorded_view(drive: KittiDrive, index: int, name: str = "left") -> View:
    """One view of a drive, read now.

    Raises:
        UserError: an image that cannot be read, or a camera the drive lacks.
    """
    T_world_cam = drive.T_world_base(index) @ drive.T_base_cam(name)
    return View(drive.image(index, name), drive.camera(name), T_world_cam)
