"""What is asked of the pipeline about one frame. Light to import: no model behind it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wanted:
    """What to compute of a frame besides its trinary map."""

    depth: bool = True
    percent: bool = True
    preview: bool = False


MAP_AND_DEPTH = Wanted()


@dataclass(frozen=True)
class FrameStamp:
    """Where a view belongs: the name of its camera and the stamp of its image.

    `pose_faults` counts the frames that were lost so far because poses failed.
    """

    camera: str = ""
    stamp_ns: int = 0
    pose_faults: int = 0
