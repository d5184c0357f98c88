"""Frames of an RGB-D sequence with the sensor's depth as truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kdbts_ros.datasets.rgbd.sequence import CAMERA, RgbdSequence
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.samples import Sample
from kdbts_ros.evaluation.views import ViewChoice

# Metres between a view and the next earlier one: rooms are a fifth of streets.
SPACING = 0.3


@dataclass(frozen=True, eq=False)
class RgbdSamples:
    """Moments of a sequence with all chosen views; read one by one.

    Raises:
        UserError: there are none, or a second camera is asked for.
    """

    sequence: RgbdSequence
    choice: ViewChoice

    def __post_init__(self) -> None:
        if self.choice.stereo:
            raise UserError("an RGB-D sequence has one camera: --views can be left or temporal")
        if not self.moments:
            raise UserError(
                f"no frame of {self.sequence.name} has the views {self.choice}; ask for fewer"
            )

    def __len__(self) -> int:
        return len(self.moments)

    def __iter__(self) -> Iterator[Sample]:
        for index, earlier in self.moments.items():
            yield Sample(
                f"frame {index}",
                tuple(self._view(i) for i in (index, *earlier)),
                self.sequence.T_world_base(index),
                self.sequence.depth(index),
            )

    @cached_property
    def moments(self) -> dict[int, list[int]]:
        """Frames with the frames of their earlier views, the nearest first."""
        frames = self.sequence.frames
        places = [self.sequence.T_world_cam(i)[:3, 3] for i in frames]
        found = {}
        for at, index in enumerate(frames):
            earlier: list[int] = []
            for k in range(at - 1, -1, -1):
                if len(earlier) == self.choice.temporal:
                    break
                moved = np.linalg.norm(places[at] - places[k])
                if moved >= SPACING * (len(earlier) + 1):
                    earlier.append(frames[k])
            if len(earlier) == self.choice.temporal:
                found[index] = earlier
        return found

    def _view(self, index: int) -> View:
        sequence = self.sequence
        return View(sequence.image(index), sequence.camera(CAMERA), sequence.T_world_cam(index))
