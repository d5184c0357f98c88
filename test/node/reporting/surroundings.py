"""A node that is well, what is around it, and what it says of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kdbts_ros.node.reporting.counters import Counters
from kdbts_ros.node.reporting.graph import CAMERA_INFO, IMAGE, Publisher
from kdbts_ros.node.reporting.health import Surroundings, assess
from kdbts_ros.node.reporting.input_health import StreamSurroundings
from kdbts_ros.node.reporting.status import Status

SILENCE = 5.0
DRIVER = Publisher("/driver", IMAGE)
FRONT = StreamSurroundings(
    "",
    "/camera/image",
    "/camera/camera_info",
    images=(DRIVER,),
    infos=(Publisher("/driver", CAMERA_INFO),),
)
AROUND = Surroundings(
    active=True,
    state="active",
    fault="",
    streams=(FRONT,),
    clock_runs=True,
    model={"head": "bts"},
)


def seen(**changes: Any) -> Surroundings:
    """The surroundings with other things to be seen of the camera."""
    return replace(AROUND, streams=(replace(FRONT, **changes),))


# Two nodes send the images of one camera.
SHARED = seen(images=(DRIVER, Publisher("/simulator", IMAGE)))


def healthy(now: float = 100.0, camera: str = "") -> Counters:
    counters = Counters(since=0.0)
    counters.image(now, camera)
    account = counters.stream(camera)
    account.calibration_at = account.good_at = now
    counters.posed(now, camera)
    counters.map(now, {"total": 50.0})
    return counters


def status(
    name: str, counters: Counters, around: Surroundings = AROUND, now: float = 100.0
) -> Status:
    return next(s for s in assess(counters, around, now, SILENCE) if s.name == name)


def two_cameras() -> Surroundings:
    streams = (
        replace(FRONT, camera="left", image_topic="/left"),
        replace(FRONT, camera="rear", image_topic="/rear"),
    )
    return replace(AROUND, streams=streams)
