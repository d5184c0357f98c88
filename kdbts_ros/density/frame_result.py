"""What one frame gave, for whoever draws, keeps or publishes it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kdbts_ros.density.footprint_queries import MapSnapshot
from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.density.ground.anchor import GroundAccount
from kdbts_ros.density.maps.grid import GridWindow, OccupancyMap
from kdbts_ros.density.queries import ViewSnapshot
from kdbts_ros.density.views.policy import ViewAccount
from kdbts_ros.density.whole_frame.beside import Beside


@dataclass(frozen=True)
class FrameResult:
    """What one frame gave; optional parts only when asked for.

    trinary and percent (H,W) int8 over `window`; depth (h,w) z-depth m, NaN invalid, with its
    camera, which is the real one without distortion; preview (h,w,3) uint8 RGB; times_ms per stage;
    threshold: probability from which a column was called occupied; views: those behind the map;
    ground: what ties its distances to the ground; beside: what else can be asked about the frame
    until the next one; map_snapshot, snapshot: what the map and its views can be asked at any time.
    """

    window: GridWindow
    trinary: npt.NDArray[np.int8]
    percent: npt.NDArray[np.int8] | None
    occupancy: OccupancyMap
    depth: npt.NDArray[np.float32] | None
    depth_camera: Camera | None
    preview: npt.NDArray[np.uint8] | None
    times_ms: dict[str, float]
    threshold: float
    beside: Beside
    map_snapshot: MapSnapshot
    views: ViewAccount = field(default_factory=ViewAccount)
    ground: GroundAccount = field(default_factory=GroundAccount)
    snapshot: ViewSnapshot | None = None
