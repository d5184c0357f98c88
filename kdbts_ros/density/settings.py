"""What a pipeline computes of every frame, and what is asked of one. No model behind it."""

from __future__ import annotations

from dataclasses import dataclass, field

from kdbts_ros.density.cameras.adapter import Mode as CanonicalMode
from kdbts_ros.density.ground.anchor import GroundUse
from kdbts_ros.density.ground.anchor import Mode as AnchorMode
from kdbts_ros.density.maps.grid import CompletedCells, HeightBand
from kdbts_ros.density.maps.marks import MarkRules
from kdbts_ros.density.maps.rolling_map import AccumulationSettings
from kdbts_ros.density.views.keyframes import BufferRules
from kdbts_ros.density.views.policy import MODES, Mode
from kdbts_ros.density.views.static_world import ConsistencyRules
from kdbts_ros.errors import UserError


@dataclass(frozen=True)
class PipelineSettings:
    """What is computed from a frame. Lengths in metres; the map is a square of side 2 range_m.

    `head` names the head of an original checkpoint that holds several; `canonical_camera` and
    `scale_height` are those of `CameraAdapter`, and fixed once loaded.
    """

    checkpoint: str = "kdbts"
    device: str = "auto"
    precision: str = "auto"
    range_m: float = 20.0
    resolution: float = 0.2
    height_min: float = 0.3
    height_max: float = 2.0
    height_step: float = 0.25
    occupied_threshold: float = 0.0
    completed_cells: CompletedCells = "discount"
    depth_stride: int = 1
    head: str | None = None
    convolutions: str = "auto"
    canonical_camera: CanonicalMode = "auto"
    scale_height: bool = True
    ground_anchor: AnchorMode = "auto"
    follow_ground: AnchorMode = "off"
    map_head: AnchorMode = "auto"
    mode: Mode = "auto"
    views: BufferRules = field(default_factory=BufferRules)
    consistency: ConsistencyRules = field(default_factory=lambda: ConsistencyRules(least_share=0))
    accumulate: bool = False
    accumulation: AccumulationSettings = field(default_factory=AccumulationSettings)
    marks: MarkRules = field(default_factory=MarkRules)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UserError(f"mode must be one of {', '.join(MODES)}, got '{self.mode}'")
        for name in ("ground_anchor", "follow_ground", "map_head"):
            if (mode := getattr(self, name)) not in ("auto", "off"):
                raise UserError(f"{name} must be auto or off, got '{mode}'")
        if not 0 <= self.occupied_threshold < 1:
            raise UserError(
                f"occupied_threshold must be 0 or more and below 1, got {self.occupied_threshold:g}"
            )
        if self.completed_cells not in ("keep", "discount", "unknown"):
            raise UserError(
                f"completed_cells must be keep, discount or unknown, got '{self.completed_cells}'"
            )
        if not 0 < self.resolution <= self.range_m:
            raise UserError("resolution must be positive and no larger than range_m")

    @property
    def ground_use(self) -> GroundUse:
        return GroundUse(self.ground_anchor == "auto", self.follow_ground == "auto")

    @property
    def band(self) -> HeightBand:
        return HeightBand(self.height_min, self.height_max, self.height_step)


@dataclass(frozen=True)
class Wanted:
    """What to compute of a frame besides its trinary map.

    queries: a snapshot to ask, where that costs anything.
    """

    depth: bool = True
    percent: bool = True
    preview: bool = False
    queries: bool = False


MAP_AND_DEPTH = Wanted()


@dataclass(frozen=True)
class FrameStamp:
    """Where a view belongs: the name of its camera and the stamp of its image.

    `pose_faults` counts the frames that were lost so far because poses failed.
    """

    camera: str = ""
    stamp_ns: int = 0
    pose_faults: int = 0
