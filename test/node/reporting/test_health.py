"""What the node says about itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.counters import Counters
from kdbts_ros.node.reporting.drops import Dropped
from kdbts_ros.node.reporting.graph import CAMERA_INFO, COMPRESSED, IMAGE, Publisher
from kdbts_ros.node.reporting.health import Surroundings, assess, engine_status
from kdbts_ros.node.reporting.input_health import StreamSurroundings
from kdbts_ros.node.reporting.status import ERROR, OK, STALE, WARN, Status

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


def test_all_is_well() -> None:
    assert {s.level for s in assess(healthy(), AROUND, 100.0, SILENCE)} == {OK}
    assert status("inference", healthy()).values["total ms, median and p95"] == "50.0, 50.0"


def test_an_inactive_node_says_its_state_or_its_fault() -> None:
    idle = replace(AROUND, active=False, state="inactive")
    assert [s.name for s in assess(healthy(), idle, 0, SILENCE)] == ["lifecycle", "name"]
    assert status("lifecycle", healthy(), idle) == Status("lifecycle", OK, "node is inactive")
    failed = replace(idle, fault="configure failed: no such checkpoint")
    assert status("lifecycle", healthy(), failed).level == ERROR


WITHOUT: dict[str, Any] = {"images": ()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (WITHOUT, "nobody publishes /camera/image: start the camera, or remap"),
        (WITHOUT | {"other_images": ("/a", "/b")}, "published are /a, /b"),
        (
            WITHOUT | {"other_images": tuple(f"/{i}" for i in range(9))},
            "/0, /1, /2, /3 and 5 more",
        ),
        (
            WITHOUT | {"other_images": ("/camera/image/compressed",)},
            "set image_transport:=compressed",
        ),
        (
            WITHOUT | {"image_topic": "/cam/raw/compressed", "other_images": ("/cam/raw",)},
            "set image_transport:=raw and remap image to /cam/raw",
        ),
        ({}, "a publisher, /driver, but no image came for 5 s"),
        ({}, "fastdds_large_messages.xml"),
        ({"reliability": "reliable"}, "the camera is silent"),
        (
            {"reliability": "reliable", "images": (replace(DRIVER, reliable=False),)},
            "set image_reliability:=best_effort",
        ),
        (
            {"images": (Publisher("/lidar", "sensor_msgs/msg/PointCloud2"),)},
            "published as sensor_msgs/msg/PointCloud2 by /lidar, not as images",
        ),
        (
            {
                "image_topic": "/cam/raw/theora",
                "images": (Publisher("/driver", "theora_image_transport/msg/Packet"),),
            },
            "`ros2 run image_transport republish` from theora to raw, and remap image to its "
            "output, or to /cam/raw",
        ),
        ({"kind": COMPRESSED}, "published as sensor_msgs/msg/Image by /driver"),
    ],
)
def test_silence_names_its_cause_and_cure(changes: dict[str, Any], words: str) -> None:
    counters, around = Counters(since=0.0), seen(**changes)
    assert status("input", counters, around, now=SILENCE - 1).level == OK
    told = status("input", counters, around, now=SILENCE + 1)
    assert told.level == ERROR, "an idle node is blind"
    assert words in told.message


def test_a_refused_subscription_is_told() -> None:
    told = status("input", healthy(), seen(fault="cannot listen to /camera/image: no memory"))
    assert (told.level, told.message) == (ERROR, "cannot listen to /camera/image: no memory")


def test_a_publisher_of_another_qos_is_told() -> None:
    counters = Counters(since=0.0)
    counters.stream("").incompatible_qos = "RELIABILITY"
    told = status("input", counters, now=SILENCE + 1)
    assert "/driver, offers another QoS than asked (RELIABILITY)" in told.message


def test_a_publisher_that_just_appeared_is_given_time() -> None:
    counters = Counters(since=0.0)
    appeared = replace(AROUND, streams=(replace(FRONT, published_since=98.0),))
    assert status("input", counters, appeared, 100.0).level == OK
    assert status("input", counters, appeared, 104.0).level == ERROR


def two_cameras() -> Surroundings:
    streams = (
        replace(FRONT, camera="left", image_topic="/left"),
        replace(FRONT, camera="rear", image_topic="/rear"),
    )
    return replace(AROUND, streams=streams)


def test_each_camera_has_its_own_line() -> None:
    counters = healthy()
    counters.image(100.0, "left")
    told = [s for s in assess(counters, two_cameras(), 100.0, SILENCE) if "input" in s.name]
    assert [s.name for s in told] == ["input left", "input rear"]
    assert "no camera_info" in told[0].message
    assert told[1].level == ERROR and "/rear has a publisher" in told[1].message


@pytest.mark.parametrize(
    "reason",
    sorted(
        value for name, value in vars(drops).items() if name.isupper() and isinstance(value, str)
    ),
)
def test_no_line_of_a_camera_shows_another_s_faults(reason: str) -> None:
    """Whatever befalls the rear camera, the left one is as it was."""
    counters = healthy(camera="left")
    counters.image(100.0, "rear")
    counters.stream("rear").calibration_at = 100.0
    before = status("input left", counters, two_cameras())
    counters.image(100.0, "rear")
    counters.drop(Dropped(reason, "such and such"), 100.0, "rear")
    counters.judged("rear", "rear_optical", ("it stands on its head",))
    assert status("input left", counters, two_cameras()) == before
    assert before.values["frames in"] == "1"
    rear = status("input rear", counters, two_cameras())
    assert rear.values["frames in"] == "2"
    assert rear.values[f"dropped, {reason}"] == "1"
    assert status("camera", counters, two_cameras()).message.startswith("rear: ")


def test_a_camera_without_poses_is_named_though_another_has_them() -> None:
    counters = healthy(camera="left")
    counters.drop(Dropped(drops.NO_TF, "frame 'rear' is unknown"), 100.0, "rear")
    told = status("pose", counters, two_cameras())
    assert told.level == ERROR
    assert told.message == "rear: no_tf: frame 'rear' is unknown"


def test_a_camera_that_fails_is_named_though_another_gives_maps() -> None:
    counters = healthy(camera="left")
    for _ in range(3):
        counters.drop(Dropped(drops.INFERENCE_ERROR, "out of memory"), 100.0, "rear")
        counters.judged("left", "left", ())
        counters.map(100.0, {})
    told = status("inference", counters, two_cameras())
    assert told.level == ERROR
    assert told.message == "rear: 3 image(s) in a row failed: out of memory"


def test_a_refused_transform_is_told_while_it_is_recent() -> None:
    counters = healthy()
    counters.transform_fault, counters.transform_fault_at = "odom -> base has no unit length", 99.0
    assert status("pose", counters).message == "odom -> base has no unit length"
    assert status("pose", counters, now=110.0).level == OK


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "/driver publishes it but has sent none since the node listens"),
        ({}, "latch the one it sent (durability transient_local)"),
        ({"infos": ()}, "which nobody publishes: remap camera_info"),
        ({"infos": ()}, "no camera_info is published"),
        ({"infos": (), "other_infos": ("/camera_info",)}, "published are /camera_info"),
        (
            {"infos": (Publisher("/driver", "std_msgs/msg/String"),)},
            "/driver publishes std_msgs/msg/String there",
        ),
    ],
)
def test_a_missing_camera_info_names_its_cause_and_cure(
    changes: dict[str, Any], words: str
) -> None:
    counters = healthy()
    counters.stream("").calibration_at = None
    told = status("input", counters, seen(**changes))
    assert told.level == ERROR
    assert told.message.startswith("images arrive but no camera_info on /camera/camera_info")
    assert words in told.message


def test_a_bad_calibration_is_told() -> None:
    counters = healthy()
    counters.stream("").calibration_fault = "camera_info K is all zeros"
    told = status("input", counters)
    assert (told.level, told.message) == (ERROR, "camera_info K is all zeros")


@pytest.mark.parametrize("reason", [drops.BAD_IMAGE, drops.ZERO_STAMP, drops.DUPLICATE])
def test_a_bad_image_is_told_while_it_is_recent(reason: str) -> None:
    counters = healthy()
    counters.drop(Dropped(reason, "such and such"), 99.0)
    assert status("input", counters).message == f"{reason}: such and such"
    later = healthy(now=110.0)
    later.drop(Dropped(reason, "such and such"), 99.0)
    assert status("input", later, now=110.0).level == OK


def test_losses_are_an_error_once_nothing_else_comes() -> None:
    counters = healthy(now=98.0)
    counters.drop(Dropped(drops.ZERO_STAMP, "image has no stamp"), 100.0)
    assert status("input", counters, now=100.0).level == WARN
    counters.image(104.0)
    counters.drop(Dropped(drops.ZERO_STAMP, "image has no stamp"), 104.0)
    assert status("input", counters, now=104.0).level == ERROR


SHARED = seen(images=(DRIVER, Publisher("/simulator", IMAGE)))


def test_two_cameras_on_one_topic_are_an_error_that_names_them() -> None:
    counters = healthy()
    counters.drop(Dropped(drops.OTHER_CAMERA, "image of frame 'b'"), 100.0)
    told = status("input", counters, SHARED)
    assert told.level == ERROR
    assert told.message == (
        "other_camera: image of frame 'b'; publishers of /camera/image: /driver, /simulator"
    )
    assert status("input", counters).level == ERROR, "one publisher may send for two cameras"


@pytest.mark.parametrize("reason", [drops.DUPLICATE, drops.OUT_OF_ORDER])
def test_disorder_names_the_publishers_where_there_are_two(reason: str) -> None:
    counters = healthy()
    counters.drop(Dropped(reason, "such and such"), 100.0)
    assert status("input", counters).level == WARN
    told = status("input", counters, SHARED)
    assert told.level == ERROR
    assert told.message.endswith("publishers of /camera/image: /driver, /simulator")


def test_two_publishers_are_told_where_images_do_not_tell_them_apart() -> None:
    assert status("input", healthy(), SHARED).level == OK
    blind = replace(SHARED, streams=(replace(SHARED.streams[0], tells_publishers=False),))
    told = status("input", healthy(), blind)
    assert told.level == WARN
    assert "several publishers, /driver, /simulator" in told.message


def test_a_missing_pose_is_a_warning_that_becomes_an_error() -> None:
    counters = healthy(now=98.0)
    counters.drop(Dropped(drops.NO_TF, "frame 'odom' is unknown"), 100.0)
    assert status("pose", counters).level == WARN
    counters.drop(Dropped(drops.NO_TF, "frame 'odom' is unknown"), 104.0)
    told = status("pose", counters, now=104.0)
    assert told.level == ERROR
    assert "frame 'odom' is unknown" in told.message


def test_the_newest_reason_is_named() -> None:
    counters = healthy()
    for at, reason in (
        (98.0, drops.FUTURE_STAMP),
        (97.0, drops.BAD_IMAGE),
        (99.0, drops.DUPLICATE),
    ):
        counters.drop(Dropped(reason, f"of {at:g}"), at)
    assert status("input", counters).message == "duplicate: of 99"
    counters.drop(Dropped(drops.BAD_IMAGE, "of now"), 100.0)
    assert status("input", counters).message == "bad_image: of now"


def test_images_that_only_inference_finds_to_be_none_are_blindness() -> None:
    """A compressed image is decoded there; on arrival each of them looks like a good one."""
    counters = healthy(now=94.0)
    for second in range(94, 101):
        counters.image(float(second))
        counters.stream("").good_at = float(second)
        counters.refused(Dropped(drops.BAD_IMAGE, "no JPEG"), float(second))
        expected = ERROR if second - 94 > SILENCE else WARN
        assert status("input", counters, now=float(second)).level == expected
    counters.judged("", "camera", ())
    counters.drop(Dropped(drops.BAD_IMAGE, "no JPEG"), 100.0)
    assert status("input", counters).level == WARN, "others come through"


def test_a_camera_that_stops_is_stale() -> None:
    counters, later = healthy(), 100.0 + SILENCE + 0.1
    stopped = status("input", counters, now=later)
    assert stopped.level == STALE
    assert stopped.message.endswith("no image came for 5 s: the camera has stopped")
    gone = status("input", counters, seen(images=()), now=later)
    assert gone.level == STALE
    assert gone.message.startswith("nobody publishes /camera/image any more: start the camera")
    maps = status("inference", counters, now=later)
    assert (maps.level, maps.said) == (STALE, True)
    assert maps.message == "no map for 5.1 s"


def busy(counters: Counters, first: float, now: float) -> None:
    """Posed images every tenth of a second, each replacing the one that inference never began."""
    at = first
    counters.debts.asked(at, for_a_map=True, instead=False)
    while at <= now:
        counters.image(at)
        counters.posed(at)
        counters.debts.asked(at, for_a_map=True, instead=True)
        counters.drop(Dropped(drops.SUPERSEDED, "a newer image came"), at)
        at += 0.1


def test_an_inference_that_hangs_is_reported_however_many_images_come() -> None:
    counters = healthy(now=99.0)
    busy(counters, 100.0, 100.0 + SILENCE)
    assert status("inference", counters, now=99.0 + SILENCE).level == OK
    busy(counters, 105.0, 120.0)
    told = status("inference", counters, now=120.0)
    assert told.level == ERROR
    assert told.message.startswith("an inference has not ended for 20.0 s: given up after")
    assert "inference_timeout, 60 s" in told.message


def test_a_first_inference_that_hangs_is_reported() -> None:
    counters = Counters(since=0.0)
    busy(counters, 100.0, 110.0)
    assert status("inference", counters, now=104.0).level == STALE, "active for long, no map yet"
    assert status("inference", counters, now=106.0).level == ERROR


def test_images_that_never_become_a_map_are_reported_with_the_newest_reason() -> None:
    counters = healthy(now=90.0)
    for second in range(91, 101):
        now = float(second)
        counters.image(now)
        counters.posed(now)
        counters.debts.asked(now, for_a_map=True, instead=False)
        counters.debts.answered(now, with_a_map=False)
        counters.refused(Dropped(drops.BAD_MOUNT, f"tilted {second}"), now)
        counters.drop(Dropped(drops.SUPERSEDED, "a newer image came"), now)
    told = status("inference", counters)
    assert told.level == ERROR
    assert told.message == "no map for 10.0 s; the newest reason is bad_mount: tilted 100"


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


def test_inference_errors_are_told_until_a_map_comes() -> None:
    counters = healthy()
    for _ in range(3):
        counters.drop(Dropped(drops.INFERENCE_ERROR, "RuntimeError: out of memory"), 100.0)
    told = status("inference", counters)
    assert told.level == ERROR
    assert "out of memory" in told.message
    counters.judged("", "camera", ())
    assert status("inference", counters).level == OK


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


def test_an_engine_that_slowed_down_is_told() -> None:
    fast = {"head": "bts", "engine": "fast"}
    assert engine_status(fast, fast).level == OK
    slow = engine_status(fast, fast | {"engine": "the GPU's maps were refused"})
    assert slow.level == WARN
    assert slow.message == "slower since it was loaded: the GPU's maps were refused"
    # A machine that never was fast has been told so when the model was loaded.
    assert engine_status({"engine": "no kernels"}, {"engine": "no kernels"}).level == OK
    # Loaded a moment ago, and not yet the node's: nothing has slowed down.
    assert engine_status({}, fast).level == OK
