"""The values of all parameters together: what may not contradict what."""

from __future__ import annotations

import math
import re

from pydantic import field_validator, model_validator

from kdbts_ros.datasets.ros.pose_rules import frame_name
from kdbts_ros.errors import UserError
from kdbts_ros.node.parameters.table import Table

# A map of more cells than this is a mistyped range or resolution, not a wish.
MAX_CELLS = 4_000_000
# What a camera may be called: it becomes the first part of its topics' names.
CAMERA_NAME = re.compile(r"[a-zA-Z_]\w*(/[a-zA-Z_]\w*)*")


class Parameters(Table):
    """A consistent set of values.

    Raises:
        UserError: a value is bad, or several contradict each other.
    """

    @field_validator("fixed_frame", "base_frame", "camera_frame")
    @classmethod
    def _without_slash(cls, name: str) -> str:
        # Published as well, and tf2 takes no name that begins with a slash.
        return frame_name(name)

    @model_validator(mode="after")
    def _agree(self) -> Parameters:
        if self.height_min >= self.height_max:
            raise UserError(
                f"parameter 'height_min' ({self.height_min:g}) must lie below 'height_max' "
                f"({self.height_max:g})"
            )
        if 0 < self.occupied_threshold < self.clearing_threshold:
            raise UserError(
                f"parameter 'clearing_threshold' ({self.clearing_threshold:g}) must not exceed "
                f"'occupied_threshold' ({self.occupied_threshold:g})"
            )
        cells = math.ceil(2 * self.range_m / self.resolution) ** 2
        if cells > MAX_CELLS:
            raise UserError(
                f"a map of {cells:,} cells is too large: lower 'range_m' ({self.range_m:g}) or "
                f"raise 'resolution' ({self.resolution:g})"
            )
        if self.min_baseline >= self.max_baseline:
            raise UserError(
                f"parameter 'min_baseline' ({self.min_baseline:g}) must lie below 'max_baseline' "
                f"({self.max_baseline:g})"
            )
        self._check_cameras()
        for name in ("checkpoint", "device", "fixed_frame", "base_frame"):
            if not getattr(self, name):
                raise UserError(f"parameter '{name}' must not be empty")
        return self

    def _check_cameras(self) -> None:
        for name in self.cameras:
            if not CAMERA_NAME.fullmatch(name):
                raise UserError(f"parameter 'cameras': '{name}' cannot be part of a topic's name")
        if len(set(self.cameras)) < len(self.cameras):
            raise UserError("parameter 'cameras' names a camera twice")
        if len(self.cameras) > 1 and self.mode == "kdbts":
            raise UserError(
                "parameter 'cameras' names several, but mode kdbts uses one: set mode to auto or "
                "mvbts"
            )
        if len(self.cameras) > 1 and self.camera_frame:
            raise UserError(
                "parameter 'camera_frame' holds for one camera: leave it empty, so that each of "
                "'cameras' has the frame_id of its images"
            )
