"""What the node says about itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kdbts_ros.node import drops
from kdbts_ros.node.drops import Dropped
from kdbts_ros.node.health import (
    ERROR,
    OK,
    WARN,
    Status,
    StreamSurroundings,
    Surroundings,
    assess,
    engine_status,
)
from kdbts_ros.node.tally import Tally

SILENCE = 5.0
FRONT = StreamSurroundings("", "/image", "/camera_info", image_publishers=1)
AROUND = Surroundings(
    active=True,
    state="active",
    fault="",
    streams=(FRONT,),
    image_reliability="best_effort",
    clock_runs=True,
    model={"head": "bts"},
)


def healthy(now: float = 100.0) -> Tally:
    tally = Tally(since=0.0)
    tally.image(now)
    tally.stream("").calibration_at = tally.pose_at = now
    tally.map(now, {"total": 50.0})
    return tally


def status(name: str, tally: Tally, around: Surroundings = AROUND, now: float = 100.0) -> Status:
    return next(s for s in assess(tally, around, now, SILENCE) if s.name == name)


def test_all_is_well() -> None:
    assert {s.level for s in assess(healthy(), AROUND, 100.0, SILENCE)} == {OK}
    assert status("inference", healthy()).values["total ms, median and p95"] == "50.0, 50.0"


def test_an_inactive_node_says_its_state_or_its_fault() -> None:
    idle = replace(AROUND, active=False, state="inactive")
    assert assess(healthy(), idle, 0, SILENCE) == [Status("lifecycle", OK, "node is inactive")]
    failed = replace(idle, fault="configure failed: no such checkpoint")
    assert status("lifecycle", healthy(), failed).level == ERROR


@pytest.mark.parametrize(
    ("publishers", "reliability", "qos", "level", "words"),
    [
        (0, "best_effort", "", WARN, "nobody publishes /image"),
        (1, "best_effort", "", ERROR, "fastdds_large_messages.xml"),
        (1, "reliable", "", ERROR, "camera is silent"),
        (1, "reliable", "RELIABILITY", ERROR, "image_reliability:=best_effort"),
    ],
)
def test_silence_names_its_cure(
    publishers: int, reliability: str, qos: str, level: int, words: str
) -> None:
    tally = Tally(since=0.0)
    tally.stream("").incompatible_qos = qos
    streams = (replace(FRONT, image_publishers=publishers),)
    around = replace(AROUND, streams=streams, image_reliability=reliability)
    assert status("input", tally, around, now=SILENCE - 1).level == OK
    told = status("input", tally, around, now=SILENCE + 1)
    assert told.level == level
    assert words in told.message


def test_a_publisher_that_just_appeared_is_given_time() -> None:
    tally = Tally(since=0.0)
    appeared = replace(AROUND, streams=(replace(FRONT, published_since=98.0),))
    assert assess(tally, appeared, 100.0, silence=5.0)[1].level == OK
    assert assess(tally, appeared, 104.0, silence=5.0)[1].level == ERROR


def test_each_camera_has_its_own_line() -> None:
    tally = healthy()
    tally.image(100.0, "left")
    streams = tuple(
        replace(FRONT, camera=name, image_topic=f"/{name}") for name in ("left", "rear")
    )
    told = assess(tally, replace(AROUND, streams=streams), 100.0, SILENCE)
    assert [s.name for s in told[1:3]] == ["input left", "input rear"]
    assert "no camera_info" in told[1].message
    assert told[2].level == ERROR and "/rear has a publisher" in told[2].message


def test_a_refused_transform_is_told_while_it_is_recent() -> None:
    tally = healthy()
    tally.transform_fault, tally.transform_fault_at = "odom -> base has no unit length", 99.0
    assert status("pose", tally).message == "odom -> base has no unit length"
    assert status("pose", tally, now=110.0).level == OK


def test_missing_and_bad_calibration() -> None:
    tally = healthy()
    tally.stream("").calibration_at = None
    assert "no camera_info on /camera_info" in status("input", tally).message
    tally = healthy()
    tally.stream("").calibration_fault = "camera_info K is all zeros"
    assert status("input", tally).level == ERROR
    assert "K is all zeros" in status("input", tally).message


@pytest.mark.parametrize("reason", [drops.BAD_IMAGE, drops.ZERO_STAMP, drops.DUPLICATE])
def test_a_bad_image_is_told_while_it_is_recent(reason: str) -> None:
    tally = healthy()
    tally.drop(Dropped(reason, "such and such"), 99.0)
    assert status("input", tally).message == f"{reason}: such and such"
    later = healthy(now=110.0)
    later.drop(Dropped(reason, "such and such"), 99.0)
    assert status("input", later, now=110.0).level == OK


def test_a_missing_pose_is_a_warning_that_becomes_an_error() -> None:
    tally = healthy(now=98.0)
    tally.drop(Dropped(drops.NO_TF, "frame 'odom' is unknown"), 100.0)
    assert status("pose", tally).level == WARN
    tally.drop(Dropped(drops.NO_TF, "frame 'odom' is unknown"), 104.0)
    told = status("pose", tally, now=104.0)
    assert told.level == ERROR
    assert "frame 'odom' is unknown" in told.message


def test_a_clock_that_stands_still_is_told() -> None:
    told = status("pose", Tally(since=0.0), replace(AROUND, clock_runs=False))
    assert "/clock" in told.message


def test_inference_errors_are_told_until_a_map_comes() -> None:
    tally = healthy()
    for _ in range(3):
        tally.drop(Dropped(drops.INFERENCE_ERROR, "RuntimeError: out of memory"), 100.0)
    told = status("inference", tally)
    assert told.level == ERROR
    assert "out of memory" in told.message
    tally.map(100.0, {})
    assert status("inference", tally).level == OK


def test_a_camera_the_network_cannot_be_served_with_is_said_once() -> None:
    tally = healthy()
    tally.concerns["front"] = ("the camera sees 40% of it",)
    found = status("camera", tally)
    assert (found.level, found.lasting) == (WARN, True)
    assert found.message == "front: the camera sees 40% of it"


def test_a_camera_mounted_as_none_can_be_is_an_error() -> None:
    tally = healthy()
    tally.drop(Dropped(drops.BAD_MOUNT, "the camera is 0.000 m above the ground"), 98.0)
    found = status("camera", tally)
    assert found.level == ERROR
    assert found.message == "bad_mount: the camera is 0.000 m above the ground"
    assert status("camera", tally, now=104.0).level == OK


def test_an_engine_that_slowed_down_is_told() -> None:
    fast = {"head": "bts", "engine": "fast"}
    assert engine_status(fast, fast).level == OK
    slow = engine_status(fast, fast | {"engine": "the GPU's maps were refused"})
    assert slow.level == WARN
    assert slow.message == "slower since it was loaded: the GPU's maps were refused"
    # A machine that never was fast has been told so when the model was loaded.
    assert engine_status({"engine": "no kernels"}, {"engine": "no kernels"}).level == OK
