"""Two cameras on one topic: one of them is held to, the other is refused by name."""

from __future__ import annotations

import pytest

from kdbts_ros.node.inputs.admission import HOLD_SECONDS, OneCamera, Sender
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped

LEFT = Sender("01", "left", (640, 480))
OTHER_FRAME = Sender("01", "right", (640, 480))
OTHER_PUBLISHER = Sender("02", "left", (640, 480))
SMALL = Sender("01", "left", (320, 240))


def topic(gone: str = "nobody") -> OneCamera:
    return OneCamera("/image", lambda publisher: publisher != gone)


def taken(camera: OneCamera, *senders: Sender, period: float = 0.1, began: float = 0.0) -> str:
    """One letter an image: taken, begins another camera, or dropped."""
    letters = ""
    for index, sender in enumerate(senders):
        try:
            letters += "B" if camera.check(sender, began + index * period) else "t"
        except Dropped as drop:
            letters += "d" if drop.reason == drops.OTHER_CAMERA else "?"
    return letters


@pytest.mark.parametrize("other", [OTHER_FRAME, OTHER_PUBLISHER, Sender("02", "right", None)])
def test_the_first_camera_is_held_to(other: Sender) -> None:
    assert taken(topic(), *[LEFT, other, other] * 5) == "tdd" * 5


def test_a_slow_camera_keeps_its_place() -> None:
    """Its own intervals are longer than what makes a fast one silent."""
    assert taken(topic(), *[LEFT, OTHER_FRAME] * 6, period=0.9 * HOLD_SECONDS) == "td" * 6


def test_another_takes_over_from_one_that_fell_silent() -> None:
    camera = topic()
    assert taken(camera, LEFT, OTHER_FRAME, OTHER_FRAME) == "tdd"
    late = HOLD_SECONDS + 0.1
    assert taken(camera, OTHER_FRAME, LEFT, OTHER_FRAME, began=late) == "Bdt"


def test_a_driver_that_was_restarted_is_taken_at_once() -> None:
    camera = topic(gone=LEFT.publisher)
    assert taken(camera, LEFT, OTHER_PUBLISHER, OTHER_PUBLISHER) == "tBt"


def test_a_resolution_may_change_and_change_back() -> None:
    assert taken(topic(), LEFT, SMALL, LEFT) == "ttt"
    assert taken(topic(), *[LEFT] * 3, *[SMALL] * 30, *[LEFT] * 3) == "t" * 36


def test_sizes_that_alternate_are_two_cameras() -> None:
    letters = taken(topic(), *[LEFT, SMALL] * 6)
    assert letters == "ttt" + "dt" * 4 + "d"


def test_after_alternation_another_size_may_take_over() -> None:
    camera = topic()
    taken(camera, *[LEFT, SMALL] * 6)
    assert taken(camera, SMALL, LEFT, began=10.0) == "Bt"


def test_compressed_images_without_a_size_are_one_camera() -> None:
    unsized = Sender("01", "left", None)
    assert taken(topic(), *[unsized] * 5) == "ttttt"


def test_publishers_that_are_not_told_are_taken_for_one() -> None:
    nameless = Sender("", "left", (640, 480))
    assert taken(topic(), *[nameless] * 4) == "tttt"
    assert taken(topic(), nameless, Sender("", "right", (640, 480))) == "td"


def test_the_sentence_tells_the_cameras_apart() -> None:
    camera = topic()
    taken(camera, LEFT)
    with pytest.raises(Dropped, match="of frame 'right' 640x480, while those of frame 'left'"):
        camera.check(OTHER_FRAME, 0.1)
    with pytest.raises(Dropped, match="of a second publisher: give each camera on /image a topic"):
        camera.check(OTHER_PUBLISHER, 0.1)
