"""What the node says about itself, its poses, its camera and its clock."""

from __future__ import annotations

from dataclasses import replace

from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.counters import Counters
from kdbts_ros.node.reporting.drops import Dropped
from kdbts_ros.node.reporting.health import assess
from kdbts_ros.node.reporting.status import ERROR, OK, WARN, Status
from test.node.reporting.surroundings import (
    AROUND,
    SHARED,
    SILENCE,
    healthy,
    status,
    two_cameras,
)


def test_all_is_well() -> None:
    assert {s.level for s in assess(healthy(), AROUND, 100.0, SILENCE)} == {OK}
    assert status("inference", healthy()).values["total ms, median and p95"] == "50.0, 50.0"


def test_an_inactive_node_says_its_state_or_its_fault() -> None:
    idle = replace(AROUND, active=False, state="inactive")
    assert [s.name for s in assess(healthy(), idle, 0, SILENCE)] == ["lifecycle", "name"]
    assert status("lifecycle", healthy(), idle) == Status("lifecycle", OK, "node is inactive")
    failed = replace(idle, fault="configure failed: no such checkpoint")
    assert status("lifecycle", healthy(), failed).level == ERROR


def test_a_camera_without_poses_is_named_though_another_has_them() -> None:
    counters = healthy(camera="left")
    counters.drop(Dropped(drops.NO_TF, "frame 'rear' is unknown"), 100.0, "rear")
    told = status("pose", counters, two_cameras())
    assert told.level == ERROR
    assert told.message == "rear: no_tf: frame 'rear' is unknown"


def test_a_refused_transform_is_told_while_it_is_recent() -> None:
    counters = healthy()
    counters.transform_fault, counters.transform_fault_at = "odom -> base has no unit length", 99.0
    assert status("pose", counters).message == "odom -> base has no unit length"
    assert status("pose", counters, now=110.0).level == OK


def test_a_missing_pose_is_a_warning_that_becomes_an_error() -> None:
    counters = healthy(now=98.0)
    counters.drop(Dropped(drops.NO_TF, "frame 'odom' is unknown"), 100.0)
    assert status("pose", counters).level == WARN
    counters.drop(Dropped(drops.NO_TF, "frame 'odom' is unknown"), 104.0)
    told = status("pose", counters, now=104.0)
    assert told.level == ERROR
    assert "frame 'odom' is unknown" in told.message


def test_two_nodes_of_one_name_are_told() -> None:
    assert status("name", healthy()).level == OK
    fresh = status("name", healthy(), replace(AROUND, namesakes=1, namesakes_for=2.0))
    assert fresh.level == WARN
    assert "unless they were killed a moment ago" in fresh.message
    lasting = status("name", healthy(), replace(AROUND, namesakes=1, namesakes_for=31.0))
    assert lasting.level == ERROR
    assert "start it with another name (--ros-args -r __node:=...)" in lasting.message


def test_a_clock_that_stands_still_is_told() -> None:
    told = status("time", Counters(since=0.0), replace(AROUND, clock_runs=False))
    assert told.level == WARN
    assert "nobody publishes /clock" in told.message
    still = replace(AROUND, clock_runs=False, clock_publishers=("/player",))
    assert "/clock stands at zero: /player" in status("time", Counters(since=0.0), still).message


def jumped(topic: str, *times: float) -> Counters:
    counters = healthy()
    for at in times:
        counters.jumps.add(topic, at)
    return counters


def test_jumps_again_and_again_are_an_error_that_names_the_publishers() -> None:
    clocks = replace(AROUND, clock_publishers=("/gazebo", "/player"))
    told = status("time", jumped("/clock", 97.0, 98.0, 99.0), clocks)
    assert told.level == ERROR
    assert "/clock, published by /gazebo and /player" in told.message
    images = status("time", jumped("/camera/image", 97.0, 98.0, 99.0), SHARED)
    assert images.level == ERROR
    assert "/camera/image, published by /driver and /simulator" in images.message


def test_single_jumps_and_jumps_of_long_ago_are_none() -> None:
    assert status("time", jumped("/clock", 98.0, 99.0)).level == OK
    assert status("time", jumped("/clock", 80.0, 90.0, 99.0)).level == OK
    assert status("time", jumped("/clock", 97.0, 98.0, 99.0), now=110.0).level == OK


def test_two_clocks_are_told_before_they_disagree() -> None:
    told = status("time", healthy(), replace(AROUND, clock_publishers=("/gazebo", "/player")))
    assert told.level == WARN
    assert "/gazebo and /player: stop one" in told.message


def test_a_camera_the_network_cannot_be_served_with_is_said_once() -> None:
    counters = healthy()
    counters.judged("", "front", ("the camera sees 40% of it",))
    found = status("camera", counters)
    assert (found.level, found.lasting) == (WARN, True)
    assert found.message == "front: the camera sees 40% of it"


def test_a_camera_mounted_as_none_can_be_is_an_error() -> None:
    counters = healthy()
    counters.drop(Dropped(drops.BAD_MOUNT, "the camera is 0.000 m above the ground"), 98.0)
    found = status("camera", counters)
    assert found.level == ERROR
    assert found.message == "bad_mount: the camera is 0.000 m above the ground"
    assert status("camera", counters, now=104.0).level == OK
