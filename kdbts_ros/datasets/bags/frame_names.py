"""The fixed frame and the base of a recorded robot, by the names of REP-105."""

from __future__ import annotations

from dataclasses import dataclass

from kdbts_ros.datasets.bags.cameras import CameraIndex
from kdbts_ros.datasets.bags.index import BagIndex
from kdbts_ros.errors import UserError

_BASES = ("base_footprint", "base_link")
_WORLDS = ("odom", "world", "map")


@dataclass(frozen=True)
class FrameNames:
    """TF frames: the fixed one poses are given in, and the robot's base."""

    world: str
    base: str


def frame_names(
    index: BagIndex, camera: CameraIndex, world: str | None, base: str | None
) -> FrameNames:
    """The fixed frame and the base among the ancestors of a camera's frame.

    Raises:
        UserError: the camera's frame is in no transform, a named frame is no ancestor of it, or
            nothing above it is fixed: every image would be taken for one of the same place.
    """
    frame = camera.frame_id
    above = index.poses.ancestors(frame)
    if len(above) < 2:
        refused = "".join(f"; {sentence}" for sentence in index.poses.refusals())
        raise UserError(
            f"{index.path} has no transform to the camera's frame '{frame}': record /tf_static as "
            f"well; it has {', '.join(index.poses.frames) or 'none'}{refused}"
        )
    refused = index.poses.refused_above(above[-1])
    for name in (world, base):
        if name is not None and name not in above:
            raise UserError(
                f"frame '{name}' is not above the camera in {index.path}: {' <- '.join(above)}"
                + (f"; {refused}" if refused else "")
            )
    moving = [name for name in above if index.poses.moves(name)]
    if world is None and refused:
        raise UserError(f"{index.path} has no pose of '{above[-1]}': {refused}")
    if world is None and not moving and not set(_WORLDS).intersection(above):
        raise UserError(
            f"{index.path} has no moving transform above '{frame}', only {' <- '.join(above)}: "
            "record /tf from the frame that its odometry or localisation calls fixed"
        )
    fixed = world or next((name for name in _WORLDS if name in above), above[-1])
    usual = next((name for name in _BASES if name in above), None)
    return FrameNames(fixed, base or usual or (moving[0] if moving else above[-1]))
