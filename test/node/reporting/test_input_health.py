"""What the node says about its images and calibrations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.counters import Counters
from kdbts_ros.node.reporting.drops import Dropped
from kdbts_ros.node.reporting.graph import COMPRESSED, Publisher
from kdbts_ros.node.reporting.health import assess
from kdbts_ros.node.reporting.status import ERROR, OK, STALE, WARN
from test.node.reporting.surroundings import (
    AROUND,
    DRIVER,
    FRONT,
    SHARED,
    SILENCE,
    healthy,
    seen,
    status,
    two_cameras,
)

WITHOUT: dict[str, Any] = {"images": ()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (WITHOUT, "nobody publishes /camera/image: start the camera, or name its topic: image_"),
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
