"""What belongs together in a recording: image, camera_info and frame; and what is no one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdbts_ros.datasets.bags.drive import BagDrive
from kdbts_ros.datasets.bags.headers import read_header
from kdbts_ros.datasets.bags.messages import image
from kdbts_ros.datasets.bags.runs import two_runs
from kdbts_ros.errors import UserError
from test.datasets.bags import SECOND, Bag, drive, grey

TENTH = SECOND // 10


def focal(length: float) -> dict[str, Any]:
    """Fields of a camera_info with another focal length."""
    return {"k": np.array([length, 0, 23.5, 0, length, 15.5, 0, 0, 1.0])}


def drawn(path: Path, *parts: Any) -> BagDrive:
    """A drive of what the parts, functions of the bag, put beside its poses."""
    with Bag(path) as bag:
        drive(bag)
        for part in parts:
            part(bag)
    return BagDrive(path)


def at(i: int) -> int:
    return SECOND + i * TENTH


def test_the_camera_info_of_the_same_stamp_holds_whenever_it_was_logged(tmp_path: Path) -> None:
    def fill(bag: Bag) -> None:
        for i in range(6):
            bag.image(at(i), grey(i), logged_ns=at(i) + 2)
            # The next image's camera_info is logged before this one's.
            bag.info(at(5 - i), logged_ns=at(i) + 1, **focal(40.0 if i > 1 else 80.0))

    found = drawn(tmp_path / "bag", fill)
    assert [found.stamp_ns(i) for i in found.frames] == [at(i) for i in range(4)]
    assert found.lens("eye").camera.fx == 40
    assert found.losses.other_lens == 2


def test_without_one_of_its_stamp_the_last_earlier_one_holds(tmp_path: Path) -> None:
    def fill(bag: Bag) -> None:
        bag.info(at(0) - 5, **focal(80.0))
        bag.info(at(2) - 5)
        for i in range(6):
            bag.image(at(i), grey(i))

    found = drawn(tmp_path / "bag", fill)
    assert (len(found), found.losses.other_lens) == (4, 2)
    assert found.stamp_ns(0) == at(2)


@pytest.mark.parametrize("stamp_ns", [0, 900 * SECOND])
def test_one_that_is_said_once_holds_for_all(tmp_path: Path, stamp_ns: int) -> None:
    def fill(bag: Bag) -> None:
        bag.info(stamp_ns, logged_ns=at(3))
        for i in range(6):
            bag.image(at(i), grey(i))

    assert len(drawn(tmp_path / "bag", fill)) == 6


def test_one_that_cannot_be_used_costs_its_own_images_only(tmp_path: Path) -> None:
    def fill(bag: Bag) -> None:
        for i in range(6):
            bag.info(at(i), **(focal(0.0) if i < 2 else {}))
            bag.image(at(i), grey(i))

    found = drawn(tmp_path / "bag", fill)
    assert (len(found), found.losses.other_lens) == (4, 2)


def test_a_lens_that_trembles_is_one_lens(tmp_path: Path) -> None:
    def fill(bag: Bag) -> None:
        for i in range(6):
            bag.info(at(i), **focal(40.0 + 0.03 * i))
            bag.image(at(i), grey(i))

    assert len(drawn(tmp_path / "bag", fill)) == 6


@pytest.mark.parametrize(
    ("named", "told", "found"),
    [
        ("eye", "", "eye"),
        ("eye", "elsewhere", "eye"),
        ("/eye", "/elsewhere", "eye"),
        ("", "eye", "eye"),
    ],
)
def test_the_frame_of_the_image_holds(tmp_path: Path, named: str, told: str, found: str) -> None:
    def fill(bag: Bag) -> None:
        bag.info(at(0), frame=told)
        bag.image(at(0), grey(0), frame=named)

    assert drawn(tmp_path / "bag", fill).T_world_cam(0, found)[2, 3] == pytest.approx(0.9)


def test_images_of_two_frames_are_two_cameras(tmp_path: Path) -> None:
    def fill(bag: Bag) -> None:
        bag.info(at(0))
        bag.image(at(0), grey(0))
        bag.image(at(1), grey(0), frame="other")

    with pytest.raises(UserError, match="images on /eye/image_raw are of several frames, eye, oth"):
        drawn(tmp_path / "bag", fill)


def test_of_images_of_one_stamp_the_first_stands_as_in_the_node(tmp_path: Path) -> None:
    def fill(bag: Bag) -> None:
        bag.info(at(0))
        for i in range(3):
            bag.image(at(i), grey(10 * i))
        bag.image(at(1), grey(99), logged_ns=at(4))
        bag.image(0, grey(99), logged_ns=at(5))

    found = drawn(tmp_path / "bag", fill)
    assert (found.losses.images, found.losses.repeated, found.losses.without_stamp) == (5, 1, 1)
    assert [found.image(i, "eye")[0, 0, 0] for i in found.frames] == [0, 10, 20]


def test_images_without_stamps_are_named(tmp_path: Path) -> None:
    def fill(bag: Bag) -> None:
        bag.info(at(0))
        bag.image(0, grey(0), logged_ns=at(1))

    with pytest.raises(UserError, match=r"none of the 1 images on .* has a stamp: the driver must"):
        drawn(tmp_path / "bag", fill)


@pytest.mark.parametrize("what", ["poses", "images"])
def test_two_runs_of_one_clock_are_not_interleaved(tmp_path: Path, what: str) -> None:
    def fill(bag: Bag) -> None:
        bag.info(at(0))
        for i in range(20):
            bag.image(at(i), grey(i))
        if what == "poses":
            drive(bag, logged_after=60 * SECOND)
        else:
            for i in range(5):
                bag.image(at(i), grey(i), logged_ns=at(i) + 60 * SECOND)

    named = {
        "poses": "the poses of 'base_link' go back from 3.000",
        "images": "images on /eye/image_raw go back from 2.900",
    }
    words = f"the stamps of {named[what]} to 1.000 s, logged at 61.000 s"
    with pytest.raises(UserError, match=f"holds two runs of one clock: {words}"):
        drawn(tmp_path / "bag", fill)


seconds = st.integers(1, 10**6).map(lambda s: s * SECOND)


@given(st.lists(seconds, max_size=30), st.integers(0, 900_000_000))
def test_one_run_is_one_run_whatever_overtakes(stamps: list[int], late: int) -> None:
    ordered = sorted(set(stamps))
    told = [(stamp, stamp) for stamp in ordered]
    assert two_runs(told, "images") is None
    # Each second one arrives late, by less than a second; some have no stamp.
    shaken = [(s - late * (i % 2) if i % 5 else 0, s) for i, s in enumerate(ordered)]
    assert two_runs(shaken, "images") is None


@given(st.lists(seconds, min_size=3, unique=True), st.sampled_from([-(10**15), 10**15]))
def test_one_wrong_stamp_is_no_run(stamps: list[int], off: int) -> None:
    told = [(stamp, stamp) for stamp in sorted(stamps)]
    middle = len(told) // 2
    told[middle] = (told[middle][0] + off, told[middle][1])
    assert two_runs(told, "images") is None


@given(st.lists(seconds, min_size=3, unique=True))
def test_a_run_that_is_told_again_is_found(stamps: list[int]) -> None:
    run = sorted(stamps)
    sentence = two_runs([(s, s) for s in run] + [(s, s + 10**18) for s in run], "images")
    assert sentence is not None
    assert f"to {run[0] / 1e9:.3f} s" in sentence


@given(st.text(max_size=20).filter(lambda t: "\0" not in t), st.integers(0, 2**62))
def test_a_header_is_read_from_the_bytes(frame: str, stamp_ns: int) -> None:
    stamp_ns %= 2**31 * SECOND
    header = read_header(bytes(image(grey(0), frame, stamp_ns)))
    assert header == (stamp_ns, frame.lstrip("/"))


def test_whether_images_are_rectified_can_be_said(tmp_path: Path) -> None:
    with Bag(tmp_path / "bag") as bag:
        drive(bag)
        bag.info(at(0), p=np.array([30.0, 0, 23.5, 0, 0, 30.0, 15.5, 0, 0, 0, 1, 0]))
        bag.image(at(0), grey(0))
    for rectified, length in ((None, 40.0), (False, 40.0), (True, 30.0)):
        found = BagDrive(tmp_path / "bag", rectified=rectified)
        assert found.camera("eye").fx == length
