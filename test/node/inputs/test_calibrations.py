"""Joining images and CameraInfo: no image has another image's calibration."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdbts_ros.density.cameras.lenses import Lens, Pinhole
from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.node.inputs.calibrations import KEPT, UNTOLD_PATIENCE, Calibrations, Reading
from kdbts_ros.node.inputs.camera_messages import Calibration
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped

SECOND = 1_000_000_000
PERIOD = SECOND // 10
START = 100 * SECOND
PATIENCE = 0.3


def reading(stamp: int, focal: float = 100.0, frame: str = "camera", width: int = 96) -> Reading:
    lens = Lens(Camera(width, 64, focal, focal, width / 2, 32), Pinhole())
    return Reading(stamp, frame, Calibration(lens))


def focal(found: Reading) -> float:
    assert found.calibration is not None
    return found.calibration.lens.camera.fx


def expect(topic: Calibrations, stamp: int, frame: str = "camera", width: int = 96) -> None:
    topic.expect(stamp, frame, (width, 64))


def missing(topic: Calibrations, stamp: int, waited: float = 0.0) -> str:
    with pytest.raises(Dropped) as caught:
        topic.of(stamp, waited, PATIENCE)
    assert caught.value.reason == drops.NO_CAMERA_INFO
    assert not caught.value.final
    return caught.value.detail


@pytest.mark.parametrize("info_first", [True, False])
def test_every_frame_has_its_own_calibration_in_either_order(info_first: bool) -> None:
    topic = Calibrations("/camera_info")
    for index in range(20):
        stamp = START + index * PERIOD
        if info_first:
            topic.add(reading(stamp, 100.0 + index))
        expect(topic, stamp)
        if not info_first:
            assert missing(topic, stamp)
            topic.add(reading(stamp, 100.0 + index))
        assert focal(topic.of(stamp, 0.0, PATIENCE)) == 100.0 + index


@given(st.data())
def test_no_order_of_arrival_mixes_frames(data: st.DataObject) -> None:
    """Each topic in order, but the two interleaved as they like; every image waits long enough."""
    topic, found = Calibrations("/camera_info"), {}
    stamps = [START + index * PERIOD for index in range(12)]
    images, infos, waiting = list(stamps), list(stamps), []
    while images or infos:
        info_next = bool(infos) and (not images or data.draw(st.booleans()))
        if info_next:
            stamp = infos.pop(0)
            topic.add(reading(stamp, stamp / SECOND))
        else:
            stamp = images.pop(0)
            expect(topic, stamp)
            waiting.append(stamp)
        for stamp in list(waiting):
            try:
                found[stamp] = focal(topic.of(stamp, 0.0, PATIENCE))
                waiting.remove(stamp)
            except Dropped:
                pass
    assert found == {stamp: stamp / SECOND for stamp in stamps}


def test_a_lost_camera_info_is_replaced_by_the_last_earlier_one() -> None:
    topic = Calibrations("/camera_info")
    for index in range(4):
        topic.add(reading(START + index, 100.0 + index))
        expect(topic, START + index)
    expect(topic, START + 5)
    assert "not there yet" in missing(topic, START + 5, 0.9 * PATIENCE)
    assert focal(topic.of(START + 5, PATIENCE, PATIENCE)) == 103.0
    # A later one tells at once that it will not come.
    expect(topic, START + 7)
    topic.add(reading(START + 8, 108.0))
    assert focal(topic.of(START + 7, 0.0, PATIENCE)) == 103.0


@pytest.mark.parametrize("ahead", [-PERIOD, 3600 * SECOND])
def test_one_that_was_said_once_holds_for_all(ahead: int) -> None:
    """Latched, before or after the stamps of the first images: maps come, soon without waiting."""
    topic = Calibrations("/camera_info")
    topic.add(reading(START + ahead))
    waits = []
    for index in range(10):
        stamp = START + index * PERIOD
        expect(topic, stamp)
        try:
            topic.of(stamp, 0.0, PATIENCE)
            waits.append(False)
        except Dropped:
            assert focal(topic.of(stamp, UNTOLD_PATIENCE, PATIENCE)) == 100.0
            waits.append(True)
    assert waits == 3 * [True] + 7 * [False]


def test_without_stamps_the_newest_at_arrival_of_the_image_holds() -> None:
    topic = Calibrations("/camera_info")
    expect(topic, START)
    assert "no camera_info on /camera_info" in missing(topic, START, PATIENCE)
    topic.add(reading(0, 100.0))
    assert focal(topic.of(START, 0.0, PATIENCE)) == 100.0, "better the first than none"
    expect(topic, START + 1)
    topic.add(reading(0, 101.0))
    expect(topic, START + 2)
    assert focal(topic.of(START + 1, 0.0, PATIENCE)) == 100.0
    assert focal(topic.of(START + 2, 0.0, PATIENCE)) == 101.0


def test_a_driver_that_began_without_stamps_is_followed() -> None:
    topic = Calibrations("/camera_info")
    topic.add(reading(START, 100.0))
    topic.add(reading(0, 101.0))
    expect(topic, START + PERIOD)
    assert focal(topic.of(START + PERIOD, 0.0, PATIENCE)) == 101.0


def test_at_a_lower_rate_images_between_do_not_wait() -> None:
    topic, waited = Calibrations("/camera_info"), []
    for index in range(60):
        stamp = START + index * PERIOD
        if index % 10 == 0:
            topic.add(reading(stamp, 100.0 + index))
        expect(topic, stamp)
        try:
            found = topic.of(stamp, 0.0, PATIENCE)
        except Dropped:
            waited.append(index)
            found = topic.of(stamp, PATIENCE, PATIENCE)
        assert focal(found) == 100.0 + index // 10 * 10
    assert waited == [1, 2, 3, 4], "only until it is known"


def test_a_later_one_never_stands_in_where_images_have_their_own() -> None:
    topic = Calibrations("/camera_info")
    expect(topic, START)
    topic.add(reading(START + PERIOD, 101.0))
    assert missing(topic, START)
    expect(topic, START + PERIOD)
    assert focal(topic.of(START + PERIOD, 0.0, PATIENCE)) == 101.0
    assert "stamped later" in missing(topic, START, PATIENCE)


def test_one_that_comes_after_all_is_better_than_the_earlier_one() -> None:
    topic = Calibrations("/camera_info")
    topic.add(reading(START))
    expect(topic, START + PERIOD)
    assert focal(topic.of(START + PERIOD, PATIENCE, PATIENCE)) == 100.0
    topic.add(reading(START + PERIOD, 101.0))
    assert focal(topic.of(START + PERIOD, PATIENCE, PATIENCE)) == 101.0


def test_two_cameras_on_one_topic_are_told_apart_by_frame_or_size() -> None:
    topic = Calibrations("/camera_info")
    for index in range(5):
        stamp = START + index * PERIOD
        topic.add(reading(stamp, 100.0 + index, "left"))
        topic.add(reading(stamp, 200.0 + index, "right"))
        topic.add(reading(stamp, 300.0 + index, "left", width=48))
        expect(topic, stamp, "left")
        assert focal(topic.of(stamp, 0.0, PATIENCE)) == 100.0 + index
    expect(topic, START + 1, "right")
    assert focal(topic.of(START + 1, PATIENCE, PATIENCE)) == 200.0
    expect(topic, START + 2, "left", width=48)
    assert focal(topic.of(START + 2, PATIENCE, PATIENCE)) == 300.0


@pytest.mark.parametrize("frame", ["", "camera_link"])
def test_another_frame_or_none_does_not_matter(frame: str) -> None:
    topic = Calibrations("/camera_info")
    topic.add(reading(START, 100.0, frame))
    expect(topic, START, "camera")
    assert focal(topic.of(START, 0.0, PATIENCE)) == 100.0


def test_a_bad_one_of_the_same_stamp_is_not_passed_over() -> None:
    topic = Calibrations("/camera_info")
    topic.add(reading(START))
    topic.add(Reading(START + PERIOD, "camera", None, "camera_info K is all zeros"))
    expect(topic, START + PERIOD)
    assert topic.of(START + PERIOD, 0.0, PATIENCE).fault == "camera_info K is all zeros"


def paired(topic: Calibrations) -> None:
    for index in range(6):
        topic.add(reading(START + index * PERIOD, 100.0 + index))
        expect(topic, START + index * PERIOD)
        topic.of(START + index * PERIOD, 0.0, PATIENCE)


def latched(topic: Calibrations) -> None:
    topic.add(reading(START, 100.0))
    for index in range(1, 6):
        expect(topic, START + index * PERIOD)
        topic.of(START + index * PERIOD, PATIENCE, PATIENCE)


@pytest.mark.parametrize("to", [START - 50 * SECOND, START + 3600 * SECOND])
def test_a_new_life_forgets_calibrations_of_the_past(to: int) -> None:
    topic = Calibrations("/camera_info")
    paired(topic)
    topic.new_epoch(to)
    expect(topic, to)
    assert "no camera_info" in missing(topic, to, PATIENCE)
    topic.add(reading(to, 300.0))
    assert focal(topic.of(to, 0.0, PATIENCE)) == 300.0


@pytest.mark.parametrize("to", [START - 50 * SECOND, START + 3600 * SECOND])
def test_a_new_life_keeps_what_its_first_image_came_with(to: int) -> None:
    topic = Calibrations("/camera_info")
    paired(topic)
    topic.add(reading(to, 300.0))
    topic.new_epoch(to)
    expect(topic, to)
    assert focal(topic.of(to, 0.0, PATIENCE)) == 300.0
    assert len(topic) == 2


@pytest.mark.parametrize("to", [START - 50 * SECOND, START + 3600 * SECOND])
def test_a_latched_one_survives_a_new_life(to: int) -> None:
    """Its publisher does not say it again."""
    topic = Calibrations("/camera_info")
    latched(topic)
    topic.new_epoch(to)
    expect(topic, to)
    assert focal(topic.of(to, 0.0, PATIENCE)) == 100.0


@pytest.mark.parametrize("stamp", [lambda i: START + i, lambda i: 0])
def test_memory_is_bounded(stamp: Callable[[int], int]) -> None:
    topic = Calibrations("/camera_info")
    sizes = []
    for index in range(5 * KEPT):
        topic.add(reading(stamp(index), 100.0 + index))
        expect(topic, START + index)
        sizes.append(len(topic))
    assert max(sizes) == 2 * KEPT
    assert all(after >= before for before, after in pairwise(sizes))
    assert focal(topic.of(START + 5 * KEPT - 1, 0.0, PATIENCE)) == 100.0 + 5 * KEPT - 1


def test_what_is_said_twice_is_kept_once() -> None:
    topic = Calibrations("/camera_info")
    for _ in range(3):
        topic.add(reading(0))
    for _ in range(3):
        topic.add(reading(START))
    assert len(topic) == 2


def test_how_they_are_joined_is_said() -> None:
    topic = Calibrations("/camera_info")
    assert topic.joined == "none came"
    paired(topic)
    assert topic.joined == "the one of the same stamp"
    other = Calibrations("/camera_info")
    latched(other)
    assert other.joined == "the last earlier one"
