"""What the doctor makes of what it heard: the first thing that keeps a map from coming is first."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make venv`, or source a ROS setup")

from kdbts_ros.datasets.ros.transform_tree import TransformTree
from kdbts_ros.doctor.diagnosis import diagnose
from kdbts_ros.doctor.finding import Finding, as_json, changes, verdict
from kdbts_ros.doctor.observation import Asked, Heard, Observation
from kdbts_ros.node.reporting.graph import Publisher
from kdbts_ros.node.reporting.status import ERROR, WARN
from test.ros.robot import info

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
DRIVER = Publisher("/driver", "sensor_msgs/msg/Image")
INFO_DRIVER = Publisher("/driver", "sensor_msgs/msg/CameraInfo")


def tree(mounted: bool = True) -> TransformTree:
    found = TransformTree(cache_seconds=None)
    upright = (0.0, 0.0, 0.0, 1.0)
    for k in range(-2, 3):
        place = (0.1 * k, 0.0, 0.0)
        found.insert("odom", "base_link", NOW + k * SECOND // 2, place, upright, static=False)
    if mounted:
        found.insert("base_link", "camera", 0, (0.0, 0.0, 1.0), upright, static=True)
    return found


def healthy(**changes: Any) -> Observation:
    stamps = tuple(NOW + k * SECOND // 10 for k in range(-8, 1))
    seen = Observation(
        Asked(),
        seconds=5.0,
        nodes=("/driver", "/kdbts"),
        state="active",
        parameters={"fixed_frame": "odom", "base_frame": "base_link", "use_sim_time": False},
        images=Heard("/image", publishers=(DRIVER,), count=50, stamps_ns=stamps, frame_id="camera"),
        infos=Heard("/camera_info", publishers=(INFO_DRIVER,), count=50, stamps_ns=stamps),
        info=info(NOW),
        tree=tree(),
        moving=5,
        static=1,
        now_ns=NOW,
        maps=Heard("/kdbts/occupancy", count=20, stamps_ns=stamps),
    )
    return replace(seen, **changes)


def bad(seen: Observation) -> dict[str, str]:
    return {found.step: found.sentence for found in diagnose(seen) if found.level == "bad"}


def test_a_healthy_robot_has_nothing_against_a_map() -> None:
    findings = diagnose(healthy())
    assert [found.step for found in findings] == [
        *("node", "camera", "camera_info", "clock", "poses", "maps")
    ]
    assert {found.level for found in findings} == {"good"}
    assert verdict(findings) == "nothing was found that keeps a map from coming"
    assert as_json(findings)["map_can_come"] is True
    assert "10.0 images a second" in findings[1].sentence


SILENT = Heard("/image", publishers=(DRIVER,))
LATE = tuple(NOW + (30 + k) * SECOND for k in range(3))
UNRELIABLE = replace(DRIVER, reliable=False)
CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "no node": ({"state": None, "nodes": ()}, "node", "does not run"),
    "another namespace": (
        {"state": None, "nodes": ("/robot1/kdbts",)},
        "node",
        "kdbts doctor --node /robot1/kdbts",
    ),
    "one that came while others were listened to": (
        {"state": None, "nodes": ("/kdbts",)},
        "node",
        "/kdbts starts, or has just ended: run kdbts doctor again",
    ),
    "not configured": ({"state": "unconfigured"}, "node", "ros2 lifecycle set /kdbts configure"),
    "not active": ({"state": "inactive"}, "node", "ros2 lifecycle set /kdbts activate"),
    "hanging": ({"state": ""}, "node", "does not answer"),
    "its own words": (
        {"complaints": {"inference": (ERROR, "out of memory")}},
        "node, inference",
        "out of memory",
    ),
    "no camera": (
        {"images": Heard("/image"), "other_images": ("/front/image",)},
        "camera",
        "nobody publishes /image: .*published are /front/image",
    ),
    "a silent camera": ({"images": SILENT}, "camera", "but no image came for"),
    "another type": (
        {"images": replace(SILENT, publishers=(replace(DRIVER, kind="std_msgs/msg/Int8"),))},
        "camera",
        "is published as std_msgs/msg/Int8",
    ),
    "another QoS": (
        {
            "images": replace(SILENT, publishers=(UNRELIABLE,)),
            "parameters": {"image_reliability": "reliable"},
        },
        "camera",
        "offers another QoS than asked .*image_reliability:=best_effort",
    ),
    "no camera_info": (
        {"infos": Heard("/camera_info"), "info": None},
        "camera",
        "no camera_info on /camera_info, which nobody publishes",
    ),
    "an empty camera_info": (
        {"info": info(NOW, k=[0.0] * 9, p=[0.0] * 12)},
        "camera_info",
        "camera_info K is all zeros: calibrate",
    ),
    "no clock": (
        {"parameters": {"use_sim_time": True}},
        "clock",
        "nobody publishes /clock: play the recording with --clock",
    ),
    "two clocks": ({"clocks": ("/a", "/b")}, "clock", "published by /a and /b"),
    "an unheard clock": ({"clocks": ("/player",)}, "clock", "use_sim_time:=true"),
    "a clock that stands": (
        {"clocks": ("/player",), "parameters": {"use_sim_time": True}},
        "clock",
        "/player publishes /clock, but nothing came on it in 5 s",
    ),
    "a camera of tomorrow": (
        {"images": Heard("/image", publishers=(DRIVER,), count=3, stamps_ns=LATE)},
        "clock",
        "stamped 32.0 s in the future",
    ),
    "no stamp": (
        {"images": Heard("/image", publishers=(DRIVER,), count=3, stamps_ns=(0,))},
        "clock",
        "images have no stamp",
    ),
    "no mount": (
        {"tree": tree(mounted=False)},
        "poses",
        "no_tf: frame 'camera' .*received are base_link, odom; send it, or set .*camera_frame",
    ),
    "no transforms": ({"tree": TransformTree()}, "poses", "no_tf: .*none was received"),
    "poses that end": (
        {
            "images": Heard(
                "/image", publishers=(DRIVER,), count=3, stamps_ns=LATE, frame_id="camera"
            )
        },
        "poses",
        "extrapolation: ",
    ),
    "no maps": ({"maps": Heard("/kdbts/occupancy")}, "maps", "none came on /kdbts/occupancy"),
    "an old map": (
        {"maps": Heard("/kdbts/occupancy", count=1, stamps_ns=(NOW - 900 * SECOND,))},
        "maps",
        "is an old one",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_named_with_its_cure(case: str) -> None:
    changed, step, sentence = CASES[case]
    seen = healthy(**changed)
    found = bad(seen)
    assert step in found, found
    assert re.search(sentence, found[step]), found[step]
    assert all("\n" not in words for words in found.values())


def test_the_first_of_several_troubles_is_the_verdict() -> None:
    seen = healthy(state="inactive", images=Heard("/image"), maps=Heard("/kdbts/occupancy"))
    findings = diagnose(seen)
    assert verdict(findings).startswith("what keeps a map from coming, node: /kdbts is inactive")
    assert "(then 2 more, above)" in verdict(findings)
    told = as_json(findings)
    assert told["map_can_come"] is False and len(told["findings"]) == len(findings)


def test_a_warning_of_the_node_is_a_note() -> None:
    seen = healthy(complaints={"camera": (WARN, "the camera is 0.3 m high")})
    notes = [found for found in diagnose(seen) if found.level == "note"]
    assert notes == [Finding("node, camera", "note", "the camera is 0.3 m high")]
    assert verdict(diagnose(seen)).startswith("nothing was found")


def test_the_one_latched_map_of_an_image_that_was_heard_is_a_map() -> None:
    seen = healthy(maps=Heard("/kdbts/occupancy", count=1, stamps_ns=(NOW,)))
    assert bad(seen) == {}


@pytest.mark.parametrize(
    ("clock_ns", "level", "words"),
    [
        (NOW, "good", "images and /clock agree"),
        (NOW - 900 * SECOND, "note", r"\+900.0 s from /clock"),
    ],
)
def test_images_of_a_recording_are_compared_with_its_clock(
    clock_ns: int, level: str, words: str
) -> None:
    # By the computer's own clock the recording is years old, and that is no trouble.
    recorded = {"use_sim_time": True}
    seen = healthy(clocks=("/player",), parameters=recorded, clock_ns=clock_ns, now_ns=2 * NOW)
    (clock,) = [finding for finding in diagnose(seen) if finding.step == "clock"]
    assert clock.level == level and re.search(words, clock.sentence), clock


def test_who_watches_hears_what_changed() -> None:
    before, now = diagnose(healthy()), diagnose(healthy(state="inactive"))
    assert [found.step for found in changes(before, now)] == ["node"]
    assert changes(before, diagnose(healthy())) == []
    assert [found.level for found in changes(now, before)] == ["good"]
