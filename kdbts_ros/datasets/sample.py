"""What every dataset yields: the images of one instant with their poses."""

from __future__ import annotations

from dataclasses import dataclass

from kdbts_ros.density.geometry.camera import Array, View


@dataclass(frozen=True, eq=False)
class PosedFrame:
    """The views of one instant.

    Attributes:
        stamp_ns: time of the images, ns.
        views: by camera name; their world is the fixed frame `odom`.
        T_world_base: (4,4) robot base (REP-103, on the ground) to world.
    """

    stamp_ns: int
    views: dict[str, View]
    T_world_base: Array
